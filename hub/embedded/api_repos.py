"""Repos as wholes: made, moved, deleted, set, checked."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from typing import Any

from charter.hub.embedded.errors import HubError, bad_request
from charter.hub.embedded.http import Call, Reply, reply_json
from charter.hub.embedded.hub import named_repo, signed_in
from charter.hub.embedded.names import KINDS, RepoId, parse_repo_id
from charter.hub.embedded.store import RepoFacts

__all__ = ["auth_check", "create", "delete", "duplicate", "move", "settings"]

_SDKS = ("gradio", "docker", "static", "streamlit")


def _kind(value: Mapping[str, Any]) -> str:
    given = value.get("type") or "model"
    kinds = {singular: plural for plural, singular in KINDS.items()}
    if not isinstance(given, str) or given not in kinds:
        raise bad_request('"type" is none of model, dataset, space')
    return kinds[given]


def _name(value: Mapping[str, Any], key: str) -> str:
    given = value.get(key)
    if not isinstance(given, str):
        raise bad_request(f'"{key}" is missing or not a text')
    return given


def _private(value: Mapping[str, Any], default: bool) -> bool:
    """Clients of today send a visibility, older ones a flag."""
    visibility, private = value.get("visibility"), value.get("private")
    if visibility is not None:
        if visibility not in ("public", "private", "protected"):
            raise bad_request('"visibility" is neither public nor private')
        return bool(visibility != "public")
    if private is None:
        return default
    if not isinstance(private, bool):
        raise bad_request('"private" is neither true nor false')
    return private


def _named(value: Mapping[str, Any], call: Call) -> RepoId:
    account = signed_in(call.account)
    name, organization = _name(value, "name"), value.get("organization")
    if "/" in name and organization is None:
        organization, _, name = name.partition("/")
    if organization is not None and not isinstance(organization, str):
        raise bad_request('"organization" is not a text')
    return parse_repo_id(_kind(value), organization or account.name, name)


def _address(call: Call, repo: RepoId) -> str:
    return f"{call.base}/{repo.prefix}{repo.full}"


def create(call: Call) -> Reply:
    """Make a repo: 409 with its address where it exists."""
    value = call.json()
    repo = _named(value, call)
    account = call.hub.creator(repo.namespace, call.account)
    sdk = value.get("sdk")
    if repo.kind == "spaces" and sdk not in _SDKS:
        raise bad_request(f'"sdk" is none of {", ".join(_SDKS)}')
    facts = RepoFacts(
        time.time(), private=_private(value, False), sdk=sdk if repo.kind == "spaces" else None
    )
    return _made(call, repo, facts, account.name)


def _made(call: Call, repo: RepoId, facts: RepoFacts, author: str) -> Reply:
    store = call.hub.store
    try:
        store.create(repo, facts, author)
    except HubError as error:
        what = f"You already created this {repo.type} repo: {repo.full}"
        address = _address(call, store.spelled(repo))
        raise HubError(error.status, what, extra={"url": address}) from None
    return reply_json({"url": _address(call, repo), "name": repo.full, "id": facts.number})


def delete(call: Call) -> Reply:
    """Remove a repo for good."""
    # The name of old does not delete: whoever types it may mean a repo that is gone.
    repo = call.hub.store.spelled(_named(call.json(), call))
    with call.hub.store.lock(repo):
        call.hub.writer(repo, call.account)
        call.hub.store.delete(repo)
    return reply_json({"deleted": repo.full})


def move(call: Call) -> Reply:
    """Give a repo another name or namespace."""
    value = call.json()
    kind = _kind(value)
    repos = []
    for key in ("fromRepo", "toRepo"):
        namespace, slash, name = _name(value, key).partition("/")
        if not slash:
            raise bad_request(f'"{key}" is not NAMESPACE/NAME')
        repos.append(parse_repo_id(kind, namespace, name))
    source, target = repos
    if source == target:
        raise bad_request("a repo cannot be moved to its own name")
    source = call.hub.store.spelled(source)
    with call.hub.store.lock(source, target):
        call.hub.writer(source, call.account)
        call.hub.creator(target.namespace, call.account)
        call.hub.store.rename(source, target)
    return reply_json({"url": _address(call, target)})


def settings(call: Call) -> Reply:
    """Change who sees a repo, or whether it is gated."""
    repo, value = named_repo(call), call.json()
    changes: dict[str, Any] = {}
    if "private" in value or "visibility" in value:
        changes["private"] = _private(value, False)
    if "gated" in value:
        if value["gated"] not in ("auto", "manual", False):
            raise bad_request('"gated" is none of auto, manual, false')
        changes["gated"] = value["gated"]
    with call.hub.store.lock(repo):
        call.hub.writer(repo, call.account)
        call.hub.store.change(repo, **changes)
    return reply_json(changes)


def auth_check(call: Call) -> Reply:
    """Whether the caller may read a repo's files, or write them."""
    repo = named_repo(call)
    if call.parts[5:] == ("write",):
        call.hub.writer(repo, call.account)
    elif call.parts[5:]:
        raise HubError(404, "Not found")
    else:
        call.hub.contents(repo, call.account)
    return reply_json({"ok": True})


def duplicate(call: Call) -> Reply:
    """Copy a repo with its history and large files; the copy is the caller's own."""
    source, value = named_repo(call), call.json()
    namespace, slash, name = _name(value, "repository").partition("/")
    if not slash:
        raise bad_request('"repository" is not NAMESPACE/NAME')
    target = parse_repo_id(source.kind, namespace, name)
    facts = call.hub.contents(source, call.account)
    account = call.hub.creator(namespace, call.account)
    made = RepoFacts(time.time(), private=_private(value, facts.private), sdk=facts.sdk)
    reply = _made(call, target, made, account.name)
    store = call.hub.store
    with store.lock(source, target):
        old, new = store.path(source), store.path(target)
        if (old / "lfs").is_dir():
            shutil.copytree(old / "lfs", new / "lfs", copy_function=os.link, dirs_exist_ok=True)
        with store.open(source) as git, store.open(target) as copy:
            head = git.ref(b"refs/heads/main")
            for sha in git.repo.object_store:
                copy.add(git.repo.object_store[sha])
            first = copy.ref(b"refs/heads/main")
            if head is not None:
                copy.move(b"refs/heads/main", first, head)
    return reply
