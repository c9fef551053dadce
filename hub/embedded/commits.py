"""Commits: operations applied to a branch, under the repo's lock, one after the other."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dulwich.objects import Blob

from charter.hub.embedded.blobs import (
    Incoming,
    Pointer,
    blob_size,
    is_large,
    pointer_bytes,
)
from charter.hub.embedded.errors import HubError, bad_request, entry_missing, revision_missing
from charter.hub.embedded.git import FILE_MODE, Flat, Git, Sha, make_commit
from charter.hub.embedded.operations import (
    Copied,
    Deleted,
    Header,
    LargeFile,
    Operation,
    read_commit,
)

__all__ = ["Draft", "attributes_of", "commit_ref", "prepare", "write_on"]

_PR: Final = "refs/pr/"


@dataclass(frozen=True)
class Draft:
    """A commit that is checked and whose files lie in the store, not yet on any branch."""

    header: Header
    steps: tuple[tuple[bytes, Sha] | Deleted | Copied, ...]


def commit_ref(revision: str) -> bytes:
    """The ref that a commit to `revision` moves: a branch or a pull request's.

    Raises:
        HubError: 404 where it can be neither.
    """
    if revision.startswith(_PR) and revision.removeprefix(_PR).isdecimal():
        return revision.encode()
    name = revision.removeprefix("refs/heads/")
    if name.startswith("refs/"):
        raise revision_missing(revision)
    try:
        return f"refs/heads/{name}".encode()
    except UnicodeEncodeError:
        raise revision_missing("") from None


def attributes_of(git: Git, commit: Sha) -> bytes:
    """The `.gitattributes` of a commit."""
    entry = git.find(git.tree_of(commit), b".gitattributes")
    if entry is None or entry.is_folder:
        return b""
    return git.blob(entry.sha)[:100_000]


def prepare(git: Git, body: Path, scratch: Path, attributes: bytes) -> Draft:
    """Read a commit and write its files as objects; no ref moves yet.

    Args:
        git: the repo.
        body: the request's body.
        scratch: where files in the making lie.
        attributes: the branch's `.gitattributes`.

    Raises:
        HubError: 400 for what is no commit or names a large file that was not uploaded.
    """
    lines = read_commit(body)
    header = next(lines)
    assert isinstance(header, Header)
    steps: list[tuple[bytes, Sha] | Deleted | Copied] = []
    for item in lines:
        assert not isinstance(item, Header)
        steps.append(_stored(git, item, scratch, attributes))
    git.settle()
    return Draft(header, tuple(steps))


def _stored(
    git: Git, item: Operation, scratch: Path, attributes: bytes
) -> tuple[bytes, Sha] | Deleted | Copied:
    if isinstance(item, Deleted | Copied):
        return item
    if isinstance(item, LargeFile):
        return item.path, _add(git, pointer_bytes(_uploaded(git.path, item)))
    content = item.content
    path = item.path.decode()
    if is_large(path, len(content), attributes):
        content = pointer_bytes(_put_aside(git.path, content, scratch))
    return item.path, _add(git, content)


def _uploaded(repo: Path, item: LargeFile) -> Pointer:
    size = blob_size(repo, item.sha256)
    if size is None:
        what = f"LFS pointer pointed to a file that does not exist: {item.path.decode()[:200]}"
        raise bad_request(what)
    if item.size is not None and item.size != size:
        raise bad_request(f"the size of {item.path.decode()[:200]} is not what was uploaded")
    return Pointer(item.sha256, size)


def _put_aside(repo: Path, content: bytes, scratch: Path) -> Pointer:
    incoming = Incoming(scratch, secrets.token_hex(12))
    incoming.write([content])
    return incoming.keep(repo)


def _add(git: Git, content: bytes) -> Sha:
    return git.add(Blob.from_string(content))


def write_on(git: Git, draft: Draft, parent: Sha, author: str) -> Sha:
    """Write the commit that a draft makes of `parent`; the caller moves the ref.

    Raises:
        HubError: 404 where a deleted or copied file is not there, 400 for impossible trees.
    """
    files = git.flat(parent)
    for step in draft.steps:
        if isinstance(step, Deleted):
            _delete(files, step, parent)
        elif isinstance(step, Copied):
            _copy(git, files, step, parent)
        else:
            path, sha = step
            files[path] = (FILE_MODE, sha)
    tree = git.write_tree(files)
    made = make_commit(tree, [parent], draft.header.message, author, time.time())
    sha = git.add(made)
    git.settle()
    return sha


def _delete(files: Flat, step: Deleted, parent: Sha) -> None:
    if not step.folder and files.pop(step.path, None) is not None:
        return
    gone = _below(files, step.path)
    if not gone:
        raise _nothing(step.path, parent, "folder" if step.folder else "file")
    for path in gone:
        del files[path]


def _below(files: Iterable[bytes], folder: bytes) -> list[bytes]:
    head = folder + b"/" if folder else b""
    return [path for path in files if path.startswith(head)]


def _nothing(path: bytes, parent: Sha, kind: str) -> HubError:
    shown = path.decode(errors="replace")[:200]
    what = f'A {kind} with this name doesn\'t exist: "{shown}"'
    return entry_missing(parent.decode(), what)


def _copy(git: Git, files: Flat, step: Copied, parent: Sha) -> None:
    source = git.flat(git.resolve(step.revision)) if step.revision else files
    if step.source in source:
        files[step.path] = source[step.source]
        return
    inside = _below(source, step.source)
    if not inside:
        raise _nothing(step.source, parent, "file")
    for path in inside:
        files[step.path + path[len(step.source) :]] = source[path]
