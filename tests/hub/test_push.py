"""Publishing to a Hub through the real clients, and reading from it again."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pointed import pointed

from charter.errors import Failure, InputError
from charter.hub import HubOptions, data, held_on_hub, open_remote, open_version, publish_hub
from charter.hub.embedded import User
from charter.hub.embedded.child import launch
from charter.hub.promote import promote_hub
from charter.hub.remote import heads_of

# The client's own, of the library beneath it.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOKEN, READ = "hf_owner_0123456789", "hf_guest_0123456789"
REPO = "me/small"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    users = [User("me", TOKEN, "write"), User("guest", READ, "write")]
    running = launch(tmp_path_factory.mktemp("hub"), users=users)
    yield running.address
    assert running.stop() == 0


@pytest.fixture
def hub(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The clients of this process, pointed at the embedded Hub, each test with its own cache."""
    return pointed(server, TOKEN, tmp_path / "hub-cache", monkeypatch)


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test begins without the repo."""
    yield
    if "hub" in request.fixturenames:
        from huggingface_hub import HfApi

        with contextlib.suppress(Exception):
            HfApi(token=TOKEN).delete_repo(REPO, repo_type="dataset")


def changed(draft: Any, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(draft, **changes)


def relabelled(draft: Any) -> Any:
    rows = {name: [dict(row) for row in each] for name, each in draft.rows.items()}
    rows["preference"][1] |= {"p_chosen": 0.75, "log_odds": 1.0986122886681098}
    return changed(draft, rows=rows)


def test_a_version_is_one_commit_and_one_tag(hub: Any, make_draft: Any, store: Path) -> None:
    said: list[str] = []
    published = publish_hub(make_draft(), store, say=said.append)
    assert (published.tag, published.new) == ("v0.1.0", True)
    refs = hub.list_repo_refs(REPO, repo_type="dataset")
    assert [t.name for t in refs.tags] == ["v0.1.0"]
    commits = hub.list_repo_commits(REPO, repo_type="dataset")
    assert next(c.title for c in commits).startswith("v0.1.0: ")
    assert refs.tags[0].target_commit == commits[0].commit_id
    # What is there is what lies in the local store, byte for byte.
    names = set(hub.list_repo_files(REPO, repo_type="dataset")) - {".gitattributes"}
    local = {str(f.relative_to(published.path)) for f in published.path.rglob("*") if f.is_file()}
    assert names == local
    assert any("v0.1.0" in line and "bytes" in line for line in said)
    opened = open_remote(f"{REPO}@v0.1.0")
    assert opened.commit == commits[0].commit_id
    assert opened.rows("preference").equals(open_version(published.path).rows("preference"))
    assert TOKEN not in "".join(said)
    for file in published.path.rglob("*"):
        assert file.is_dir() or TOKEN.encode() not in file.read_bytes()


def test_nothing_new_makes_no_version_and_something_does(
    hub: Any, make_draft: Any, store: Path
) -> None:
    publish_hub(make_draft(), store)
    again = publish_hub(make_draft(), store)
    assert (again.tag, again.new) == ("v0.1.0", False)
    second = publish_hub(relabelled(make_draft()), store)
    assert (second.tag, second.manifest.parent) == ("v0.1.1", "v0.1.0")
    # Ranges, pinned by commit; the first version stays what it was.
    assert open_remote(f"{REPO}@>=0.1,<1").tag == "v0.1.1"
    assert open_remote(f"{REPO}@v0.1.0").rows("preference")["p_chosen"][1] != 0.75
    with pytest.raises(InputError, match=r"use one of: v0.1.0, v0.1.1"):
        open_remote(f"{REPO}@v9.0.0")
    with pytest.raises(Failure, match="published with other content"):
        publish_hub(changed(make_draft(), version="v0.1.1"), store)


def test_files_of_configs_that_are_gone_go_and_those_of_others_stay(
    hub: Any, make_draft: Any, store: Path
) -> None:
    publish_hub(make_draft(), store)
    for name in ("notes/own.txt", "rejects/validation.parquet"):
        hub.upload_file(
            path_or_fileobj=b"mine", path_in_repo=name, repo_id=REPO, repo_type="dataset"
        )
    draft = make_draft()
    rows = {name: each for name, each in draft.rows.items() if name != "sft"}
    rejects = [r for r in rows["rejects"] if r["ledger"] != "sft"]
    publish_hub(changed(draft, rows={**rows, "rejects": rejects}), store)
    names = set(hub.list_repo_files(REPO, repo_type="dataset"))
    assert "notes/own.txt" in names and not any(name.startswith("sft/") for name in names)
    # What stands among the rows of a config would be taken for rows.
    assert "rejects/validation.parquet" not in names


def test_a_card_that_people_changed_is_never_lost(hub: Any, make_draft: Any, store: Path) -> None:
    publish_hub(make_draft(), store)
    card = hub.hf_hub_download(REPO, "README.md", repo_type="dataset")
    mine = Path(card).read_text() + "\nRead this first.\n"
    hub.upload_file(
        path_or_fileobj=mine.encode(), path_in_repo="README.md", repo_id=REPO, repo_type="dataset"
    )
    with pytest.raises(InputError, match="--card keep"):
        publish_hub(relabelled(make_draft()), store)
    kept = publish_hub(relabelled(make_draft()), store, HubOptions(card="keep"))
    assert "Read this first." in (open_remote(f"{REPO}@{kept.tag}").path / "README.md").read_text()


def test_a_publisher_that_died_before_its_tag_is_helped_on(
    hub: Any, make_draft: Any, store: Path
) -> None:
    publish_hub(make_draft(), store)
    hub.delete_tag(REPO, tag="v0.1.0", repo_type="dataset")
    said: list[str] = []
    found = publish_hub(make_draft(), store, say=said.append)
    assert (found.tag, found.new) == ("v0.1.0", False)
    assert any("had no tag" in line for line in said)
    assert open_remote(f"{REPO}@v0.1.0").tag == "v0.1.0"


def test_a_dry_run_sends_nothing(hub: Any, make_draft: Any, store: Path) -> None:
    said: list[str] = []
    found = publish_hub(make_draft(), store, HubOptions(dry_run=True), said.append)
    assert found.tag == "v0.1.0" and not hub.repo_exists(REPO, repo_type="dataset")
    assert any("would be published" in line for line in said)
    assert open_version(found.path).tag == "v0.1.0" and not (store / REPO / "v0.1.0").exists()


def test_private_repos_need_a_token(
    hub: Any, server: str, make_draft: Any, store: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    publish_hub(make_draft(), store, HubOptions(private=True))
    assert hub.repo_info(REPO, repo_type="dataset").private
    for token in (None, READ, "hf_wrong_0123456789"):
        pointed(server, token, tmp_path / str(token), monkeypatch)
        with pytest.raises(InputError, match=r"no such dataset repo|says 401") as caught:
            open_remote(f"{REPO}@v0.1.0")
        assert not token or token not in str(caught.value)


def test_who_may_not_write_is_told_and_may_open_a_pull_request(
    hub: Any, server: str, make_draft: Any, store: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    publish_hub(make_draft(), store)
    pointed(server, READ, tmp_path, monkeypatch)
    with pytest.raises(InputError, match="--pr"):
        publish_hub(relabelled(make_draft()), tmp_path / "other")
    pointed(server, None, tmp_path, monkeypatch)
    with pytest.raises(InputError, match="log in") as raised:
        publish_hub(relabelled(make_draft()), tmp_path / "other", HubOptions(pr=True))
    assert "--pr" not in str(raised.value)
    pointed(server, READ, tmp_path, monkeypatch)
    said: list[str] = []
    publish_hub(relabelled(make_draft()), tmp_path / "other", HubOptions(pr=True), said.append)
    assert any("pull request" in line for line in said)
    owner = pointed(server, TOKEN, tmp_path / "hub-cache", monkeypatch)
    assert [t.name for t in owner.list_repo_refs(REPO, repo_type="dataset").tags] == ["v0.1.0"]
    (discussion,) = owner.get_repo_discussions(REPO, repo_type="dataset")
    owner.merge_pull_request(REPO, discussion.num, repo_type="dataset")
    # The next publish finds the merged version without its tag.
    found = publish_hub(relabelled(make_draft()), store)
    assert (found.tag, found.new) == ("v0.1.1", False)
    assert [str(tag) for tag in heads_of(owner, REPO).tags] == ["v0.1.0", "v0.1.1"]


def test_a_repo_of_another_layout_is_left_alone(hub: Any, make_draft: Any, store: Path) -> None:
    hub.create_repo(REPO, repo_type="dataset")
    hub.upload_file(
        path_or_fileobj=b"a,b", path_in_repo="data.csv", repo_id=REPO, repo_type="dataset"
    )
    with pytest.raises(InputError, match=r"not of this layout: it has data\.csv"):
        publish_hub(make_draft(), store)


def test_prompts_keep_the_split_that_they_have_there(
    hub: Any, make_draft: Any, store: Path
) -> None:
    draft = make_draft()
    publish_hub(draft, store)
    held = held_on_hub(REPO)
    assert held == {name: draft.splits[name] for name in held} and held
    assert held_on_hub("me/nothing") == {}
    flipped = {name: "train" if split == "test" else "test" for name, split in held.items()}
    with pytest.raises(Failure, match="another split"):
        publish_hub(changed(relabelled(draft), splits={**draft.splits, **flipped}), store)


def test_of_versions_on_the_hub_only_the_ids_are_fetched(
    hub: Any, make_draft: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.hf_file_system import HfFileSystemFile

    monkeypatch.setattr(data, "_GROUP_BYTES", 1 << 20)
    draft, random = make_draft(n=120), np.random.default_rng(1)
    for row in draft.rows["preference"]:
        for side in ("chosen", "rejected"):
            letters = random.integers(ord("a"), ord("k"), 100_000, np.uint8)
            letters[::7] = ord(" ")
            row[side] = [{"role": "assistant", "content": bytes(letters).decode()}]
    size = (publish_hub(draft, store).path / "preference" / "train.parquet").stat().st_size
    fetched = []
    inner = HfFileSystemFile._fetch_range

    def counted(self: Any, start: int, end: int) -> bytes:
        fetched.append(end - start)
        return inner(self, start, end)

    monkeypatch.setattr(HfFileSystemFile, "_fetch_range", counted)
    assert len(held_on_hub(REPO)) == 120
    assert sum(fetched) < 0.05 * size and size > 5_000_000


def test_a_file_that_cannot_be_read_on_the_hub_is_a_fault_with_its_place(
    hub: Any, make_draft: Any, store: Path
) -> None:
    publish_hub(make_draft(), store)
    for spoil, what in (
        (b"PAR1 and nothing more", r"preference/train\.parquet: cannot be read"),
        (None, r"preference/train\.parquet: the file is missing"),
    ):
        name, kind = "preference/train.parquet", {"repo_id": REPO, "repo_type": "dataset"}
        if spoil is None:
            hub.delete_file(name, **kind)
        else:
            hub.upload_file(path_or_fileobj=spoil, path_in_repo=name, **kind)
        hub.delete_tag(REPO, tag="v0.1.0", repo_type="dataset")
        hub.create_tag(REPO, tag="v0.1.0", repo_type="dataset")
        with pytest.raises(InputError, match=what):
            held_on_hub(REPO)


def test_a_candidate_becomes_the_release(hub: Any, make_draft: Any, store: Path) -> None:
    publish_hub(make_draft(), store)
    candidate = publish_hub(changed(relabelled(make_draft()), version="rc"), store)
    assert candidate.tag == "v0.1.1-rc.1"
    assert open_remote(f"{REPO}@>=0.1").tag == "v0.1.0"  # a range never matches a candidate
    opened = open_remote(f"{REPO}@v0.1.1-rc.1")
    with pytest.raises(InputError, match="is missing from the manifest"):
        promote_hub(opened, store, ["reviews"])
    release = promote_hub(opened, store)
    assert release.tag == "v0.1.1"
    found = open_remote(f"{REPO}@>=0.1")
    assert found.tag == "v0.1.1" and found.manifest.parent == "v0.1.0"
    assert found.rows("preference").equals(opened.rows("preference"))
    with pytest.raises(Failure, match=r"published already|has changed"):
        promote_hub(opened, store)


def test_eight_writers_at_once_give_eight_outcomes_in_some_order(
    hub: Any, make_draft: Any, tmp_path: Path
) -> None:
    drafts = []
    for k in range(8):
        draft = make_draft()
        rows = {name: [dict(row) for row in each] for name, each in draft.rows.items()}
        rows["sft"][0]["initial_response"] = f"writer {k}"
        drafts.append(changed(draft, rows=rows))
    publish_hub(make_draft(), tmp_path / "first" / "versions")
    found: list[Any] = [None] * 8

    def write(k: int) -> None:
        try:
            options = HubOptions(rebase=True)
            found[k] = publish_hub(drafts[k], tmp_path / str(k) / "versions", options)
        except Failure as error:
            found[k] = error

    threads = [threading.Thread(target=write, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tags = heads_of(hub, REPO).tags
    won = {each.tag: k for k, each in enumerate(found) if not isinstance(each, Failure)}
    lost = [each for each in found if isinstance(each, Failure)]
    assert won and len(won) + len(lost) == 8
    assert all("faster" in str(error) for error in lost)
    assert {str(tag) for tag in tags} == {"v0.1.0", *won}
    parents = {}
    for tag, k in won.items():
        opened = open_remote(f"{REPO}@{tag}")
        assert opened.rows("sft")["initial_response"][0] == f"writer {k}"
        parents[tag] = opened.manifest.parent
    # One after the other: each stands on the one before.
    assert sorted(parents.values()) == sorted([*(str(t) for t in tags)][:-1])


def test_offline_the_cache_serves_what_it_has_and_says_what_it_lacks(
    hub: Any, make_draft: Any, store: Path, monkeypatch: Any
) -> None:
    from huggingface_hub import constants

    publish_hub(make_draft(), store)
    publish_hub(relabelled(make_draft()), store)
    online = open_remote(f"{REPO}@v0.1.1")
    dead = "http://127.0.0.1:9"
    monkeypatch.setattr(constants, "ENDPOINT", dead)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", dead + "/{repo_id}/resolve/{revision}/{filename}"
    )
    offline = open_remote(f"{REPO}@v0.1.1")
    assert offline.commit == online.commit
    assert offline.rows("preference").equals(online.rows("preference"))
    for wanted in ("v0.1.0", ">=0.1"):
        with pytest.raises(Failure, match=r"not reached|not in the cache"):
            open_remote(f"{REPO}@{wanted}")


def test_a_damaged_download_is_refused(hub: Any, make_draft: Any, store: Path) -> None:
    publish_hub(make_draft(), store)
    opened = open_remote(f"{REPO}@v0.1.0")
    file = (opened.path / "sft" / "train.parquet").resolve()
    data = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(data[:-1] + b"x")
    with pytest.raises(InputError, match="changed after publication"):
        open_remote(f"{REPO}@v0.1.0")
    assert hashlib.sha256(data).hexdigest() in opened.manifest.files.values()


def test_a_pinned_version_loads_where_plain_datasets_gives_another_ones_rows(
    hub: Any, hf: Any, make_draft: Any, store: Path, monkeypatch: Any
) -> None:
    """The fault that `charter.hub.load` is there for, as `datasets` has it, and ours without it."""
    import datasets
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    import charter.hub

    monkeypatch.setattr(_http.time, "sleep", lambda _: None)  # between the client's own tries
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", constants.ENDPOINT)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    publish_hub(make_draft(), store)
    publish_hub(relabelled(make_draft()), store)
    newer = hf.load_dataset(REPO, "preference", revision="v0.1.1", split="train")
    dead = "http://127.0.0.1:9"
    for place in (constants, datasets.config):
        monkeypatch.setattr(place, "ENDPOINT" if place is constants else "HF_ENDPOINT", dead)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", dead + "/{repo_id}/resolve/{revision}/{filename}"
    )
    with contextlib.nullcontext():
        wrong = hf.load_dataset(REPO, "preference", revision="v0.1.0", split="train")
    assert wrong.to_list() == newer.to_list()  # asked for v0.1.0
    with pytest.raises(Failure, match=r"not reached|not in the cache"):
        charter.hub.load(REPO, "preference", "v0.1.0")


def test_rows_for_a_trainer_by_tag_and_by_range(
    hub: Any, make_draft: Any, store: Path, hf: Any
) -> None:
    import charter.hub

    published = publish_hub(make_draft(), store)
    found = charter.hub.load(REPO, "preference", ">=0.1,<1")
    local = open_version(published.path)
    assert {split: rows.to_list() for split, rows in found.items()} == {
        split: local.dataset("preference", split).to_list() for split in local.splits("preference")
    }
    assert len(charter.hub.load(REPO, "sft", "v0.1.0", split="test")) == len(
        local.rows("sft", "test")
    )
