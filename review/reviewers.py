"""Who answered, without who they are: a keyed hash of the server's own user id."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from charter.errors import Failure, Fault

__all__ = ["pseudonym", "reviewer_key"]

_FILE: Final = "reviewers.key"
_BYTES: Final = 32


def pseudonym(key: bytes, user_id: str) -> str:
    """The name under which a reviewer's answers are kept and published.

    The first 16 hex digits of HMAC-SHA256. Without the key nobody can tell whose it is, not even
    by trying all users of a server; with it, the same user has the same name in every repo.
    """
    return hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()[:16]


def reviewer_key(folder: Path) -> bytes:
    """The key of a folder of answers, drawn at first use and readable by its owner alone.

    Two processes that draw one at the same time both get the first that is there.

    Args:
        folder: exists.

    Raises:
        OSError: it can't be read or written.
        Failure: the file is no key.
    """
    path = folder / _FILE
    if not path.exists():
        handle, name = tempfile.mkstemp(prefix=f".{_FILE}-", dir=folder)  # of mode 0600
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
            # A link, for a rename would replace a key that is in use by now.
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            Path(name).unlink()
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        what = "is not the key that reviewers' names are made with"
        fix = "put it back from a copy; without it all reviewers get new names"
        raise Failure(Fault(str(path), "", what, fix))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return key
