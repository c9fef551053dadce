"""Discussions and pull requests: one JSON file each, beside the repo's refs."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from charter.hub.embedded.durable import write_whole
from charter.hub.embedded.errors import HubError
from charter.hub.embedded.git import Git, Sha
from charter.hub.embedded.listing import stamp
from charter.hub.embedded.names import RepoId
from charter.hub.embedded.store import Store

__all__ = [
    "add_event",
    "all_discussions",
    "comment_event",
    "open_discussion",
    "open_pull_request",
    "read_discussion",
    "record_commit",
    "write_discussion",
]


def _folder(store: Store, repo: RepoId) -> Path:
    return store.path(repo) / "discussions"


def all_discussions(store: Store, repo: RepoId) -> Iterator[dict[str, Any]]:
    """All of a repo, newest first."""
    numbers = [int(file.stem) for file in _folder(store, repo).glob("*.json")]
    for number in sorted(numbers, reverse=True):
        yield read_discussion(store, repo, number)


def read_discussion(store: Store, repo: RepoId, number: int) -> dict[str, Any]:
    """One discussion.

    Raises:
        HubError: 404.
    """
    try:
        found = json.loads((_folder(store, repo) / f"{number}.json").read_bytes())
    except FileNotFoundError:
        raise HubError(404, f"No discussion number {number}") from None
    assert isinstance(found, dict)
    return found


def write_discussion(store: Store, repo: RepoId, value: dict[str, Any]) -> None:
    """Keep a discussion; the caller holds the repo's lock."""
    content = json.dumps(value, indent=1).encode()
    file = _folder(store, repo) / f"{value['num']}.json"
    write_whole(file, content, store.scratch, within=store.path(repo))


def _event(kind: str, author: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(12),
        "type": kind,
        "createdAt": stamp(time.time()),
        "author": {"name": author},
        "data": data,
    }


def add_event(value: dict[str, Any], kind: str, author: str, data: dict[str, Any]) -> Any:
    """Add an event to a discussion that the caller then writes."""
    event = _event(kind, author, data)
    value["events"].append(event)
    return event


def comment_event(value: dict[str, Any], author: str, text: str) -> Any:
    """Add a comment to a discussion that the caller then writes."""
    latest = {
        "raw": text,
        "html": "",
        "updatedAt": stamp(time.time()),
        "author": {"name": author},
    }
    data = {"edited": False, "hidden": False, "latest": latest, "history": [latest]}
    return add_event(value, "comment", author, data)


def open_discussion(
    store: Store,
    repo: RepoId,
    *,
    title: str,
    description: str,
    author: str,
    status: str = "open",
    branch: str | None = None,
) -> dict[str, Any]:
    """Open a discussion, or a pull request against a branch; the caller holds the lock."""
    numbers = [int(file.stem) for file in _folder(store, repo).glob("*.json")]
    value: dict[str, Any] = {
        "num": max(numbers, default=0) + 1,
        "title": title,
        "status": status,
        "author": {"name": author},
        "isPullRequest": branch is not None,
        "createdAt": stamp(time.time()),
        "events": [],
    }
    if branch is not None:
        value["changes"] = {"base": f"refs/heads/{branch}", "mergeCommitId": None}
    if description:
        comment_event(value, author, description)
    write_discussion(store, repo, value)
    return value


def open_pull_request(
    store: Store,
    repo: RepoId,
    git: Git,
    head: Sha,
    *,
    title: str,
    description: str,
    author: str,
    branch: str,
    status: str,
) -> int:
    """Open a pull request whose ref points to a commit; the caller holds the lock.

    Returns:
        Its number.
    """
    value = open_discussion(
        store,
        repo,
        title=title,
        description=description,
        author=author,
        status=status,
        branch=branch,
    )
    number = int(value["num"])
    ref = f"refs/pr/{number}".encode()
    git.move(ref, git.ref(ref), head)
    record_commit(store, repo, number, title, head, author)
    return number


def record_commit(
    store: Store, repo: RepoId, number: int, title: str, commit: Sha, author: str
) -> None:
    """Note a commit in a pull request's events; the caller holds the lock."""
    value = read_discussion(store, repo, number)
    add_event(value, "commit", author, {"subject": title, "oid": commit.decode()})
    write_discussion(store, repo, value)
