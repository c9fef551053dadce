"""Commits over HTTP: what goes where, and the commit itself."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from charter.hub.embedded.blobs import is_large
from charter.hub.embedded.commits import Draft, attributes_of, commit_ref, prepare, write_on
from charter.hub.embedded.discussions import (
    open_pull_request,
    read_discussion,
    record_commit,
)
from charter.hub.embedded.errors import HubError, bad_request, revision_missing
from charter.hub.embedded.git import Git, Sha
from charter.hub.embedded.http import Call, Reply, reply_json
from charter.hub.embedded.hub import named_repo
from charter.hub.embedded.listing import stored
from charter.hub.embedded.names import RepoId, check_path

__all__ = ["commit", "preupload"]


def _proposes(call: Call) -> bool:
    return call.flag("create_pr")


def _allowed(call: Call, repo: RepoId, revision: str) -> str:
    """The name of who may commit: to a pull request's ref its author may as well."""
    if _proposes(call):
        return call.hub.contributor(repo, call.account).name
    number = revision.removeprefix("refs/pr/")
    if number != revision and number.isascii() and number.isdecimal():
        account = call.hub.contributor(repo, call.account)
        try:
            opened_by = read_discussion(call.hub.store, repo, int(number))["author"]["name"]
        except HubError:
            raise revision_missing(revision) from None
        if opened_by == account.name:
            return account.name
    return call.hub.writer(repo, call.account).name


def preupload(call: Call) -> Reply:
    """Say of each file whether it goes into git or beside it, and what is there already."""
    repo, revision = named_repo(call), "/".join(call.parts[5:]) or "main"
    _allowed(call, repo, revision)
    value = call.json()
    files, ignore = value.get("files"), value.get("gitIgnore")
    if not isinstance(files, list) or not all(isinstance(one, dict) for one in files):
        raise bad_request('"files" is missing or not a list of objects')
    with call.hub.store.open(repo) as git:
        head = git.resolve(revision)
        root = git.tree_of(head)
        attributes = attributes_of(git, head)
        rules = _ignored(git, root, ignore)
        shown = [_planned(git, root, one, attributes, rules) for one in files]
    return reply_json({"files": shown, "commitOid": head.decode()})


def _ignored(git: Git, root: Sha, given: Any) -> list[bytes]:
    if isinstance(given, str):
        return given.encode("utf-8", "replace").splitlines()
    entry = git.find(root, b".gitignore")
    return git.blob(entry.sha).splitlines() if entry and not entry.is_folder else []


def _planned(
    git: Git, root: Sha, given: dict[str, Any], attributes: bytes, rules: list[bytes]
) -> dict[str, Any]:
    from dulwich.ignore import IgnoreFilter

    path, size, sample = given.get("path"), given.get("size"), given.get("sample", "")
    if not isinstance(path, str) or not isinstance(sample, str):
        raise bad_request('"path" or "sample" of a file is not a text')
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise bad_request('"size" of a file is not a number of bytes')
    raw = check_path(path)
    try:
        head = base64.b64decode(sample)
    except (binascii.Error, ValueError):
        raise bad_request('"sample" of a file is not base64') from None
    large = is_large(path, size, attributes, head)
    entry = git.find(root, raw)
    there = stored(git, entry.sha) if entry and not entry.is_folder else None
    oid = None
    if there and entry:
        oid = there.pointer.sha256 if there.pointer else entry.sha.decode()
    ignored = bool(rules) and bool(IgnoreFilter(rules[:10_000]).is_ignored(raw))
    return {
        "path": path,
        "uploadMode": "lfs" if large else "regular",
        "shouldIgnore": ignored,
        "oid": oid,
    }


def commit(call: Call) -> Reply:
    """Commit to a branch or a pull request, or open a pull request with the commit."""
    repo, revision = named_repo(call), "/".join(call.parts[5:]) or "main"
    author = _allowed(call, repo, revision)
    assert call.file is not None
    store = call.hub.store
    with store.open(repo) as git:
        base = git.resolve(revision)
        draft = prepare(git, call.file, store.scratch, attributes_of(git, base))
    with store.lock(repo), store.open(repo) as git:
        # Who waited for the lock may have lost the right, or the repo, meanwhile.
        _allowed(call, repo, revision)
        if _proposes(call):
            return _propose(call, repo, git, draft, revision, author)
        made = _commit_on(git, draft, revision, author)
        if revision.startswith("refs/pr/"):
            title = draft.header.title
            record_commit(store, repo, int(revision.removeprefix("refs/pr/")), title, made, author)
    return reply_json({**_named(call, repo, made), "pullRequestUrl": None})


def _named(call: Call, repo: RepoId, made: Sha) -> dict[str, Any]:
    address = f"{call.base}/{repo.prefix}{repo.full}/commit/{made.decode()}"
    return {"success": True, "commitOid": made.decode(), "commitUrl": address, "hookOutput": ""}


def _commit_on(git: Git, draft: Draft, revision: str, author: str) -> Sha:
    ref = commit_ref(revision)
    head = git.ref(ref)
    if head is None:
        raise revision_missing(revision)
    parent = draft.header.parent
    if parent is not None and not head.decode().startswith(parent):
        raise _stale(head)
    made = write_on(git, draft, head, author)
    if not git.move(ref, head, made):
        raise _stale(head)  # `git push` into the folder asks for no lock of ours
    return made


def _stale(head: Sha) -> HubError:
    what = (
        "A commit has happened since. The branch was updated since you opened this page. "
        f"Please refresh and try again. Its head is {head.decode()}"
    )
    return HubError(412, what)


def _propose(call: Call, repo: RepoId, git: Git, draft: Draft, revision: str, author: str) -> Reply:
    ref = commit_ref(revision)
    head = git.ref(ref)
    if head is None or not ref.startswith(b"refs/heads/"):
        raise revision_missing(revision)
    parent = git.resolve(draft.header.parent) if draft.header.parent else head
    made = write_on(git, draft, parent, author)
    number = open_pull_request(
        call.hub.store,
        repo,
        git,
        made,
        title=draft.header.title,
        description=draft.header.description,
        author=author,
        branch=ref.decode().removeprefix("refs/heads/"),
        status="open",
    )
    address = f"{call.base}/{repo.prefix}{repo.full}/discussions/{number}"
    return reply_json({**_named(call, repo, made), "pullRequestUrl": address})
