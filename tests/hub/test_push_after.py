"""Publishing to a Hub after others were there: candidates, the dead, people, an older store."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from answered import answer
from pointed import pointed

from charter.errors import Failure, InputError
from charter.hub import (
    HubOptions,
    data,
    heads_of,
    open_remote,
    open_version,
    publish_hub,
    publish_local,
    push,
)
from charter.hub.embedded import User
from charter.hub.embedded.child import launch
from charter.hub.promote import promote_hub
from charter.hub.retract import retract
from charter.hub.retract_what import What, find_rows
from charter.review.publish import publish_reviews

# The client's own, of the library beneath it.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOKEN, GUEST = "hf_owner_0123456789", "hf_guest_0123456789"
REPO = "me/after"
PAIR = "p3#a~b"
OURS = b"---\nlicense: mit\n---\nRead this first.\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    users = [User("me", TOKEN, "write"), User("guest", GUEST, "write")]
    running = launch(tmp_path_factory.mktemp("hub"), users=users)
    yield running.address
    assert running.stop() == 0


@pytest.fixture
def hub(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The clients of this process, pointed at the embedded Hub; each test begins without repo."""
    api = pointed(server, TOKEN, tmp_path / "hub-cache", monkeypatch)
    yield api
    with contextlib.suppress(Exception):
        api.delete_repo(REPO, repo_type="dataset", token=TOKEN)


@pytest.fixture
def with_p(make_draft: Any) -> Any:
    """Makes a draft of the repo in which one label has this probability."""

    def made(p: float, version: str = "auto") -> Any:
        draft = make_draft()
        rows = {name: [dict(row) for row in each] for name, each in draft.rows.items()}
        rows["preference"][1] |= {"p_chosen": p, "log_odds": math.log(p / (1 - p))}
        return replace(draft, repo=REPO, rows=rows, version=version)

    return made


def edit_card(hub: Any) -> None:
    hub.upload_file(
        path_or_fileobj=OURS, path_in_repo="README.md", repo_id=REPO, repo_type="dataset"
    )


def test_a_candidate_at_the_head_is_no_edited_card(hub: Any, with_p: Any, store: Path) -> None:
    publish_hub(with_p(0.7), store)
    first = publish_hub(with_p(0.75, "rc"), store)
    second = publish_hub(with_p(0.8, "rc"), store)
    release = publish_hub(with_p(0.9), store)
    tags = (first.tag, second.tag, release.tag)
    assert tags == ("v0.1.1-rc.1", "v0.1.1-rc.2", "v0.1.1")
    assert all(open_remote(f"{REPO}@{tag}").tag == tag for tag in tags)


def test_a_card_edited_after_candidates_alone_is_not_lost(
    hub: Any, with_p: Any, store: Path
) -> None:
    publish_hub(with_p(0.7, "rc"), store)
    edit_card(hub)
    with pytest.raises(InputError, match="people have changed the card"):
        publish_hub(with_p(0.8, "rc"), store)


def test_a_card_that_was_kept_is_kept_again(hub: Any, with_p: Any, store: Path) -> None:
    publish_hub(with_p(0.7), store)
    edit_card(hub)
    keep = HubOptions(card="keep")
    for p in (0.75, 0.8):
        tag = publish_hub(with_p(p), store, keep).tag
        assert (open_remote(f"{REPO}@{tag}").path / "README.md").read_bytes() == OURS
    with pytest.raises(InputError, match="people have changed the card"):
        publish_hub(with_p(0.9), store)
    tag = publish_hub(with_p(0.9), store, HubOptions(card="replace")).tag
    assert f"# {REPO} {tag}" in (open_remote(f"{REPO}@{tag}").path / "README.md").read_text()


@pytest.mark.parametrize("name", ["README.md", "charter.json"])
def test_a_file_that_is_gone_is_written_anew(hub: Any, with_p: Any, store: Path, name: str) -> None:
    publish_hub(with_p(0.7), store)
    hub.delete_file(name, REPO, repo_type="dataset")
    assert open_remote(f"{REPO}@{publish_hub(with_p(0.8), store).tag}").tag == "v0.1.1"


