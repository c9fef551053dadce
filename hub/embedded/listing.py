"""What is in a commit, as the Hub's API shows it: files, folders, who changed them last."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from charter.hub.embedded.blobs import Pointer, blob_size, parse_pointer, pointer_bytes
from charter.hub.embedded.git import Entry, Git, Sha

__all__ = ["Stored", "describe", "last_changes", "siblings", "stamp", "stored", "title_of"]


class Stored(NamedTuple):
    """A file: its size, and the pointer where it is kept beside git."""

    size: int
    pointer: Pointer | None


_SEEN: dict[tuple[str, Sha], Stored] = {}
_MOST_SEEN = 200_000


def stored(git: Git, sha: Sha) -> Stored:
    """Size and pointer of a blob.

    A blob that looks like a pointer is just a small file where the store has no such file, or
    one of another size.
    """
    key = (str(git.path), sha)
    found = _SEEN.get(key)
    if found is None:
        try:
            content = git.blob(sha)
        except KeyError:  # a submodule
            return Stored(0, None)
        pointer = parse_pointer(content)
        if pointer is not None and blob_size(git.path, pointer.sha256) != pointer.size:
            return Stored(len(content), None)
        found = Stored(pointer.size if pointer else len(content), pointer)
        if len(_SEEN) >= _MOST_SEEN:
            _SEEN.clear()
        _SEEN[key] = found
    return found


def stamp(seconds: float) -> str:
    """A time as the Hub writes it."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def title_of(message: bytes) -> tuple[str, str]:
    """A commit message's title and the rest."""
    title, _, rest = message.decode(errors="replace").partition("\n")
    return title, rest.strip("\n")


def describe(git: Git, entry: Entry) -> dict[str, Any]:
    """A file or folder as the tree and paths-info endpoints show it."""
    path = entry.path.decode(errors="replace")
    if entry.is_folder:
        return {"type": "directory", "oid": entry.sha.decode(), "size": 0, "path": path}
    found = stored(git, entry.sha)
    shown: dict[str, Any] = {
        "type": "file",
        "oid": entry.sha.decode(),
        "size": found.size,
        "path": path,
    }
    if found.pointer:
        shown["lfs"] = {
            "oid": found.pointer.sha256,
            "size": found.pointer.size,
            "pointerSize": len(pointer_bytes(found.pointer)),
        }
    return shown


def siblings(git: Git, commit: Sha, *, details: bool) -> list[dict[str, Any]]:
    """All files of a commit, as repo infos list them."""
    shown = []
    for entry in git.walk(git.tree_of(commit)):
        if entry.is_folder:
            continue
        one: dict[str, Any] = {"rfilename": entry.path.decode(errors="replace")}
        if details:
            found = stored(git, entry.sha)
            one |= {"blobId": entry.sha.decode(), "size": found.size}
            if found.pointer:
                pointer = found.pointer
                one["lfs"] = {
                    "sha256": pointer.sha256,
                    "size": pointer.size,
                    "pointerSize": len(pointer_bytes(pointer)),
                }
        shown.append(one)
    return shown


def last_changes(git: Git, commit: Sha, paths: Iterable[bytes]) -> dict[bytes, dict[str, Any]]:
    """For each path the newest commit that changed it, going back from `commit`."""
    now = {path: git.find(git.tree_of(commit), path) for path in paths}
    open_ = {path: entry.sha for path, entry in now.items() if entry is not None}
    found: dict[bytes, dict[str, Any]] = {}
    sha: Sha | None = commit
    while open_ and sha is not None:
        here = git.commit(sha)
        parents = [bytes(parent) for parent in here.parents]
        before = git.tree_of(parents[0]) if parents else None
        title, _ = title_of(here.message)
        shown = {"id": sha.decode(), "title": title, "date": stamp(here.commit_time)}
        for path, blob in list(open_.items()):
            entry = git.find(before, path) if before else None
            if entry is None or entry.sha != blob:
                found[path] = shown
                del open_[path]
        sha = parents[0] if parents else None
    return found
