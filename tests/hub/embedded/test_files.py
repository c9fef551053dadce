"""Bytes: whole, in ranges, by entity tag, up and down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd

from .conftest import ADA, BEN, GUEST

Client = Callable[..., Any]
# The client's own way of sending a file, of which its HTTP library warns.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
CONTENT = bytes(range(256)) * 8


@pytest.fixture
def filled(api: Any, repo: str) -> str:
    operations = [CommitOperationAdd("l.parquet", CONTENT), CommitOperationAdd("s.txt", b"small")]
    api.create_commit(repo, operations, commit_message="files", repo_type="dataset")
    return repo


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-9", 5, 9),
        ("bytes=2040-", 2040, 2047),
        ("bytes=-8", 2040, 2047),
        ("bytes=-9999", 0, 2047),
        ("bytes=2000-99999", 2000, 2047),
    ],
)
def test_ranges(filled: str, call: Client, asked: str, first: int, last: int) -> None:
    got = call("GET", f"/datasets/{filled}/resolve/main/l.parquet", headers={"Range": asked})
    assert (got.status, got.body) == (206, CONTENT[first : last + 1])
    assert got.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert got.headers["content-length"] == str(last - first + 1)


def test_ranges_of_a_small_file(filled: str, call: Client) -> None:
    path = f"/datasets/{filled}/resolve/main/s.txt"
    assert call("GET", path, headers={"Range": "bytes=-3"}).body == b"all"
    for asked in ("bytes=5-", "bytes=99-100", "bytes=-0"):
        got = call("GET", path, headers={"Range": asked})
        assert (got.status, got.headers["content-range"]) == (416, "bytes */5")
    for asked in ("bytes=0-1,3-4", "lines=1-2", "bytes=a-b", "bytes=-"):
        assert call("GET", path, headers={"Range": asked}).body == b"small"


def test_heads_and_entity_tags(filled: str, call: Client) -> None:
    for name, content in (("l.parquet", CONTENT), ("s.txt", b"small")):
        path = f"/datasets/{filled}/resolve/main/{name}"
        head = call("HEAD", path)
        assert (head.status, head.body, head.headers["content-length"]) == (
            200,
            b"",
            str(len(content)),
        )
        tag = head.headers["etag"]
        assert call("GET", path, headers={"If-None-Match": tag}).status == 304
        assert call("GET", path, headers={"If-None-Match": '"other"'}).body == content
        both = {"Range": "bytes=0-1", "If-Range": '"other"'}
        assert call("GET", path, headers=both).status == 200
    assert tag == '"' + hashlib.sha1(b"blob 5\0small").hexdigest() + '"'
    large = call("HEAD", f"/datasets/{filled}/resolve/main/l.parquet").headers
    assert large["x-linked-etag"] == large["etag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'


def test_what_is_not_there(filled: str, call: Client) -> None:
    for path, code in (
        (f"/datasets/{filled}/resolve/main/none.txt", "EntryNotFound"),
        (f"/datasets/{filled}/resolve/none/s.txt", "RevisionNotFound"),
        (f"/datasets/{filled}/resolve/main/..%2f..%2fhub.json", "EntryNotFound"),
        (f"/datasets/{filled}/resolve/main/../../hub.json", "EntryNotFound"),
    ):
        got = call("GET", path)
        assert (got.status, got.headers["x-error-code"]) == (404, code)
    assert "x-repo-commit" in call("GET", f"/datasets/{filled}/resolve/main/none.txt").headers


def test_a_page_in_a_repo_is_shown_as_text(api: Any, repo: str, call: Client) -> None:
    page = b"<script>alert(1)</script>"
    api.upload_file(
        path_or_fileobj=page, path_in_repo='"é\r.html'.replace("\r", ""), repo_id=repo,
        repo_type="dataset",
    )  # fmt: skip
    got = call("GET", f"/datasets/{repo}/resolve/main/%22%C3%A9.html")
    assert got.body == page
    assert got.headers["content-type"].startswith("text/plain")
    assert got.headers["x-content-type-options"] == "nosniff"


def slot(call: Client, repo: str, content: bytes, size: int | None = None) -> tuple[str, Any]:
    """Where a large file goes to."""
    oid = hashlib.sha256(content).hexdigest()
    objects = [{"oid": oid, "size": len(content) if size is None else size}]
    value = {"operation": "upload", "transfers": ["basic"], "objects": objects}
    path = f"/datasets/{repo}.git/info/lfs/objects/batch"
    answer = call("POST", path, token=ADA, value=value)
    assert answer.status == 200
    shown = answer.json()["objects"][0]
    address = shown.get("actions", {}).get("upload", {}).get("href", "")
    return "/" + address.split("/", 3)[3] if address else "", shown


def test_uploads_that_are_not_what_was_named(repo: str, call: Client, store: Path) -> None:
    where, _ = slot(call, repo, b"the content")
    for body in (b"the c0ntent", b"the conten", b"", b"the content and more"):
        assert 400 <= call("PUT", where, body=body).status < 500
    assert (
        call("PUT", where.replace("signature=", "signature=0"), body=b"the content").status == 403
    )
    assert call("PUT", where.replace("size=11", "size=12"), body=b"the content").status == 403
    assert not list((store / "repos" / "datasets" / f"{repo}.git").glob("lfs/objects/*/*/*"))
    assert not list((store / "scratch").iterdir())
    assert call("PUT", where, body=b"the content").status == 200
    assert slot(call, repo, b"the content")[0] == ""


def test_who_gets_a_slot(repo: str, call: Client) -> None:
    value = {"operation": "upload", "objects": [{"oid": "0" * 64, "size": 3}]}
    path = f"/datasets/{repo}.git/info/lfs/objects/batch"
    statuses = [call("POST", path, token=token, value=value).status for token in (None, GUEST, BEN)]
    # Ben may propose changes, and so upload what he proposes.
    assert statuses == [401, 403, 200]
    for bad in (
        {"operation": "steal", "objects": []},
        {"operation": "upload", "objects": [{"oid": "../../x", "size": 1}]},
        {"operation": "upload", "objects": [{"oid": "0" * 64, "size": -1}]},
        {"operation": "upload", "objects": [7]},
    ):
        assert call("POST", path, token=ADA, value=bad).status == 400


def test_an_unsigned_address_says_nothing_of_a_repo(api: Any, repo: str, call: Client) -> None:
    api.update_repo_settings(repo, private=True, repo_type="dataset")
    for method, query in (("GET", ""), ("PUT", "?size=1&until=99999999999&signature=0")):
        answers = [
            call(method, f"/lfs-objects/datasets/{name}/{'0' * 64}{query}")
            for name in (repo, "ada/no-such-repo")
        ]
        assert [(one.status, one.body) for one in answers] == [(403, answers[0].body)] * 2


def test_large_files_come_down_by_git_lfs(filled: str, call: Client) -> None:
    oid = hashlib.sha256(CONTENT).hexdigest()
    value = {"operation": "download", "objects": [{"oid": oid, "size": len(CONTENT)}]}
    shown = call("POST", f"/datasets/{filled}.git/info/lfs/objects/batch", value=value).json()
    address = shown["objects"][0]["actions"]["download"]["href"]
    assert call("GET", "/" + address.split("/", 3)[3]).body == CONTENT


def test_a_large_file_is_not_held_in_memory(hub: Any, repo: str, call: Client) -> None:
    def resident() -> int:
        status = Path(f"/proc/{hub.process.pid}/status")
        if not status.exists():
            pytest.skip("no /proc on this machine")
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) // 1024

    before, content = resident(), b"0123456789abcdef" * (8 * 2**20)
    where, _ = slot(call, repo, content)
    assert call("PUT", where, body=content).status == 200
    line = '{"key": "header", "value": {"summary": "large"}}\n{"key": "lfsFile", "value": {"path": '
    line += f'"big.parquet", "algo": "sha256", "oid": "{hashlib.sha256(content).hexdigest()}"}}}}\n'
    made = call("POST", f"/api/datasets/{repo}/commit/main", token=ADA, body=line.encode())
    assert made.status == 200
    assert call("GET", f"/datasets/{repo}/resolve/main/big.parquet").body == content
    assert resident() - before < 64