def test_the_tag_goes_to_the_commit_of_the_version_and_not_to_an_edit_after_it(
    hub: Any, with_p: Any, store: Path
) -> None:
    publish_hub(with_p(0.7), store)
    publish_hub(with_p(0.8), store)
    hub.delete_tag(REPO, tag="v0.1.1", repo_type="dataset")  # as if its publisher had died
    edit_card(hub)
    with pytest.raises(InputError, match="people have changed the card"):
        publish_hub(with_p(0.9), store)
    assert open_remote(f"{REPO}@v0.1.1").find(PAIR).row["p_chosen"] == 0.8


def test_a_dry_run_after_a_publisher_that_died_makes_no_tag(
    hub: Any, with_p: Any, store: Path, tmp_path: Path
) -> None:
    publish_hub(with_p(0.7), store)
    hub.delete_tag(REPO, tag="v0.1.0", repo_type="dataset")
    dry = HubOptions(dry_run=True)
    same = publish_hub(with_p(0.7), tmp_path / "other", dry)
    assert (same.tag, same.new) == ("v0.1.0", False)
    assert open_version(same.path).find(PAIR).row["p_chosen"] == 0.7
    for p in (0.8, 0.9):  # what an earlier dry run left is not what this one would publish
        other = publish_hub(with_p(p), store, dry)
        assert (other.tag, other.new) == ("v0.1.1", True)
        assert open_version(other.path).find(PAIR).row["p_chosen"] == p
    assert not heads_of(hub, REPO).tags


