"""Who may do what: users, their tokens, organisations."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from charter.errors import Fault, InputError
from charter.hub.embedded.errors import unauthorized
from charter.hub.embedded.names import NAMESPACE

__all__ = ["Account", "Accounts", "User", "parse_org", "parse_user"]

# What stands first in addresses of the Hub's own.
_RESERVED: Final = frozenset({"api", "datasets", "lfs-objects", "models", "spaces", "xet"})
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,512}")


@dataclass(frozen=True)
class User:
    """A user as the command line names one.

    Attributes:
        name: also the user's namespace.
        token: what clients send; never printed.
        role: `write`, `read` for a token that changes nothing, or `owner` for the user of a
            store that has no other: every namespace is theirs.
    """

    name: str
    token: str = field(repr=False)
    role: str = "write"


@dataclass(frozen=True)
class Account:
    """Who a request comes from.

    Attributes:
        name: the user.
        role: of the token that was sent.
        orgs: the organisations that the user belongs to.
    """

    name: str
    role: str
    orgs: tuple[str, ...]

    @property
    def can_write(self) -> bool:
        """Whether the token may change anything at all."""
        return self.role != "read"

    def owns(self, namespace: str) -> bool:
        """Whether the namespace is the user's own or one of their organisations'."""
        return self.role == "owner" or namespace == self.name or namespace in self.orgs


class Accounts:
    """All users, looked up by token.

    Args:
        users: a name may come twice, with a token that writes and one that reads.
        orgs: organisation -> its members.

    Raises:
        InputError: two users with one token, or a member that is no user.
    """

    def __init__(self, users: tuple[User, ...], orgs: dict[str, tuple[str, ...]]) -> None:
        self.names = frozenset(user.name for user in users)
        self.orgs = dict(orgs)
        self._known = [(_digest(user.token), user) for user in users]
        if len({digest for digest, _ in self._known}) != len(self._known):
            fix = "give each its own"
            raise InputError(Fault("charter hub serve", "--user", "one token twice", fix))
        for org, members in self.orgs.items():
            strangers = [name for name in members if name not in self.names]
            if strangers or org in self.names:
                what = f'"{strangers[0]}" is no user' if strangers else f'"{org}" is a user'
                fix = "name it with --user, or leave it out"
                raise InputError(Fault("charter hub serve", "--org", what, fix))

    def find(self, token: str) -> Account:
        """The account of a token.

        Raises:
            HubError: 401 where nobody has that token.
        """
        sent = _digest(token)
        found: User | None = None
        # Every token is compared in full: the time taken says nothing about any of them.
        for digest, user in self._known:
            if hmac.compare_digest(digest, sent):
                found = user
        if found is None:
            raise unauthorized()
        name = found.name
        orgs = tuple(org for org, members in self.orgs.items() if name in members)
        return Account(name, found.role, orgs)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _free(name: str) -> bool:
    return bool(NAMESPACE.fullmatch(name)) and name.lower() not in _RESERVED


def parse_user(text: str) -> User:
    """A user from `NAME:TOKEN` or `NAME:TOKEN:read`.

    Raises:
        InputError: with no word of the token in it.
    """
    name, _, rest = text.partition(":")
    token, role = rest, "write"
    for ending in ("read", "write"):
        if rest.endswith(f":{ending}"):
            token, role = rest[: -len(ending) - 1], ending
    if not _free(name):
        what, fix = "a user's name is missing or not allowed", "write NAME:TOKEN"
        raise InputError(Fault("charter hub serve", "--user", what, fix))
    if not _TOKEN.fullmatch(token):
        what = f'the token of "{name}" is missing or not plain text'
        raise InputError(Fault("charter hub serve", "--user", what, "write NAME:TOKEN"))
    return User(name, token, role)


def parse_org(text: str) -> tuple[str, tuple[str, ...]]:
    """An organisation from `NAME:USER,USER`.

    Raises:
        InputError: not of that form.
    """
    name, _, rest = text.partition(":")
    members = tuple(part for part in rest.split(",") if part)
    if not _free(name) or not members:
        what = "an organisation is not of the form NAME:USER,USER"
        fix = "name it and its members"
        raise InputError(Fault("charter hub serve", "--org", what, fix))
    return name, members
