"""Discussions and pull requests over HTTP."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any, Final

from dulwich.objects import ObjectID

from charter.hub.embedded.discussions import (
    add_event,
    all_discussions,
    comment_event,
    open_discussion,
    open_pull_request,
    read_discussion,
    write_discussion,
)
from charter.hub.embedded.errors import HubError, bad_request, forbidden
from charter.hub.embedded.git import Flat, Git, Sha, make_commit
from charter.hub.embedded.http import Call, Reply, reply_json
from charter.hub.embedded.hub import named_repo
from charter.hub.embedded.listing import stamp
from charter.hub.embedded.names import RepoId, utf8
from charter.hub.embedded.users import Account

__all__ = ["change", "list_all", "one", "start"]

_PAGE: Final = 50
_LONGEST: Final = 65_536
_MOST_DIFF: Final = 1_000_000  # bytes
_OPEN: Final = ("open", "draft")


def _text(value: dict[str, Any], name: str, shortest: int = 1) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not shortest <= len(found.strip()) <= _LONGEST:
        raise bad_request(f'"{name}" is missing, too short or too long')
    utf8(found, f'"{name}"')
    return found.strip()


def _number(call: Call) -> int:
    text = call.parts[5]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise HubError(404, "No such discussion")
    return int(text)


def _shown(call: Call, repo: RepoId, value: dict[str, Any]) -> dict[str, Any]:
    keys = ("num", "title", "status", "author", "isPullRequest", "createdAt")
    shown = {key: value[key] for key in keys}
    shown["repo"] = {"name": repo.full, "type": repo.type}
    return shown


def list_all(call: Call) -> Reply:
    """A page of a repo's discussions, newest first."""
    repo = named_repo(call)
    call.hub.readable(repo, call.account)
    kind, status = call.query.get("type", "all"), call.query.get("status", "all")
    author = call.query.get("author")
    wanted = [
        _shown(call, repo, value)
        for value in all_discussions(call.hub.store, repo)
        if (kind == "all" or value["isPullRequest"] == (kind == "pull_request"))
        and (status == "all" or (value["status"] in _OPEN) == (status == "open"))
        and (author is None or value["author"]["name"] == author)
    ]
    start_ = call.whole("p", 0, 10**6) * _PAGE
    page = wanted[start_ : start_ + _PAGE]
    body = {"discussions": page, "count": len(wanted), "start": start_}
    return reply_json({**body, "numClosedDiscussions": 0})


def start(call: Call) -> Reply:
    """Open a discussion, or a pull request without changes yet."""
    repo = named_repo(call)
    account = call.hub.contributor(repo, call.account)
    value = call.json()
    title = _text(value, "title", 3)
    description = value.get("description") or ""
    if not isinstance(description, str) or len(title) > 200:
        raise bad_request('"title" or "description" cannot be used')
    utf8(description, '"description"')
    store = call.hub.store
    with store.lock(repo), store.open(repo) as git:
        call.hub.contributor(repo, call.account)
        if value.get("pullRequest"):
            number = open_pull_request(
                store,
                repo,
                git,
                git.resolve("main"),
                title=title,
                description=description,
                author=account.name,
                branch="main",
                status="draft",
            )
        else:
            made = open_discussion(
                store, repo, title=title, description=description, author=account.name
            )
            number = made["num"]
    address = f"{call.base}/{repo.prefix}{repo.full}/discussions/{number}"
    return reply_json(
        {"num": number, "url": address, "pullRequest": bool(value.get("pullRequest"))}
    )


def one(call: Call) -> Reply:
    """A discussion with its events; a pull request with its diff."""
    repo = named_repo(call)
    call.hub.readable(repo, call.account)
    value = read_discussion(call.hub.store, repo, _number(call))
    shown = {**_shown(call, repo, value), "events": value["events"]}
    if value["isPullRequest"]:
        with call.hub.store.open(repo) as git:
            head, branch = _heads(git, value)
            base = _base(git, head, branch)
            shown["changes"] = value["changes"]
            shown["filesWithConflicts"] = (
                _conflicts(git, base, head, branch) if value["status"] in _OPEN else False
            )
            if call.flag("diff"):
                call.hub.contents(repo, call.account)
                shown["diff"] = _diff(git, base, head)
    return reply_json(shown)


def _heads(git: Git, value: dict[str, Any]) -> tuple[Sha, Sha]:
    head = git.ref(f"refs/pr/{value['num']}".encode())
    branch = git.ref(value["changes"]["base"].encode())
    if head is None or branch is None:
        raise HubError(404, "the branch of the pull request is gone", code="RevisionNotFound")
    return head, branch


def _base(git: Git, head: Sha, branch: Sha) -> Sha | None:
    from dulwich.graph import find_merge_base

    found = find_merge_base(git.repo, [ObjectID(head), ObjectID(branch)])
    return bytes(found[0]) if found else None


def _changed(before: Flat, after: Flat) -> set[bytes]:
    return {path for path in {*before, *after} if before.get(path) != after.get(path)}


def _conflicts(git: Git, base: Sha | None, head: Sha, branch: Sha) -> list[str] | bool:
    common: Flat = git.flat(base) if base else {}
    ours, theirs = git.flat(branch), git.flat(head)
    both = _changed(common, ours) & _changed(common, theirs)
    found = sorted(path for path in both if ours.get(path) != theirs.get(path))
    return [path.decode(errors="replace") for path in found] or False