def test_who_may_not_tag_a_merged_version_is_told_who_may(
    hub: Any, server: str, with_p: Any, store: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    publish_hub(with_p(0.7), store)
    hub.delete_tag(REPO, tag="v0.1.0", repo_type="dataset")  # as where a pull request was merged
    pointed(server, GUEST, tmp_path, monkeypatch)
    for pr in (True, False):
        with pytest.raises(InputError, match=r"v0\.1\.0 is there without a tag") as raised:
            publish_hub(with_p(0.8), tmp_path / "other", HubOptions(pr=pr))
        assert "--pr" not in str(raised.value)
    assert not [*hub.get_repo_discussions(REPO, repo_type="dataset", token=TOKEN)]


def test_what_cannot_open_a_pull_request_does_not_speak_of_one(
    hub: Any, server: str, with_p: Any, store: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    publish_hub(with_p(0.7), store)
    pointed(server, GUEST, tmp_path, monkeypatch)
    version = open_remote(f"{REPO}@v0.1.0")
    checks = [answer(version, PAIR, "ann", "CHOSEN")]
    for attempt in (
        lambda: retract(version, What(prompts=("p5",)), "asked for", store=tmp_path / "one"),
        lambda: publish_reviews(version, checks, store=tmp_path / "two"),
        # A pull request wants a repo that is there.
        lambda: publish_hub(replace(with_p(0.7), repo="me/none"), tmp_path / "three"),
    ):
        with pytest.raises(InputError, match="log in with a token that may write") as raised:
            attempt()
        assert "--pr" not in str(raised.value)


def test_the_same_rows_of_another_parquet_writer_are_no_other_version(
    hub: Any, with_p: Any, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = with_p(0.7)
    older = replace(draft, lineage={**draft.lineage, "packages": {"pyarrow": "1.0.0"}})
    with monkeypatch.context() as patch:
        patch.setitem(data._OPTIONS, "compression", "gzip")
        publish_hub(older, store)
    found = publish_hub(draft, tmp_path / "other")
    assert (found.tag, found.new, open_version(found.path).tag) == ("v0.1.0", False, "v0.1.0")


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets another publish once, between what our publisher reads and what it sends."""

    def publishing(other: Any, folder: Path) -> None:
        inner, waiting = push.content_of, [other]

        def late(*given: Any) -> Any:
            if waiting:
                publish_hub(waiting.pop(), folder)
            return inner(*given)

        monkeypatch.setattr(push, "content_of", late)

    return publishing


def test_what_another_published_meanwhile_is_not_written_over(
    hub: Any, with_p: Any, store: Path, tmp_path: Path, meanwhile: Any
) -> None:
    publish_hub(with_p(0.7), store)
    meanwhile(with_p(0.8), tmp_path / "another's")
    with pytest.raises(Failure, match=r"faster.* --rebase"):
        publish_hub(with_p(0.9), store)
    assert [str(tag) for tag in heads_of(hub, REPO).tags] == ["v0.1.0", "v0.1.1"]
    assert not (store / REPO / "v0.1.1").exists()
    meanwhile(with_p(0.85), tmp_path / "another's")
    ours = publish_hub(with_p(0.9), store, HubOptions(rebase=True))
    assert (ours.tag, ours.manifest.parent) == ("v0.1.3", "v0.1.2")
    for tag, p in {"v0.1.1": 0.8, "v0.1.2": 0.85, "v0.1.3": 0.9}.items():
        assert open_remote(f"{REPO}@{tag}").find(PAIR).row["p_chosen"] == p


def test_a_rebase_moves_no_prompt_to_another_split(
    hub: Any, make_draft: Any, store: Path, tmp_path: Path, meanwhile: Any
) -> None:
    first, other = make_draft(n=8, repo=REPO), make_draft(n=9, test=("p3", "p8"), repo=REPO)
    publish_hub(first, store)
    meanwhile(other, tmp_path / "another's")
    with pytest.raises(Failure, match=r"another publisher put prompts into another split: p8"):
        publish_hub(make_draft(n=9, repo=REPO), store, HubOptions(rebase=True))
    assert len(heads_of(hub, REPO).tags) == 2


def test_a_version_without_its_tag_is_not_retracted_past(
    hub: Any, with_p: Any, store: Path
) -> None:
    publish_hub(with_p(0.7), store)
    publish_hub(with_p(0.8), store)
    hub.delete_tag(REPO, tag="v0.1.1", repo_type="dataset")
    older = open_remote(f"{REPO}@v0.1.0")
    what = What(prompts=("p5",))
    with pytest.raises(InputError, match=r"not the latest release, v0\.1\.1"):
        retract(older, what, "asked for", store=store, dry_run=True)
    with pytest.raises(InputError, match=r"not the latest release, v0\.1\.1"):
        publish_reviews(older, [], store=store, dry_run=True)
    assert [str(tag) for tag in heads_of(hub, REPO).tags] == ["v0.1.0"]
    with pytest.raises(InputError, match=r"not the latest release, v0\.1\.1"):
        retract(older, what, "asked for", store=store)
    done = retract(open_remote(f"{REPO}@v0.1.1"), what, "asked for", store=store)
    assert open_remote(f"{REPO}@{done.tag}").find(PAIR).row["p_chosen"] == 0.8


def test_what_is_published_while_rows_are_taken_out_is_not_taken_back(
    hub: Any, with_p: Any, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_hub(with_p(0.7), store)
    older = open_remote(f"{REPO}@v0.1.0")

    def meanwhile(*given: Any) -> Any:
        publish_hub(with_p(0.8), tmp_path / "another's")
        return find_rows(*given)

    monkeypatch.setattr("charter.hub.retract.find_rows", meanwhile)
    with pytest.raises(Failure, match=r"v0\.1\.1 was published in the meantime"):
        retract(older, What(prompts=("p5",)), "asked for", store=store)
    assert [str(tag) for tag in heads_of(hub, REPO).tags] == ["v0.1.0", "v0.1.1"]


def test_a_retraction_says_what_becomes_of_an_edited_card(
    hub: Any, with_p: Any, store: Path
) -> None:
    publish_hub(with_p(0.7), store)
    edit_card(hub)
    version = open_remote(f"{REPO}@v0.1.0")
    with pytest.raises(InputError, match="--card replace"):
        retract(version, What(prompts=("p5",)), "asked for", store=store)
    done = retract(version, What(prompts=("p5",)), "asked for", store=store, card="replace")
    assert (
        "Read this first" not in (open_remote(f"{REPO}@{done.tag}").path / "README.md").read_text()
    )


def test_reviews_say_what_becomes_of_an_edited_card(hub: Any, with_p: Any, store: Path) -> None:
    publish_hub(with_p(0.7), store)
    edit_card(hub)
    version = open_remote(f"{REPO}@v0.1.0")
    checks = [answer(version, PAIR, "ann", "CHOSEN")]
    with pytest.raises(InputError, match="--card replace"):
        publish_reviews(version, checks, store=store)
    done = publish_reviews(version, checks, store=store, card="keep")
    assert "Read this first" in (open_remote(f"{REPO}@{done.tag}").path / "README.md").read_text()


def test_a_promotion_that_died_before_its_tag_is_helped_on(
    hub: Any, with_p: Any, store: Path, tmp_path: Path
) -> None:
    publish_hub(with_p(0.7), store)
    publish_hub(with_p(0.8, "rc"), store)
    candidate = open_remote(f"{REPO}@v0.1.1-rc.1")
    promote_hub(candidate, store)
    hub.delete_tag(REPO, tag="v0.1.1", repo_type="dataset")
    again = promote_hub(candidate, tmp_path / "other")
    assert (again.tag, open_version(again.path).tag) == ("v0.1.1", "v0.1.1")
    assert open_remote(f"{REPO}@v0.1.1").find(PAIR).row["p_chosen"] == 0.8


def test_another_version_that_died_before_its_tag_is_not_taken_for_the_promotion(
    hub: Any, with_p: Any, store: Path, tmp_path: Path
) -> None:
    publish_hub(with_p(0.7), store)
    publish_hub(with_p(0.8, "rc"), store)
    candidate = open_remote(f"{REPO}@v0.1.1-rc.1")
    publish_hub(with_p(0.9), tmp_path / "another")
    hub.delete_tag(REPO, tag="v0.1.1", repo_type="dataset")
    with pytest.raises(Failure, match=r"v0\.1\.1 is published already"):
        promote_hub(candidate, store)
    assert open_remote(f"{REPO}@v0.1.1").find(PAIR).row["p_chosen"] == 0.9
    assert not (store / REPO / "v0.1.1").exists()


def test_a_candidate_that_is_not_the_last_commit_is_not_promoted(
    hub: Any, with_p: Any, store: Path
) -> None:
    publish_hub(with_p(0.7, "rc"), store)
    publish_hub(with_p(0.8, "rc"), store)
    with pytest.raises(Failure, match=r"the repo has changed since v0\.1\.0-rc\.1"):
        promote_hub(open_remote(f"{REPO}@v0.1.0-rc.1"), store)


def test_a_promotion_that_the_store_has_no_room_for_is_not_sent(
    hub: Any, with_p: Any, store: Path, tmp_path: Path
) -> None:
    publish_hub(with_p(0.7), store)
    publish_hub(with_p(0.8, "rc"), store)
    publish_local(with_p(0.7), tmp_path / "other")
    publish_local(with_p(0.6), tmp_path / "other")
    with pytest.raises(Failure, match=r"another v0\.1\.1 of me/after, with other rows"):
        promote_hub(open_remote(f"{REPO}@v0.1.1-rc.1"), tmp_path / "other")
    assert "v0.1.1" not in map(str, heads_of(hub, REPO).tags)


def test_a_store_with_other_rows_under_the_number_stops_it_before_it_is_sent(
    hub: Any, with_p: Any, store: Path
) -> None:
    publish_local(with_p(0.7), store)
    said: list[str] = []
    with pytest.raises(Failure, match=r"another v0\.1\.0 of me/after, with other rows"):
        publish_hub(with_p(0.8), store, say=said.append)
    assert not hub.repo_exists(REPO, repo_type="dataset")
    assert not any("is published" in line for line in said)
    # The same rows are no other version, whatever the card says.
    same = publish_hub(with_p(0.7), store)
    assert open_version(same.path).find(PAIR).row["p_chosen"] == 0.7
    # Nor does the folder stand for rows that are on the Hub already.
    publish_local(with_p(0.6), store / "else")
    with pytest.raises(Failure, match="with other rows"):
        publish_hub(with_p(0.7), store / "else")
