"""What a Hub has: its refs, a version by its commit, and what is told where it refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub.utils import hf_raise_for_status
from pointed import pointed

from charter.errors import Failure, InputError
from charter.hub import heads_of, open_remote, publish_hub
from charter.hub.embedded import User
from charter.hub.embedded.child import launch
from charter.hub.held_remote import latest_on_hub, manifest_at
from charter.hub.remote import Pinned, hub_faults, snapshot
from charter.hub.settle import make_tag

# The client's own, of the library beneath it.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOKEN = "hf_owner_0123456789"
REPO = "me/small"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    running = launch(tmp_path / "hub", users=[User("me", TOKEN, "write")])
    yield pointed(running.address, TOKEN, tmp_path / "hub-cache", monkeypatch)
    assert running.stop() == 0


@pytest.fixture
def refusing() -> Iterator[Any]:
    """Starts a server that answers everything in one way; its address."""
    servers = []

    def start(status: int, **headers: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}"

    yield start
    for each in servers:
        each.shutdown()
        each.server_close()


@pytest.mark.parametrize(
    ("status", "headers", "error", "what"),
    [
        (403, {"X_Error_Code": "GatedRepo"}, InputError, "is gated; ask for access"),
        (404, {"X_Error_Code": "RepoNotFound"}, InputError, "no such dataset repo"),
        (404, {"X_Error_Code": "RevisionNotFound"}, InputError, "no such revision"),
        (403, {"X_Error_Message": "read only"}, InputError, "says 403: read only; log in"),
        (500, {"X_Error_Message": "broken " * 90}, Failure, "says 500: broken .*; try again"),
    ],
)
def test_what_a_hub_refuses_is_told_with_what_to_do(
    refusing: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    headers: dict[str, str],
    error: type[Exception],
    what: str,
) -> None:
    api = pointed(refusing(status, **headers), TOKEN, tmp_path, monkeypatch)
    with pytest.raises(error, match=what) as raised:
        heads_of(api, REPO)
    assert len(str(raised.value)) < 300


def test_a_hub_that_is_not_there_is_a_failure_and_a_name_that_is_none_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = pointed("http://127.0.0.1:9", TOKEN, tmp_path, monkeypatch)
    with pytest.raises(Failure, match="not reached"):
        heads_of(api, REPO)
    with pytest.raises(Failure, match="not in the cache, and no Hub"):
        manifest_at(api, REPO, "0" * 40)  # not the same as a commit without a manifest
    with pytest.raises(InputError, match="write it as owner/name"), hub_faults("a/b/c"):
        api.repo_info("a/b/c", repo_type="dataset")


def test_no_message_has_a_token_or_what_signs_an_address() -> None:
    address = "https://me:hunter2@disk.example/some/file?X-Amz-Credential=AKIA&X-Amz-Signature=beef"
    answer = httpx.Response(
        403,
        headers={"X-Error-Message": f"{TOKEN} may not PUT {address}"},
        request=httpx.Request("PUT", address),
    )

    def uploaded() -> None:
        """Fails as the client's own upload does."""
        try:
            hf_raise_for_status(answer)
        except Exception as error:
            raise RuntimeError("Error while uploading 'sft/train.parquet' to the Hub.") from error

    for failing in (uploaded, lambda: hf_raise_for_status(answer)):
        with pytest.raises((Failure, InputError)) as raised, hub_faults(REPO):
            failing()
        told = str(raised.value)
        assert "disk.example/some/file" in told
        assert not any(secret in told for secret in (TOKEN, "hunter2", "AKIA", "beef"))


def test_refs_of_other_people_are_no_versions(hub: Any, make_draft: Any, store: Path) -> None:
    publish_hub(make_draft(), store)
    before = heads_of(hub, REPO)
    hub.upload_file(
        path_or_fileobj=b"mine", path_in_repo="own.txt", repo_id=REPO, repo_type="dataset"
    )
    hub.create_branch(REPO, branch="a", revision=before.head, repo_type="dataset")
    hub.create_tag(REPO, tag="latest", repo_type="dataset")
    heads = heads_of(hub, REPO)
    assert heads.tags == before.tags == dict.fromkeys(before.tags, before.head)
    assert heads.head != before.head


def test_a_version_is_what_its_commit_says_whatever_its_tag_says(
    hub: Any, make_draft: Any, store: Path
) -> None:
    published = publish_hub(make_draft(), store)
    hub.upload_file(
        path_or_fileobj=b"mine", path_in_repo="own.txt", repo_id=REPO, repo_type="dataset"
    )
    heads = heads_of(hub, REPO)
    ((tag, commit),) = heads.tags.items()
    assert heads.head is not None
    assert snapshot(Pinned(REPO, tag, heads.head)).name == heads.head
    assert snapshot(Pinned(REPO, tag, commit)).name == commit
    # A tag is made once, by whoever is first.
    make_tag(hub, REPO, str(tag), commit)
    with pytest.raises(Failure, match=r"v0\.1\.0 was made by somebody else"):
        make_tag(hub, REPO, str(tag), heads.head)
    assert heads_of(hub, REPO) == heads
    # And one that was put on another version names neither.
    hub.create_tag(REPO, tag="v0.5.0", revision=commit, repo_type="dataset")
    with pytest.raises(InputError, match=r"its manifest says v0\.1\.0, its tag v0\.5\.0"):
        open_remote(f"{REPO}@v0.5.0")
    assert open_remote(f"{REPO}@0.1.0").manifest == published.manifest
    with pytest.raises(InputError, match="names no version"):
        open_remote(f"{REPO}@")


def test_the_latest_release_is_no_candidate(hub: Any, make_draft: Any, store: Path) -> None:
    assert latest_on_hub(REPO) is None
    publish_hub(make_draft(version="v0.9.0-rc"), store)
    assert latest_on_hub(REPO) is None
    for version in ("v0.9.0", "v0.10.0", "v0.11.0-rc"):
        draft = make_draft(version=version)
        draft.rows["sft"][0]["initial_response"] = version
        publish_hub(draft, store)
    found = latest_on_hub(REPO)
    assert found is not None and found[1].tag == "v0.10.0"
    assert found[0] == open_remote(f"{REPO}@v0.10.0").commit