def _diff(git: Git, base: Sha | None, head: Sha) -> str:
    from dulwich.patch import write_tree_diff

    out = io.BytesIO()
    before = ObjectID(git.tree_of(base)) if base else None
    write_tree_diff(out, git.repo.object_store, before, ObjectID(git.tree_of(head)))
    return out.getvalue()[:_MOST_DIFF].decode(errors="replace")


def change(call: Call) -> Reply:
    """Comment, rename, close, open, merge, edit or hide."""
    repo, number, what = named_repo(call), _number(call), call.parts[6:]
    account = call.hub.contributor(repo, call.account)
    value = call.json()
    with call.hub.store.lock(repo):
        call.hub.contributor(repo, call.account)
        found = read_discussion(call.hub.store, repo, number)
        mine = account.owns(repo.namespace) or found["author"]["name"] == account.name
        if what == ("merge",):
            return _merge(call, repo, found, account)
        if len(what) == 3 and what[0] == "comment" and what[2] in ("edit", "hide"):
            shown = _amend(found, what[1], what[2], value, account, repo)
        elif len(what) == 1 and what[0] in _CHANGES:
            if what[0] != "comment" and not mine:
                raise forbidden("only its author and the repo's owners may change it")
            shown = _CHANGES[what[0]](found, value, account)
        else:
            raise HubError(404, "Not found")
        write_discussion(call.hub.store, repo, found)
    return reply_json(shown)


def _comment(found: dict[str, Any], value: dict[str, Any], account: Account) -> dict[str, Any]:
    return {"newMessage": comment_event(found, account.name, _text(value, "comment"))}


def _rename(found: dict[str, Any], value: dict[str, Any], account: Account) -> dict[str, Any]:
    title = _text(value, "title", 3)
    if len(title) > 200:
        raise bad_request('"title" is over 200 characters')
    data = {"from": found["title"], "to": title}
    found["title"] = title
    return {"newTitle": add_event(found, "title-change", account.name, data)}


def _status(found: dict[str, Any], value: dict[str, Any], account: Account) -> dict[str, Any]:
    status = value.get("status")
    if status not in ("open", "closed", "draft"):
        raise bad_request('"status" is neither open nor closed')
    if found["status"] in (status, "merged"):
        raise bad_request(f"it is {found['status']} already")
    if value.get("comment"):
        comment_event(found, account.name, _text(value, "comment"))
    found["status"] = status
    return {"newStatus": add_event(found, "status-change", account.name, {"status": status})}


_CHANGES: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "comment": _comment,
    "title": _rename,
    "status": _status,
}


def _amend(
    found: dict[str, Any],
    number: str,
    what: str,
    value: dict[str, Any],
    account: Account,
    repo: RepoId,
) -> dict[str, Any]:
    events = [e for e in found["events"] if e["id"] == number and e["type"] == "comment"]
    if not events:
        raise HubError(404, "No such comment")
    event = events[0]
    mine = event["author"]["name"] == account.name
    if not mine and not (what == "hide" and account.owns(repo.namespace)):
        raise forbidden("it is somebody else's comment")
    data = event["data"]
    if data["hidden"]:
        raise bad_request("the comment is hidden")
    text = _text(value, "content") if what == "edit" else "This comment has been hidden"
    latest = {
        "raw": text,
        "html": "",
        "updatedAt": stamp(time.time()),
        "author": {"name": account.name},
    }
    if what == "hide":
        data.update(hidden=True, edited=True, latest=latest, history=[])
        data.update(hiddenBy=account.name)
    else:
        data.update(edited=True, latest=latest, history=[*data["history"], latest])
    return {"updatedComment": event}


def _merge(call: Call, repo: RepoId, found: dict[str, Any], account: Account) -> Reply:
    call.hub.writer(repo, call.account)
    value = call.json()
    if not found["isPullRequest"] or found["status"] not in _OPEN:
        raise bad_request(f"it is no open pull request: {found['status']}")
    with call.hub.store.open(repo) as git:
        head, branch = _heads(git, found)
        base = _base(git, head, branch)
        conflicts = _conflicts(git, base, head, branch)
        if conflicts:
            raise HubError(409, "the pull request is in conflict with its branch")
        common: Flat = git.flat(base) if base else {}
        ours, theirs = git.flat(branch), git.flat(head)
        for path in _changed(common, theirs):
            if path in theirs:
                ours[path] = theirs[path]
            else:
                ours.pop(path, None)
        title = f"{found['title']} (#{found['num']})"
        tree = git.write_tree(ours)
        raw = utf8(title.replace("\0", ""), "the title")
        made = git.add(make_commit(tree, [branch], raw, account.name, time.time()))
        ref = found["changes"]["base"].encode()
        if not git.move(ref, branch, made):
            raise HubError(409, "the branch has moved: try again")
    if value.get("comment"):
        comment_event(found, account.name, _text(value, "comment"))
    found["status"] = "merged"
    found["changes"]["mergeCommitId"] = made.decode()
    add_event(found, "status-change", account.name, {"status": "merged"})
    write_discussion(call.hub.store, repo, found)
    return reply_json({"mergeCommitId": made.decode()})
