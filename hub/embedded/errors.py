"""What the embedded Hub answers when it says no: a status, a code and a sentence."""

from __future__ import annotations

from typing import Any, Final

__all__ = [
    "HubError",
    "bad_request",
    "entry_missing",
    "forbidden",
    "repo_hidden",
    "revision_missing",
    "unauthorized",
]

_UNKNOWN: Final = "Invalid username or password."


class HubError(Exception):
    """A refusal, as the real Hub words it in headers and JSON.

    Attributes:
        status: the HTTP status.
        message: one sentence, for `X-Error-Message` and the JSON's `error`.
        code: `RepoNotFound`, `RevisionNotFound`, `EntryNotFound`, `GatedRepo`, or none.
        extra: further fields of the JSON, such as `url`.
        headers: further headers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.extra = extra or {}
        self.headers = headers or {}


def bad_request(message: str) -> HubError:
    """The request cannot be understood or done: 400."""
    return HubError(400, message)


def forbidden(message: str) -> HubError:
    """Known, but not allowed: 403."""
    return HubError(403, message)


def unauthorized(message: str = "Invalid credentials in Authorization header") -> HubError:
    """A token that nobody has: 401."""
    return HubError(401, message)


def repo_hidden(anonymous: bool) -> HubError:
    """No such repo, or none for this caller: the two must look the same."""
    if anonymous:
        return HubError(401, _UNKNOWN, code="RepoNotFound")
    return HubError(404, "Repository not found", code="RepoNotFound")


def revision_missing(revision: str) -> HubError:
    """No branch, tag or commit of that name."""
    return HubError(404, f"Invalid rev id: {revision[:200]}", code="RevisionNotFound")


def entry_missing(commit: str | None = None, message: str = "Entry not found") -> HubError:
    """No such file at that commit. Clients remember that, so the commit goes along."""
    headers = {"X-Repo-Commit": commit} if commit else {}
    return HubError(404, message, code="EntryNotFound", headers=headers)
