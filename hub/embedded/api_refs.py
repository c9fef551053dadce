"""Branches, tags and history."""

from __future__ import annotations

import time
from typing import Any, Final

from dulwich.objects import Commit, ObjectID, Tag

from charter.hub.embedded.commits import commit_ref
from charter.hub.embedded.errors import HubError, bad_request, forbidden, revision_missing
from charter.hub.embedded.git import Git, Sha, make_commit
from charter.hub.embedded.http import Call, Reply, reply_json
from charter.hub.embedded.hub import named_repo
from charter.hub.embedded.listing import stamp, title_of
from charter.hub.embedded.names import check_branch, check_tag, utf8

__all__ = [
    "commits",
    "create_branch",
    "create_tag",
    "delete_branch",
    "delete_tag",
    "refs",
    "squash",
]

_COMMITS_PAGE: Final = 1000
_MAIN: Final = b"refs/heads/main"


def _listed(git: Git, found: dict[bytes, Sha], base: bytes) -> list[dict[str, str]]:
    shown = []
    for ref, sha in found.items():
        commit = git.peel(sha)
        if ref.startswith(base) and commit is not None:
            name = ref.removeprefix(base).decode(errors="replace")
            shown.append(
                {"name": name, "ref": ref.decode(errors="replace"), "targetCommit": commit.decode()}
            )
    return sorted(shown, key=lambda one: (one["name"] != "main", one["name"]))


def refs(call: Call) -> Reply:
    """All branches and tags; pull requests where asked for."""
    repo = named_repo(call)
    call.hub.readable(repo, call.account)
    with call.hub.store.open(repo) as git:
        found = git.refs()
        shown: dict[str, Any] = {
            "branches": _listed(git, found, b"refs/heads/"),
            "converts": _listed(git, found, b"refs/convert/"),
            "tags": _listed(git, found, b"refs/tags/"),
        }
        if call.flag("include_prs"):
            pulls = _listed(git, found, b"refs/pr/")
            shown["pullRequests"] = [{**one, "name": one["ref"]} for one in pulls]
    return reply_json(shown)


def commits(call: Call) -> Reply:
    """The history of a revision, newest first."""
    repo = named_repo(call)
    call.hub.readable(repo, call.account)
    with call.hub.store.open(repo) as git:
        start = git.resolve("/".join(call.parts[5:]) or "main")
        found = list(git.history(start))
        most = max(call.whole("limit", _COMMITS_PAGE, _COMMITS_PAGE), 1)
        page, headers = call.page(found, most)
        formatted = "formatted" in call.many("expand")
        shown = [_commit(sha, one, formatted) for sha, one in page]
    headers["X-Total-Count"] = str(len(found))
    return reply_json(shown, headers=headers)


def _commit(sha: Sha, found: Commit, formatted: bool) -> dict[str, Any]:
    from html import escape

    title, message = title_of(found.message)
    author = found.author.decode(errors="replace").partition(" <")[0]
    shown: dict[str, Any] = {
        "id": sha.decode(),
        "title": title,
        "message": message,
        "authors": [{"user": author, "avatar": ""}],
        "date": stamp(found.commit_time),
    }
    if formatted:
        shown["formatted"] = {"title": escape(title), "message": escape(message)}
    return shown


def create_branch(call: Call) -> Reply:
    """Start a branch at a revision: 409 where it exists."""
    repo, name = named_repo(call), "/".join(call.parts[5:])
    call.hub.writer(repo, call.account)
    value = call.json()
    start = value.get("startingPoint")
    if start is not None and not isinstance(start, str):
        raise bad_request('"startingPoint" is not a text')
    if name.startswith("refs/"):
        raise HubError(400, f"Invalid reference for a branch: {name[:100]}")
    ref = check_branch(name)
    with call.hub.store.lock(repo), call.hub.store.open(repo) as git:
        call.hub.writer(repo, call.account)
        if git.ref(ref) is not None:
            raise HubError(409, f"Reference {ref.decode()} already exists")
        _unshadowed(git, ref)
        at = _empty(git, call) if value.get("emptyBranch") is True else git.resolve(start or "main")
        if not git.move(ref, None, at):
            raise HubError(409, f"Reference {ref.decode()} already exists")
    return reply_json({"ref": ref.decode(), "targetCommit": at.decode()})


