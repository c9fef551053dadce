"""The Hub itself: a store, its users, and who may do what with a repo."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass

from charter.hub.embedded.errors import HubError, forbidden, repo_hidden
from charter.hub.embedded.http import Call
from charter.hub.embedded.names import KINDS, RepoId, parse_repo_id
from charter.hub.embedded.store import RepoFacts, Store
from charter.hub.embedded.users import Account, Accounts

__all__ = ["Hub", "named_repo"]

_READ_ONLY = "this token can only read"


@dataclass(frozen=True)
class Hub:
    """What a server serves.

    Attributes:
        store: the repos.
        accounts: the users.
        secret: what signed addresses are signed with.
    """

    store: Store
    accounts: Accounts
    secret: bytes

    def signed(self, text: str, seconds: int = 86_400) -> tuple[int, str]:
        """A signature of a text that holds for some time, and until when."""
        until = int(time.time()) + seconds
        return until, self._signature(f"{until}:{text}")

    def is_signed(self, text: str, until: str, signature: str) -> bool:
        """Whether a signature is ours and still holds."""
        wanted = self._signature(f"{until}:{text}")
        fine = hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace"))
        return fine and until.isascii() and until.isdecimal() and int(until) > time.time()

    def _signature(self, text: str) -> str:
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()

    def readable(self, repo: RepoId, account: Account | None) -> RepoFacts:
        """A repo's facts, where the caller may see it.

        Raises:
            HubError: 401 or 404, the same as for a repo that is not there.
        """
        facts = self.store.facts(repo)
        if facts is None:
            raise repo_hidden(account is None)
        if facts.private and not (account and account.owns(repo.namespace)):
            raise repo_hidden(account is None)
        return facts

    def contents(self, repo: RepoId, account: Account | None) -> RepoFacts:
        """A repo's facts, where the caller may read its files.

        Raises:
            HubError: as `readable`; 401 or 403 GatedRepo.
        """
        facts = self.readable(repo, account)
        if facts.gated and not (account and account.owns(repo.namespace)):
            if account is None:
                what = f"Access to {repo.type} {repo.full} is restricted. Please log in."
                raise HubError(401, what, code="GatedRepo")
            if facts.access.get(account.name) != "accepted":
                what = (
                    f"Access to {repo.type} {repo.full} is restricted and you are not in the "
                    "authorized list."
                )
                raise HubError(403, what, code="GatedRepo")
        return facts

    def contributor(self, repo: RepoId, account: Account | None) -> Account:
        """Somebody who may open pull requests and discussions: who may read, and is known.

        Raises:
            HubError: 401, 403 or 404.
        """
        self.readable(repo, account)
        known = signed_in(account)
        if not known.can_write:
            raise forbidden(_READ_ONLY)
        return known

    def writer(self, repo: RepoId, account: Account | None) -> Account:
        """Somebody who may change the repo.

        Raises:
            HubError: 401, 403 or 404.
        """
        known = self.contributor(repo, account)
        if not known.owns(repo.namespace):
            raise forbidden(f"You don't have the rights to change {repo.full}")
        return known

    def creator(self, namespace: str, account: Account | None) -> Account:
        """Somebody who may make repos in a namespace.

        Raises:
            HubError: 401 or 403.
        """
        known = signed_in(account)
        if not known.can_write:
            raise forbidden(_READ_ONLY)
        if not known.owns(namespace):
            what = f'You don\'t have the rights to create a repo under the namespace "{namespace}"'
            raise forbidden(what)
        return known


def signed_in(account: Account | None) -> Account:
    """The account, where there is one.

    Raises:
        HubError: 401.
    """
    if account is None:
        raise HubError(401, "Invalid username or password.")
    return account


def named_repo(call: Call, parts: tuple[str, ...] | None = None) -> RepoId:
    """The repo that a path names.

    Args:
        call: the request.
        parts: kind, namespace, name and more; those after `/api/` where not given.

    Raises:
        HubError: 401 or 404 for a name that no repo can have.
    """
    kind, namespace, name = (call.parts[1:] if parts is None else parts)[:3]
    assert kind in KINDS
    try:
        return call.hub.store.actual(parse_repo_id(kind, namespace, name))
    except HubError:
        raise repo_hidden(call.account is None) from None
