"""Small files that only their owner can read: whole, or as they were before.

Only the standard library: the modules of `charter.review.embedded` use it as well.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["write_private"]


def write_private(path: Path, text: str) -> None:
    """Write a file in one step, readable by its owner alone from the first byte on.

    Args:
        path: the file; its folder must be there.
        text: what it shall hold, written as UTF-8.

    Raises:
        OSError: the folder cannot be written to; the file is as it was.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # a rename alone may be lost with the power
    finally:
        os.close(folder)
