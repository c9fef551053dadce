"""Who am I, and is this card's metadata valid."""

from __future__ import annotations

import hashlib
from typing import Any

from charter.hub.embedded.cards import check_card
from charter.hub.embedded.errors import HubError, bad_request
from charter.hub.embedded.http import Call, Reply, reply_json
from charter.hub.embedded.hub import signed_in

__all__ = ["likes", "members", "overview", "validate_yaml", "whoami"]


def _number(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:24]


def whoami(call: Call) -> Reply:
    """The user behind the token."""
    account = signed_in(call.account)
    orgs = [
        {
            "type": "org",
            "id": _number(org),
            "name": org,
            "fullname": org,
            "email": None,
            "canPay": False,
            "isEnterprise": False,
            "avatarUrl": "",
            "roleInOrg": "admin" if account.can_write else "read",
        }
        for org in account.orgs
    ]
    token = {"displayName": "charter hub serve", "role": "write" if account.can_write else "read"}
    return reply_json(
        {
            "type": "user",
            "id": _number(account.name),
            "name": account.name,
            "fullname": account.name,
            "email": None,
            "emailVerified": True,
            "canPay": False,
            "isPro": False,
            "periodEnd": None,
            "avatarUrl": "",
            "orgs": orgs,
            "auth": {"type": "access_token", "accessToken": token},
        }
    )


def validate_yaml(call: Call) -> Reply:
    """Faults and warnings of a card: 400 where there is a fault."""
    content = call.json().get("content")
    if not isinstance(content, str):
        raise bad_request('"content" is missing or not a text')
    faults, warnings = check_card(content)
    said = {
        "errors": [{"message": fault} for fault in faults],
        "warnings": [{"message": warning} for warning in warnings],
    }
    return reply_json(said, 400 if faults else 200)


def _person(call: Call, name: str) -> dict[str, Any]:
    kinds = ("models", "datasets", "spaces")
    counts = {
        f"num{kind.capitalize()}": sum(
            repo.namespace == name and not _hidden(call, repo)
            for repo in call.hub.store.repos(kind)
        )
        for kind in kinds
    }
    return {"user": name, "fullname": name, "avatarUrl": "", "isPro": False, **counts}


def _hidden(call: Call, repo: Any) -> bool:
    try:
        call.hub.readable(repo, call.account)
    except HubError:
        return True
    return False


def overview(call: Call) -> Reply:
    """A user or an organisation, with what the caller may see of their repos."""
    _, kind, name, _ = call.parts
    accounts = call.hub.accounts
    if kind == "users" and name in accounts.names:
        orgs = [org for org, members in accounts.orgs.items() if name in members]
        shown = [{"name": org, "fullname": org, "avatarUrl": ""} for org in orgs]
        return reply_json({**_person(call, name), "type": "user", "orgs": shown})
    if kind == "organizations" and name in accounts.orgs:
        number = len(accounts.orgs[name])
        return reply_json({**_person(call, name), "type": "org", "name": name, "numUsers": number})
    raise HubError(404, "No such user or organisation")


def likes(call: Call) -> Reply:
    """What a user likes, or who likes a repo: nothing, since nobody is asked here."""
    return reply_json([])


def members(call: Call) -> Reply:
    """The members of an organisation."""
    name = call.parts[2]
    if name not in call.hub.accounts.orgs:
        raise HubError(404, "No such organisation")
    people = [_person(call, member) for member in call.hub.accounts.orgs[name]]
    shown, headers = call.page(people, 500)
    return reply_json(shown, headers=headers)
