"""Large files listed, and erased for good: from every commit that named them, and from the disk."""

from __future__ import annotations

import re
from typing import Any, Final

from dulwich.objects import Commit, ObjectID, Tag

from charter.hub.embedded.blobs import blob_path
from charter.hub.embedded.errors import bad_request
from charter.hub.embedded.git import Flat, Git, Sha
from charter.hub.embedded.http import Call, Reply, reply_json
from charter.hub.embedded.hub import named_repo
from charter.hub.embedded.listing import stamp, stored

__all__ = ["erase", "large_files"]

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PAGE: Final = 1000


def large_files(call: Call) -> Reply:
    """Every large file that a branch, tag or pull request holds, once each."""
    repo = named_repo(call)
    call.hub.readable(repo, call.account)
    found: dict[str, dict[str, Any]] = {}
    with call.hub.store.open(repo) as git:
        refs = sorted(git.refs().items(), key=lambda one: one[0] != b"refs/heads/main")
        for ref, sha in refs:
            commit = git.peel(sha)
            if commit is None:
                continue
            when = stamp(git.commit(commit).commit_time)
            for path, (_, blob) in git.flat(commit).items():
                pointer = stored(git, blob).pointer
                if pointer is not None and pointer.sha256 not in found:
                    found[pointer.sha256] = {
                        "fileOid": pointer.sha256,
                        "oid": pointer.sha256,
                        "filename": path.decode(errors="replace"),
                        "pushedAt": when,
                        "ref": ref.decode(errors="replace"),
                        "size": pointer.size,
                    }
    page, headers = call.page(list(found.values()), _PAGE)
    return reply_json(page, headers=headers)


def erase(call: Call) -> Reply:
    """Remove large files, and where asked for the commits' mention of them.

    Commits that named one get new ids, and so do all after them; tags follow.
    """
    repo = named_repo(call)
    call.hub.writer(repo, call.account)
    given = call.json().get("deletions")
    shas = given.get("sha") if isinstance(given, dict) else None
    if not isinstance(shas, list) or not all(
        isinstance(s, str) and _SHA256.fullmatch(s) for s in shas
    ):
        raise bad_request('"deletions.sha" is not a list of SHA-256')
    assert isinstance(given, dict)
    with call.hub.store.lock(repo), call.hub.store.open(repo) as git:
        call.hub.writer(repo, call.account)
        if given.get("rewriteHistory", True):
            _rewrite(git, frozenset(shas))
        for sha256 in shas:
            blob_path(git.path, sha256).unlink(missing_ok=True)
    return reply_json({"deleted": len(shas)})


def _rewrite(git: Git, gone: frozenset[str]) -> None:
    refs = git.refs()
    heads = [ObjectID(sha) for sha in (git.peel(one) for one in refs.values()) if sha]
    made: dict[Sha, Sha] = {}
    walk = git.repo.get_walker(include=heads, order="topo")
    for step in reversed(list(walk)):
        made[bytes(step.commit.id)] = _rewritten(git, step.commit, made, gone)
    git.settle()
    for ref, old in refs.items():
        commit = git.peel(old)
        if commit is None or made[commit] == commit:
            continue
        found = git.repo.object_store[ObjectID(old)]
        new = git.add(_retagged(found, made[commit])) if isinstance(found, Tag) else made[commit]
        git.move(ref, old, new)


def _rewritten(git: Git, old: Commit, made: dict[Sha, Sha], gone: frozenset[str]) -> Sha:
    parents = [made[bytes(parent)] for parent in old.parents]
    files = git.flat(bytes(old.id))
    kept: Flat = {path: entry for path, entry in files.items() if not _names(git, entry[1], gone)}
    if kept == files and parents == [bytes(parent) for parent in old.parents]:
        return bytes(old.id)
    new = old.copy()
    assert isinstance(new, Commit)
    new.tree = ObjectID(git.write_tree(kept))
    new.parents = [ObjectID(parent) for parent in parents]
    return git.add(new)


def _names(git: Git, blob: Sha, gone: frozenset[str]) -> bool:
    pointer = stored(git, blob).pointer
    return pointer is not None and pointer.sha256 in gone


def _retagged(old: Tag, commit: Sha) -> Tag:
    new = old.copy()
    assert isinstance(new, Tag)
    new.object = (Commit, ObjectID(commit))
    return new
