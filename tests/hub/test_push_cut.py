"""A publisher whose line is cut at every request in turn: the old version or the new one, whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cutting import CuttingProxy
from pointed import pointed

from charter.errors import CharterError
from charter.hub import open_remote, open_version, publish_hub
from charter.hub.embedded import User
from charter.hub.embedded.child import launch
from charter.hub.remote import heads_of

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
TOKEN = "hf_owner_0123456789"
REPO = "me/small"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    running = launch(tmp_path_factory.mktemp("hub"), users=[User("me", TOKEN, "write")])
    yield running.address
    assert running.stop() == 0


@pytest.fixture
def point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Point the clients of this process at an address."""
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", lambda _: None)  # between the client's own tries
    return lambda url, cache: pointed(url, TOKEN, tmp_path / cache, monkeypatch)


def drafts(make_draft: Any) -> tuple[Any, Any]:
    first = make_draft()
    rows = {name: [dict(row) for row in each] for name, each in first.rows.items()}
    rows["sft"][0]["initial_response"] = "the second version"
    return first, replace(first, rows=rows)


def cut_at(
    number: int, answered: bool, server: str, point: Any, make_draft: Any, folder: Path
) -> bool:
    """Cut the publisher's line after so many requests; whether there were so many."""
    first, second = drafts(make_draft)
    api = point(server, f"{number}-{answered}-a")
    if api.repo_exists(REPO, repo_type="dataset"):
        api.delete_repo(REPO, repo_type="dataset")
    publish_hub(first, folder / "first" / "versions")
    with CuttingProxy(server, number, answered) as proxy:
        point(proxy.url, f"{number}-{answered}-b")
        failed = False
        try:
            publish_hub(second, folder / "second" / "versions")
        except CharterError as error:
            failed = True
            assert TOKEN not in str(error)
        cut = proxy.cut
    assert cut or not failed
    api = point(server, f"{number}-{answered}-c")
    heads = heads_of(api, REPO)
    # Whoever reads a tag, or the head without one, sees a whole version.
    for tag in heads.tags:
        opened = open_remote(f"{REPO}@{tag}")
        said = opened.rows("sft")["initial_response"][0]
        assert (said == "the second version") == (str(tag) == "v0.1.1")
    assert heads.head is not None
    head = api.snapshot_download(REPO, repo_type="dataset", revision=heads.head)
    assert open_version(head).tag in ("v0.1.0", "v0.1.1")
    # And the next publication succeeds, whatever was left behind.
    again = publish_hub(second, folder / "again" / "versions")
    assert again.tag == "v0.1.1"
    assert open_remote(f"{REPO}@v0.1.1").rows("sft")["initial_response"][0] == "the second version"
    assert [str(tag) for tag in heads_of(api, REPO).tags] == ["v0.1.0", "v0.1.1"]
    return cut


def requests_of(server: str, point: Any, make_draft: Any, folder: Path) -> int:
    """How many requests a second publication makes."""
    first, second = drafts(make_draft)
    api = point(server, "count-a")
    if api.repo_exists(REPO, repo_type="dataset"):
        api.delete_repo(REPO, repo_type="dataset")
    publish_hub(first, folder / "versions")
    with CuttingProxy(server) as proxy:
        point(proxy.url, "count-b")
        publish_hub(second, folder / "other" / "versions")
        return proxy.seen


def test_the_line_is_cut_around_commit_and_tag(
    server: str, point: Any, make_draft: Any, tmp_path: Path
) -> None:
    """The last three requests: what stands before the commit, the commit, the tag."""
    count = requests_of(server, point, make_draft, tmp_path / "count")
    for number in range(count - 2, count + 1):
        assert cut_at(number, False, server, point, make_draft, tmp_path / str(number))
    assert not cut_at(count + 1, False, server, point, make_draft, tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("answered", [False, True])
def test_the_line_is_cut_at_every_request(
    server: str, point: Any, make_draft: Any, tmp_path: Path, answered: bool
) -> None:
    count = requests_of(server, point, make_draft, tmp_path / "count")
    for number in range(1, count + (not answered)):
        assert cut_at(number, answered, server, point, make_draft, tmp_path / str(number))
