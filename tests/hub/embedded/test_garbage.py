"""Whatever is sent, the answer is never a fault of the server's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charter.hub.embedded import Store, User, make_app
from charter.hub.embedded.app import HubApp

TOKEN = "t"


def send(app: HubApp, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
    """One request straight into the application."""
    raw, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": "/",
        "raw_path": raw.encode("latin-1", "replace"),
        "query_string": query.encode("latin-1", "replace"),
        "headers": [
            (name.lower().encode("latin-1", "replace"), text.encode("latin-1", "replace"))
            for name, text in headers.items()
        ],
        "scheme": "http",
        "server": ("127.0.0.1", 1),
    }
    statuses: list[int] = []
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def answer(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    asyncio.run(app(scope, receive, answer))
    return statuses[0]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> HubApp:
    made = make_app(Store(tmp_path_factory.mktemp("garbage")), [User("me", TOKEN)], {})
    headers = {"Authorization": f"Bearer {TOKEN}"}
    value = json.dumps({"name": "d", "type": "dataset"}).encode()
    assert send(made, "POST", "/api/repos/create", value, headers) == 200
    return made


WORDS = st.sampled_from(
    ["api", "datasets", "models", "spaces", "me", "d", "d.git", "resolve", "raw", "main", "refs",
     "pr", "1", "tree", "commit", "preupload", "branch", "tag", "discussions", "comment", "edit",
     "merge", "revision", "info", "lfs", "objects", "batch", "verify", "lfs-objects", "paths-info",
     "repos", "create", "delete", "move", "settings", "super-squash", "auth-check", "write",
     "commits", "duplicate", "whoami-v2", "validate-yaml", "users", "overview", "organizations",
     ".gitattributes", "..", "", "0" * 64, "0" * 40, "xet-write-token", "xet"]
)  # fmt: skip
SEGMENTS = st.one_of(WORDS, st.text(max_size=12).map(lambda text: quote(text, safe="")))
PATHS = st.lists(SEGMENTS, max_size=9).map(lambda parts: "/" + "/".join(parts))
QUERIES = st.dictionaries(
    st.sampled_from(
        ["limit", "cursor", "p", "expand", "recursive", "blobs", "search", "filter", "sort",
         "create_pr", "size", "until", "signature", "type", "status", "diff", "include_prs"]
    ),
    st.one_of(st.text(max_size=8), st.integers().map(str), st.just("1")),
    max_size=3,
).map(lambda found: "&".join(f"{key}={quote(text)}" for key, text in found.items()))  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["name", "organization", "type", "visibility", "private", "gated", "fromRepo", "toRepo", "tag",
     "message", "startingPoint", "files", "path", "size", "sample", "gitIgnore", "operation",
     "objects", "oid", "content", "title", "description", "pullRequest", "comment", "status",
     "paths", "repository", "sdk", "key", "value", "transfers", "hash_algo"]
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(KEYS, VALUES, max_size=4).map(lambda value: json.dumps(value).encode()),
    VALUES.map(lambda value: json.dumps(value).encode()),
)
HEADERS = st.fixed_dictionaries(
    {
        "Authorization": st.sampled_from(
            [f"Bearer {TOKEN}", "Bearer x", "Basic !!", "Basic bWU6dA=="]
        )
    },
    optional={
        "Range": st.text(max_size=12) | st.just("bytes=0-1"),
        "If-None-Match": st.text(max_size=12),
        "Content-Type": st.sampled_from(["application/json", "application/x-www-form-urlencoded"]),
        "Host": st.text(max_size=12),
    },
)
CALM = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])


@CALM
@given(method=METHODS, path=PATHS, query=QUERIES, body=BODIES, headers=HEADERS)
def test_any_request(
    app: HubApp, method: str, path: str, query: str, body: bytes, headers: dict[str, str]
) -> None:
    assert send(app, method, f"{path}?{query}", body, headers) < 500


ENDPOINTS = st.sampled_from(
    ["preupload/main", "branch/b", "tag/main", "paths-info/main", "discussions",
     "super-squash/main", "discussions/1/comment", "discussions/1/status", "discussions/1/merge",
     "settings", "duplicate", "discussions/1/title", "commit/main", "commit/main?create_pr=1",
     "lfs-files/batch", "user-access-request/handle", "user-access-request/grant"]
)  # fmt: skip


@CALM
@given(method=st.sampled_from(["POST", "PUT"]), endpoint=ENDPOINTS, body=BODIES)
def test_any_body_to_a_known_endpoint(app: HubApp, method: str, endpoint: str, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    assert send(app, method, f"/api/datasets/me/d/{endpoint}", body, headers) < 500


LINES = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "key": st.sampled_from(
                    ["header", "file", "lfsFile", "deletedFile", "deletedFolder", "copyFile"]
                ),
                "value": st.dictionaries(
                    st.sampled_from(
                        [
                            "summary",
                            "description",
                            "parentCommit",
                            "path",
                            "content",
                            "encoding",
                            "oid",
                            "algo",
                            "size",
                            "srcPath",
                            "srcRevision",
                        ]
                    ),
                    st.one_of(
                        VALUES, st.sampled_from(["a", "a/b", "base64", "YQ==", "main", "0" * 64])
                    ),
                    max_size=5,
                ),
            }
        ),
        VALUES,
    ),
    max_size=4,
)


@CALM
@given(lines=LINES)
def test_any_lines_of_a_commit(app: HubApp, lines: list[Any]) -> None:
    header = {"key": "header", "value": {"summary": "fuzz", "description": ""}}
    for sent in (lines, [header, *lines]):
        body = b"\n".join(json.dumps(line).encode() for line in sent)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert send(app, "POST", "/api/datasets/me/d/commit/main", body, headers) < 500


def test_a_line_that_is_too_long(app: HubApp, monkeypatch: pytest.MonkeyPatch) -> None:
    from charter.hub.embedded import operations

    monkeypatch.setattr(operations, "LONGEST_LINE", 1000)
    line = json.dumps({"key": "header", "value": {"summary": "x" * 1000}}).encode()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert send(app, "POST", "/api/datasets/me/d/commit/main", line, headers) == 413


def test_deep_json(app: HubApp) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    deep = b"[" * 100_000
    for path in ("/api/repos/create", "/api/datasets/me/d/commit/main", "/api/validate-yaml"):
        assert send(app, "POST", path, deep, headers) == 400
    card = json.dumps({"content": "---\n" + "[" * 50_000 + "\n---\n"}).encode()
    assert send(app, "POST", "/api/validate-yaml", card, headers) == 400


def test_a_full_disk_is_said(app: HubApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import errno

    from charter.hub.embedded.store import Store as Kept

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Kept, "create", full)
    value = json.dumps({"name": "e"}).encode()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert send(app, "POST", "/api/repos/create", value, headers) == 507
