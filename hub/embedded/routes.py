"""Which handler answers which request: one visible line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from charter.hub.embedded import (
    api_access,
    api_account,
    api_commit,
    api_discussions,
    api_erase,
    api_files,
    api_info,
    api_lfs,
    api_refs,
    api_repos,
    api_xet,
)
from charter.hub.embedded.errors import HubError, repo_hidden
from charter.hub.embedded.http import Call, Reply
from charter.hub.embedded.names import KINDS

__all__ = ["Route", "find_route"]

Handler = Callable[[Call], Reply]


@dataclass(frozen=True)
class Route:
    """A handler and how it takes the body: `small`, in a `file`, or streamed as a `blob`."""

    handler: Handler
    body: str = "small"


# (method, the segment behind /api/KIND/NAMESPACE/NAME)
_OF_REPO: Final[dict[tuple[str, str], Route]] = {
    ("GET", "revision"): Route(api_info.info),
    ("GET", "refs"): Route(api_refs.refs),
    ("GET", "commits"): Route(api_refs.commits),
    ("GET", "tree"): Route(api_files.tree),
    ("POST", "paths-info"): Route(api_files.paths_info),
    ("GET", "auth-check"): Route(api_repos.auth_check),
    ("GET", "user-access-request"): Route(api_access.access),
    ("POST", "user-access-request"): Route(api_access.access),
    ("GET", "lfs-files"): Route(api_erase.large_files),
    ("POST", "lfs-files"): Route(api_erase.erase),
    ("PUT", "settings"): Route(api_repos.settings),
    ("POST", "duplicate"): Route(api_repos.duplicate),
    ("POST", "branch"): Route(api_refs.create_branch),
    ("DELETE", "branch"): Route(api_refs.delete_branch),
    ("POST", "tag"): Route(api_refs.create_tag),
    ("DELETE", "tag"): Route(api_refs.delete_tag),
    ("POST", "super-squash"): Route(api_refs.squash),
    ("POST", "preupload"): Route(api_commit.preupload),
    ("POST", "commit"): Route(api_commit.commit, "file"),
    ("GET", "xet-write-token"): Route(api_xet.write_token),
}
_FIXED: Final[dict[tuple[str, ...], Route]] = {
    ("GET", "api", "whoami-v2"): Route(api_account.whoami),
    ("POST", "api", "validate-yaml"): Route(api_account.validate_yaml),
    ("POST", "api", "repos", "create"): Route(api_repos.create),
    ("DELETE", "api", "repos", "delete"): Route(api_repos.delete),
    ("POST", "api", "repos", "move"): Route(api_repos.move),
    ("GET", "api", "models"): Route(api_info.list_repos),
    ("GET", "api", "datasets"): Route(api_info.list_repos),
    ("GET", "api", "spaces"): Route(api_info.list_repos),
    ("GET", "api", "settings", "repositories"): Route(api_info.own_repos),
}
_ACTIONS: Final = {action for _, action in _OF_REPO} | {"discussions", "like"}


def _no_repo(call: Call) -> Reply:
    """An id of one word: the real Hub has a few such repos, this one has none."""
    raise repo_hidden(call.account is None)


_NO_REPO: Final = Route(_no_repo)
_UPLOAD: Final = Route(lambda call: Reply(500, b""), "blob")
_NEEDS_MORE: Final = {"revision", "tree", "branch", "tag", "preupload", "commit"}


def find_route(method: str, parts: tuple[str, ...]) -> Route:
    """The handler of a request.

    Raises:
        HubError: 404, or 401 and 404 RepoNotFound for an id without a namespace.
    """
    asked = "GET" if method == "HEAD" else method
    found = _FIXED.get((asked, *parts))
    if found is None and parts[0] == "api":
        found = _api(asked, parts)
    elif found is None:
        found = _content(asked, parts)
    if found is None:
        raise HubError(404, "Sorry, we can't find the page you are looking for.")
    return found


def _api(method: str, parts: tuple[str, ...]) -> Route | None:
    if len(parts) == 4 and parts[1] in ("users", "organizations") and parts[3] == "overview":
        return Route(api_account.overview) if method == "GET" else None
    if len(parts) == 4 and parts[1] == "users" and parts[3] == "likes":
        return Route(api_account.likes) if method == "GET" else None
    if len(parts) == 4 and parts[1] == "organizations" and parts[3] == "members":
        return Route(api_account.members) if method == "GET" else None
    if (
        len(parts) == 5
        and parts[1] == "organizations"
        and parts[3:] == ("settings", "repositories")
    ):
        return Route(api_info.own_repos) if method == "GET" else None
    if len(parts) < 3 or parts[1] not in KINDS:
        return None
    if len(parts) == 3 or (len(parts) == 5 and parts[3] == "revision"):
        return _NO_REPO
    if len(parts) == 4:
        return Route(api_info.info) if method == "GET" else _NO_REPO
    if parts[3] in _ACTIONS and parts[4] not in _ACTIONS:
        return _NO_REPO
    if parts[4] == "discussions":
        return _discussions(method, parts)
    if parts[4] in _NEEDS_MORE and len(parts) < 6:
        return None
    return _OF_REPO.get((method, parts[4]))


def _xet(method: str, rest: tuple[str, ...]) -> Route:
    if method == "POST" and rest[:2] == ("v1", "xorbs") and len(rest) == 4:
        return Route(api_xet.put_xorb, "file")
    if method == "POST" and rest in (("v1", "shards"), ("shards",)):
        return Route(api_xet.put_shard, "file")
    return Route(api_xet.missing)


def _discussions(method: str, parts: tuple[str, ...]) -> Route | None:
    if len(parts) == 5:
        known = {"GET": Route(api_discussions.list_all), "POST": Route(api_discussions.start)}
        return known.get(method)
    if len(parts) == 6:
        return Route(api_discussions.one) if method == "GET" else None
    return Route(api_discussions.change) if method == "POST" else None


def _content(method: str, parts: tuple[str, ...]) -> Route | None:
    if parts[0] == "lfs-objects" and len(parts) == 5:
        return {"PUT": _UPLOAD, "GET": Route(api_lfs.download)}.get(method)
    if parts[0] == "xet" and len(parts) > 6:
        return _xet(method, parts[5:])
    rest = parts[1:] if parts[0] in KINDS else parts
    if len(rest) > 2 and rest[1] in ("resolve", "raw") and rest[2] not in ("resolve", "raw"):
        return _NO_REPO
    if len(rest) > 4 and rest[2] in ("resolve", "raw"):
        return Route(api_files.resolve) if method == "GET" else None
    if len(rest) == 6 and rest[1].endswith(".git") and rest[2:5] == ("info", "lfs", "objects"):
        known = {"batch": Route(api_lfs.batch), "verify": Route(api_lfs.verify)}
        return known.get(rest[5]) if method == "POST" else None
    return None
