"""The first version of a repo on a Hub: when the repo is made, and whose card it may have had."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pointed import pointed

from charter.errors import Failure, InputError
from charter.hub import Draft, HubOptions, heads_of, open_remote, publish_hub, push
from charter.hub.embedded import User
from charter.hub.embedded.child import launch

# The client's own, of the library beneath it.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOKEN = "hf_owner_0123456789"
REPO = "me/small"
LICENCE = b"---\nlicense: mit\n---\n"
OURS = LICENCE + b"Read this first.\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    running = launch(tmp_path_factory.mktemp("hub"), users=[User("me", TOKEN, "write")])
    yield running.address
    assert running.stop() == 0


@pytest.fixture
def hub(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The clients of this process, pointed at the embedded Hub; each test begins without repo."""
    api = pointed(server, TOKEN, tmp_path / "hub-cache", monkeypatch)
    yield api
    with contextlib.suppress(Exception):
        api.delete_repo(REPO, repo_type="dataset")


def with_card(hub: Any, card: bytes) -> None:
    """Make the repo with nothing in it but a card."""
    hub.create_repo(REPO, repo_type="dataset")
    hub.upload_file(
        path_or_fileobj=card, path_in_repo="README.md", repo_id=REPO, repo_type="dataset"
    )


def card_of(tag: str) -> bytes:
    return (open_remote(f"{REPO}@{tag}").path / "README.md").read_bytes()


@pytest.mark.parametrize("card", ["fail", "keep", "replace"])
def test_a_card_that_was_there_before_is_peoples_own(
    hub: Any, make_draft: Callable[..., Draft], store: Path, card: str
) -> None:
    with_card(hub, OURS)
    if card == "fail":
        with pytest.raises(InputError, match=r"README\.md: people have written a card; use --card"):
            publish_hub(make_draft(), store)
        return
    tag = publish_hub(make_draft(), store, HubOptions(card=card)).tag
    assert (card_of(tag) == OURS) == (card == "keep")


def test_a_card_of_a_licence_alone_is_nobodys(
    hub: Any, make_draft: Callable[..., Draft], store: Path
) -> None:
    with_card(hub, LICENCE)
    assert f"# {REPO} v0.1.0\n".encode() in card_of(publish_hub(make_draft(), store).tag)


def test_what_fails_its_checks_makes_no_repo(
    hub: Any, make_draft: Callable[..., Draft], store: Path
) -> None:
    draft = make_draft()
    with pytest.raises(Failure, match="99"):
        publish_hub(replace(draft, ledgers={**draft.ledgers, "prompts": 99}), store)
    assert not hub.repo_exists(REPO, repo_type="dataset")


@pytest.mark.parametrize("rebase", [False, True])
def test_a_repo_that_another_publisher_made_and_filled_meanwhile_is_no_new_one(
    hub: Any,
    make_draft: Callable[..., Draft],
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rebase: bool,
) -> None:
    check_room = push.check_room

    def meanwhile(*given: Any) -> None:
        monkeypatch.setattr(push, "check_room", check_room)
        publish_hub(make_draft(), tmp_path / "another's")
        check_room(*given)

    monkeypatch.setattr(push, "check_room", meanwhile)
    other = make_draft(constitution_yaml=make_draft().constitution_yaml + "# ours\n")
    faster = pytest.raises(Failure, match="another publisher was faster")
    with contextlib.nullcontext() if rebase else faster:
        publish_hub(other, store, HubOptions(rebase=rebase))
    tags = [str(tag) for tag in heads_of(hub, REPO).tags]
    assert tags == ["v0.1.0", "v0.1.1"][: 1 + rebase]
    assert "# ours" not in (open_remote(f"{REPO}@v0.1.0").path / "constitution.yaml").read_text()
