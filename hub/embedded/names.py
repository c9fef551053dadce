"""Names that callers choose, checked before they become a path or a ref."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from dulwich.index import validate_path_element_hfs, validate_path_element_ntfs
from dulwich.refs import check_ref_format

from charter.hub.embedded.errors import HubError, bad_request

__all__ = [
    "KINDS",
    "NAMESPACE",
    "RepoId",
    "check_branch",
    "check_path",
    "check_tag",
    "parse_repo_id",
    "utf8",
]

KINDS: Final = {"models": "model", "datasets": "dataset", "spaces": "space"}
NAMESPACE: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
_NAME: Final = NAMESPACE
_LONGEST_PATH: Final = 4096
_LONGEST_REF: Final = 200
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


class RepoId(tuple[str, str, str]):
    """A repo: `kind` (`models`, `datasets`, `spaces`), `namespace`, `name`."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        """The plural that stands in addresses."""
        return self[0]

    @property
    def namespace(self) -> str:
        """The user or organisation."""
        return self[1]

    @property
    def name(self) -> str:
        """The name within the namespace."""
        return self[2]

    @property
    def full(self) -> str:
        """`namespace/name`."""
        return f"{self[1]}/{self[2]}"

    @property
    def type(self) -> str:
        """The singular: `model`, `dataset`, `space`."""
        return KINDS[self[0]]

    @property
    def prefix(self) -> str:
        """What stands before the id in web addresses: nothing for models."""
        return "" if self[0] == "models" else f"{self[0]}/"


def parse_repo_id(kind: str, namespace: str, name: str) -> RepoId:
    """A repo id that is safe as two folder names.

    Raises:
        HubError: 400 where the name is not one that the Hub allows.
    """
    for part in (namespace, name):
        fine = _NAME.fullmatch(part) and "--" not in part and ".." not in part
        if not fine or part.lower().endswith((".git", ".lock")):
            raise bad_request(f'Invalid repo name: "{part[:100]}"')
    return RepoId((kind, namespace, name))


def utf8(text: str, what: str) -> bytes:
    """The bytes of a text; JSON can hold half of a surrogate pair, git cannot.

    Raises:
        HubError: 400.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise bad_request(f"{what} is not valid Unicode") from None


def check_path(path: str) -> bytes:
    """The bytes of a file's path in a repo, or of a folder's.

    Raises:
        HubError: 422 for what would leave the repo, name `.git`, or not fit on a disk.
    """
    raw = utf8(path, "a path")
    if not raw or len(raw) > _LONGEST_PATH:
        raise HubError(422, "a path is empty or too long")
    if any(unicodedata.category(char) == "Cc" for char in path) or "\\" in path:
        raise HubError(422, "a path holds a control character or a backslash")
    for part in raw.split(b"/"):
        fine = (
            part not in (b"", b".", b"..")
            and len(part) <= 255
            and validate_path_element_ntfs(part)
            and validate_path_element_hfs(part)
        )
        if not fine:
            raise HubError(422, f'Invalid path: "{path[:200]}"')
    return raw


def _check_ref(name: str, head: str) -> bytes:
    raw = utf8(name, "a ref name")
    fine = (
        raw
        and len(raw) <= _LONGEST_REF
        and check_ref_format(f"{head}{name}".encode())  # type: ignore[arg-type]
        and not name.startswith(("-", "refs/", "/"))
        and not any(part.startswith(".") for part in name.split("/"))
        and not _COMMIT.fullmatch(name)
        and name not in {"HEAD", "@"}
    )
    if not fine:
        raise HubError(400, f'Invalid ref name: "{name[:100]}"')
    return f"{head}{name}".encode()


def check_branch(name: str) -> bytes:
    """`refs/heads/NAME`, where git allows that name.

    Raises:
        HubError: 400.
    """
    return _check_ref(name, "refs/heads/")


def check_tag(name: str) -> bytes:
    """`refs/tags/NAME`, where git allows that name.

    Raises:
        HubError: 400.
    """
    return _check_ref(name, "refs/tags/")
