"""A commit as clients send it: lines of JSON, read one at a time and checked."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from charter.hub.embedded.errors import HubError, bad_request
from charter.hub.embedded.names import check_path, utf8

__all__ = [
    "Copied",
    "Deleted",
    "Header",
    "LargeFile",
    "Operation",
    "SmallFile",
    "read_commit",
]

LONGEST_LINE: Final = 96 * 2**20
_MOST_OPERATIONS: Final = 100_000
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{5,40}")


@dataclass(frozen=True)
class Header:
    """The first line: what the commit says."""

    title: str
    description: str
    parent: str | None

    @property
    def message(self) -> bytes:
        """The commit message as git keeps it."""
        text = f"{self.title}\n\n{self.description}" if self.description else self.title
        return utf8(text.replace("\0", ""), "the commit message")


@dataclass(frozen=True)
class SmallFile:
    """A file whose content stands in the line."""

    path: bytes
    content: bytes


@dataclass(frozen=True)
class LargeFile:
    """A file that was uploaded before; `size` is None where the client copies one."""

    path: bytes
    sha256: str
    size: int | None


@dataclass(frozen=True)
class Deleted:
    """A file, or a folder with all in it; the empty path is the whole repo.

    Attributes:
        path: what goes.
        folder: whether the client knows it for a folder; without it, either may be meant.
    """

    path: bytes
    folder: bool


@dataclass(frozen=True)
class Copied:
    """A copy within the repo, from `revision` or from the commit's own parent."""

    path: bytes
    source: bytes
    revision: str | None


Operation = SmallFile | LargeFile | Deleted | Copied


def read_commit(body: Path) -> Iterator[Header | Operation]:
    """Read a commit's lines: the header, then the operations.

    Args:
        body: the request's body.

    Raises:
        HubError: 400 for what is not a commit, 413 for a line over 96 MB.
    """
    with body.open("rb") as file:
        count = 0
        while line := file.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise HubError(413, "a line of the commit is over 96 MB: upload the file as LFS")
            if not line.strip():
                continue
            count += 1
            if count > _MOST_OPERATIONS:
                raise HubError(413, f"a commit has more than {_MOST_OPERATIONS} operations")
            yield _parsed(line, first=count == 1)
        if not count:
            raise bad_request("the commit is empty")


def _parsed(line: bytes, *, first: bool) -> Header | Operation:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError):
        raise bad_request("a line of the commit is not JSON") from None
    key = item.get("key") if isinstance(item, dict) else None
    value = item.get("value") if isinstance(item, dict) else None
    if not isinstance(value, dict) or not isinstance(key, str):
        raise bad_request('a line of the commit is not {"key": ..., "value": {...}}')
    if first != (key == "header"):
        raise bad_request("a commit has one header, and it comes first")
    if key not in _READERS:
        raise bad_request(f'no operation "{key[:50]}"')
    made: Header | Operation = _READERS[key](value)
    return made


def _text(value: dict[str, Any], name: str, default: str | None = None) -> str:
    found = value.get(name, default)
    if not isinstance(found, str):
        raise bad_request(f'"{name}" is missing or not a text')
    return found


def _header(value: dict[str, Any]) -> Header:
    parent = value.get("parentCommit")
    if parent is not None and not (isinstance(parent, str) and _COMMIT.fullmatch(parent)):
        raise bad_request('"parentCommit" is not a commit id')
    title = _text(value, "summary").strip()
    if not title:
        raise bad_request('"summary" is empty')
    return Header(title, _text(value, "description", "").strip(), parent)


def _file(value: dict[str, Any]) -> SmallFile:
    path, content = check_path(_text(value, "path")), _text(value, "content")
    encoding = value.get("encoding", "utf-8")
    if encoding == "base64":
        try:
            return SmallFile(path, base64.b64decode(content, validate=True))
        except (binascii.Error, ValueError):
            raise bad_request("the content of a file is not base64") from None
    if encoding != "utf-8":
        raise bad_request("a file's encoding is neither base64 nor utf-8")
    return SmallFile(path, utf8(content, "the content of a file"))


def _large(value: dict[str, Any]) -> LargeFile:
    path, oid, size = check_path(_text(value, "path")), _text(value, "oid"), value.get("size")
    if value.get("algo", "sha256") != "sha256" or not _SHA256.fullmatch(oid):
        raise bad_request("the oid of a large file is not a SHA-256")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise bad_request("the size of a large file is not a number of bytes")
    return LargeFile(path, oid, size)


def _deleted(folder: bool) -> Any:
    def read(value: dict[str, Any]) -> Deleted:
        path = _text(value, "path").rstrip("/")
        whole = folder and path in {"", "."}
        return Deleted(b"" if whole else check_path(path), folder)

    return read


def _copied(value: dict[str, Any]) -> Copied:
    revision = value.get("srcRevision")
    if revision is not None and not isinstance(revision, str):
        raise bad_request('"srcRevision" is not a text')
    source = check_path(_text(value, "srcPath"))
    return Copied(check_path(_text(value, "path")), source, revision)


_READERS: Final[dict[str, Any]] = {
    "header": _header,
    "file": _file,
    "lfsFile": _large,
    "deletedFile": _deleted(False),
    "deletedFolder": _deleted(True),
    "deletedEntry": _deleted(False),
    "copyFile": _copied,
}