def _unshadowed(git: Git, ref: bytes) -> None:
    """Git cannot keep `a` and `a/b`: one would be a file and a folder."""
    base = ref.split(b"/", 2)[2]
    head = ref[: -len(base)]
    for other in git.refs(head):
        known = other.removeprefix(head)
        if known.startswith(base + b"/") or base.startswith(known + b"/"):
            raise HubError(409, f"Reference is in the way: {other.decode(errors='replace')}")


def _empty(git: Git, call: Call) -> Sha:
    author = call.account.name if call.account else "charter"
    made = make_commit(git.write_tree({}), [], b"initial commit", author, time.time())
    sha = git.add(made)
    git.settle()
    return sha


def delete_branch(call: Call) -> Reply:
    """Remove a branch; never `main`."""
    repo, name = named_repo(call), "/".join(call.parts[5:])
    call.hub.writer(repo, call.account)
    ref = check_branch(name)
    if ref == _MAIN:
        raise forbidden("Cannot delete refs/heads/main: it is protected")
    _drop(call, ref)
    return reply_json({})


def _drop(call: Call, ref: bytes) -> None:
    repo = named_repo(call)
    with call.hub.store.lock(repo), call.hub.store.open(repo) as git:
        call.hub.writer(repo, call.account)
        old = git.ref(ref)
        if old is None or not git.drop(ref, old):
            raise revision_missing(ref.decode(errors="replace"))


def create_tag(call: Call) -> Reply:
    """Tag a revision, annotated where there is a message: 409 where the tag exists."""
    repo, revision = named_repo(call), "/".join(call.parts[5:]) or "main"
    account = call.hub.writer(repo, call.account)
    value = call.json()
    name, message = value.get("tag"), value.get("message")
    if not isinstance(name, str) or not (message is None or isinstance(message, str)):
        raise bad_request('"tag" or "message" is not a text')
    with call.hub.store.lock(repo), call.hub.store.open(repo) as git:
        call.hub.writer(repo, call.account)
        at = git.resolve(revision)
        ref = check_tag(name)
        if git.ref(ref) is not None:
            raise HubError(409, f"Tag reference {ref.decode()} already exists")
        _unshadowed(git, ref)
        made = git.add(_annotated(name, message, at, account.name)) if message else at
        if not git.move(ref, None, made):
            raise HubError(409, f"Tag reference {ref.decode()} already exists")
    return reply_json({"ref": ref.decode(), "targetCommit": at.decode()})


def _annotated(name: str, message: str, commit: Sha, author: str) -> Tag:
    made = Tag()
    made.name = utf8(name, "a tag")
    made.object = (Commit, ObjectID(commit))
    made.tagger = f"{author} <{author}@users.noreply.localhost>".encode()
    made.tag_time = int(time.time())
    made.tag_timezone = 0
    made.message = utf8(message.replace("\0", "").rstrip("\n") + "\n", "a tag's message")
    return made


def delete_tag(call: Call) -> Reply:
    """Remove a tag."""
    repo = named_repo(call)
    call.hub.writer(repo, call.account)
    _drop(call, check_tag("/".join(call.parts[5:])))
    return reply_json({})


def squash(call: Call) -> Reply:
    """Replace a branch's history by one commit with the same files."""
    repo, branch = named_repo(call), "/".join(call.parts[5:])
    account = call.hub.writer(repo, call.account)
    message = call.json().get("message", "Super-squash")
    if not isinstance(message, str) or not message.strip():
        raise bad_request('"message" is not a text')
    with call.hub.store.lock(repo), call.hub.store.open(repo) as git:
        call.hub.writer(repo, call.account)
        is_tag = git.ref(f"refs/tags/{branch}".encode("utf-8", "replace")) is not None
        ref = commit_ref(branch)
        head = git.ref(ref)
        if head is None and is_tag:
            raise bad_request(f"Invalid reference for a branch: refs/tags/{branch}")
        if head is None:
            raise revision_missing(branch)
        raw = utf8(message.replace("\0", ""), "the message")
        made = git.add(make_commit(git.tree_of(head), [], raw, account.name, time.time()))
        git.move(ref, head, made)
    return reply_json({"commitOid": made.decode()})
