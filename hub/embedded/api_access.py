"""Who may read the files of a gated repo: asked for, granted, refused."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from charter.hub.embedded.errors import HubError, bad_request
from charter.hub.embedded.http import Call, Reply, reply_json
from charter.hub.embedded.hub import named_repo
from charter.hub.embedded.listing import stamp
from charter.hub.embedded.names import RepoId
from charter.hub.embedded.store import RepoFacts

__all__ = ["access"]

_STATES = ("pending", "accepted", "rejected")


def _number(user: str) -> str:
    return hashlib.sha256(f"access {user}".encode()).hexdigest()[:24]


def access(call: Call) -> Reply:
    """The requests of one state, or a decision about one."""
    repo = named_repo(call)
    call.hub.writer(repo, call.account)
    what = call.parts[5] if len(call.parts) == 6 else ""
    if call.method == "GET" and what in _STATES:
        return _listed(call, repo, what)
    if call.method == "POST" and what in ("handle", "grant"):
        with call.hub.store.lock(repo):
            facts = call.hub.readable(repo, call.account)
            if not facts.gated:
                raise bad_request("the repo is not gated")
            changed = _handled(call, facts) if what == "handle" else _granted(call, facts)
            call.hub.store.change(repo, access=changed)
        return reply_json({})
    raise HubError(404, "Not found")


def _listed(call: Call, repo: RepoId, state: str) -> Reply:
    facts = call.hub.readable(repo, call.account)
    found: list[dict[str, Any]] = [
        {
            "requestId": _number(user),
            "user": {"user": user, "fullname": user},
            "status": state,
            "timestamp": stamp(time.time()),
        }
        for user, known in sorted(facts.access.items())
        if known == state
    ]
    page, headers = call.page(found, 500)
    return reply_json(page, headers=headers)


def _granted(call: Call, facts: RepoFacts) -> dict[str, str]:
    user = call.json().get("user")
    if not isinstance(user, str) or user not in call.hub.accounts.names:
        raise HubError(404, "No such user")
    if facts.access.get(user) == "accepted":
        raise bad_request(f'"{user}" has access already')
    return {**facts.access, user: "accepted"}


def _handled(call: Call, facts: RepoFacts) -> dict[str, str]:
    value = call.json()
    user, number, state = value.get("user"), value.get("userAccessRequestId"), value.get("status")
    number = number or value.get("requestId")
    if isinstance(number, str):
        user = next((one for one in facts.access if _number(one) == number), None)
    if not isinstance(user, str) or user not in facts.access:
        raise HubError(404, "No such access request")
    if state not in _STATES:
        raise bad_request('"status" is none of pending, accepted, rejected')
    if facts.access[user] == state:
        raise HubError(404, f"the request is {state} already")
    return {**facts.access, user: state}
