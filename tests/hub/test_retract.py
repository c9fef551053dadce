"""Rows taken out of a version: what goes, what stays as it was, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charter.constitutions import load_constitution
from charter.errors import Failure, InputError
from charter.hub import Version, open_version, publish_local
from charter.hub.beside import COUNTED
from charter.hub.held import retracted_rows
from charter.hub.relabel import without_labels
from charter.hub.retract import Retraction, retract, retraction_draft
from charter.hub.retract_what import What, find_rows
from charter.hub.verify import verify_version

CONFIGS = ("sft", "preference", "judgments", "rejects")
WHY = "asked for by its author"


@pytest.fixture
def make(make_draft: Any, tmp_path: Path) -> Any:
    """Publishes a draft, with the fingerprint of its constitution; keywords as for `make_draft`."""

    def made(folder: str = "store", **fields: Any) -> Version:
        draft = make_draft(**fields)
        file = tmp_path / "constitution.yaml"
        file.write_text(draft.constitution_yaml)
        draft.lineage["constitution"]["fingerprint"] = load_constitution(file).fingerprint()
        for row in draft.rows["preference"] + draft.rows["sft"]:
            row["source"] = "even" if int(row["prompt_id"][1:]) % 2 == 0 else "odd"
        return open_version(publish_local(draft, tmp_path / folder).path)

    return made


def opened(done: Retraction) -> Version:
    assert done.path is not None
    return open_version(done.path)


def rows(version: Version, config: str) -> list[tuple[str, dict[str, Any]]]:
    """Split and row, in their order."""
    return [
        (split, row)
        for split in version.splits(config)
        for row in version.rows(config, split).to_dicts()
    ]


def prompts(version: Version, config: str) -> list[str]:
    return [row["prompt_id"] for _, row in rows(version, config)]


def test_a_prompt_goes_from_every_config_and_leaves_a_reject_in_each_ledger(make: Any) -> None:
    version = make()
    done = retract(version, What(prompts=("p4",)), f"  {WHY}\n")
    assert (done.tag, done.new, done.reason) == ("v0.1.1", True, WHY)
    assert done.found.rows == {"sft": 1, "preference": 1, "judgments": 2}
    after = opened(done)
    for config in ("sft", "preference", "judgments"):
        kept = [each for each in rows(version, config) if each[1]["prompt_id"] != "p4"]
        assert rows(after, config) == kept
    assert rows(after, "rejects")[:-2] == rows(version, "rejects")
    base = {"prompt_id": "p4", "stage": "retract", "reason": "RETRACTED", "detail": WHY}
    assert rows(after, "rejects")[-2:] == [
        ("train", {"ledger": "sft", "pair_id": None, **base}),
        ("train", {"ledger": "preference", "pair_id": "p4#a~b", **base}),
    ]
    assert after.manifest.ledgers == version.manifest.ledgers
    assert verify_version(after).passed


def test_nothing_of_the_text_is_left(make: Any) -> None:
    version = make()
    text = next(r["prompt"][0]["content"] for _, r in rows(version, "sft") if r["id"] == "p0#sft")
    after = opened(retract(version, What(prompts=("p0",)), WHY))
    said = json.dumps([rows(after, config) for config in CONFIGS])
    assert text not in said and "revised 0" not in said and "initial 0" not in said
    for name in ("README.md", "charter.json"):
        assert text not in (after.path / name).read_text()


def test_a_reject_that_quotes_a_text_is_silent_of_it(make: Any, make_draft: Any) -> None:
    texts = make_draft().rows
    for each in texts["rejects"]:
        each["detail"] = f"the winner speaks to the judge: {each['prompt_id']} quoted"
    version = make(rows=texts)
    before = rows(version, "rejects")
    named = next(each for _, each in before if each["ledger"] == "preference")
    after = opened(retract(version, What(prompts=(named["prompt_id"],)), WHY))
    found = rows(after, "rejects")
    assert f"{named['prompt_id']} quoted" not in json.dumps(found)
    kept = {**named, "detail": WHY}
    assert kept in [each for _, each in found]
    assert [each for each in before if each[1]["prompt_id"] != named["prompt_id"]] == [
        each for each in found if each[1]["prompt_id"] != named["prompt_id"]
    ]
    assert after.manifest.ledgers == version.manifest.ledgers
    assert verify_version(after).passed
    other = "asked for again"
    again = opened(retract(after, What(prompts=("p0",)), other))
    assert kept in [each for _, each in rows(again, "rejects")]


def test_lineage_is_the_parents_and_figures_are_counted_anew(make: Any) -> None:
    version = make()
    what = What(prompts=("p4",))
    after = opened(retract(version, what, WHY)).manifest
    before = version.manifest
    for name in ("constitution", "recipe", "prompt_set", "models", "seeds", "packages"):
        assert getattr(after, name) == getattr(before, name)
    assert after.parent == "v0.1.0"
    assert after.figures["calls"] == before.figures["calls"]
    assert after.figures["verdicts"] == {"A": 12, "B": 0, "TIE": 0, "UNPARSED": 0}
    assert after.figures["retracted"] == {
        "reason": WHY,
        "rows": {"sft": 1, "preference": 1, "judgments": 2},
        "from": "v0.1.0",
        "what": {"prompts": ["p4"]},
        "before": None,
    }
    for name in ("constitution.yaml", "recipe.yaml"):
        assert after.files[name] == before.files[name]


def test_every_counted_figure_is_known_as_such(make: Any, make_draft: Any) -> None:
    given_before = set(make_draft().lineage["figures"])
    assert set(make().manifest.figures) - given_before <= COUNTED


@pytest.mark.parametrize(
    ("what", "sft", "preference", "judgments"),
    [
        (What(ids=("p5#a~b",)), (), ("p5",), 2),
        (What(ids=("p5#sft", "p6#a~b")), ("p5",), ("p6",), 2),
        (What(ids=("p1#a~b",)), (), (), 2),
        (What(sources=("odd",)), ("p3", "p5", "p7"), ("p3", "p5", "p7"), 6),
        (What(prompts=("p1",)), (), (), 2),
        (What(prompts=("p2",)), ("p2",), (), 0),
        (What(prompts=("p4",), ids=("p4#sft", "p6#sft")), ("p4", "p6"), ("p4",), 2),
    ],
    ids=["pair", "sft-and-pair", "rejected-pair", "source", "tied", "no-pair", "twice-named"],
)
def test_what_is_named_goes_and_no_more(
    make: Any, what: What, sft: Any, preference: Any, judgments: int
) -> None:
    version = make()
    done = retract(version, what, WHY)
    after = opened(done)
    assert verify_version(after).passed
    gone = {
        config: set(prompts(version, config)) - set(prompts(after, config))
        for config in ("sft", "preference")
    }
    assert gone == {"sft": set(sft), "preference": set(preference)}
    assert len(rows(version, "judgments")) - len(rows(after, "judgments")) == judgments
    assert len(rows(after, "rejects")) == 4 + len(sft) + len(preference)


def test_a_principle_takes_its_pairs_revisions_and_votes(make: Any, make_draft: Any) -> None:
    """Votes under it go from rejected pairs too, whose labels nobody trains on."""
    given_rows = make_draft().rows
    for row in given_rows["preference"]:
        row["principle_ids"] = ["kind"] if row["prompt_id"] in ("p0", "p4") else ["other"]
    for row in given_rows["judgments"]:
        row["principle_id"] = "kind" if row["prompt_id"] in ("p0", "p1", "p4") else "other"
    version = make(rows=given_rows)
    done = retract(version, What(principles=("kind",)), WHY)
    after = opened(done)
    assert done.found.rows == {"sft": 3, "preference": 2, "judgments": 6}
    assert {row["principle_id"] for _, row in rows(after, "judgments")} == {"other"}
    assert prompts(after, "sft") == ["p0", "p2", "p4", "p6"]
    assert prompts(after, "preference") == ["p5", "p6", "p7", "p3"]
    assert verify_version(after).passed


@pytest.mark.parametrize(
    "what",
    [
        What(prompts=("p4",)),
        What(ids=("p4#sft", "p5#a~b")),
        What(sources=("odd",)),
        What(ids=("p1#a~b",)),
    ],
    ids=["prompt", "ids", "source", "rejected-pair"],
)
def test_the_same_again_changes_nothing(make: Any, what: What) -> None:
    first = retract(make(), what, WHY)
    again = retract(opened(first), what, "for another reason")
    assert first.new and not again.new
    assert (again.tag, again.path) == (first.tag, first.path)
    assert not any(again.found.rows.values())


def test_a_rejected_pair_without_votes_goes_as_well(make: Any, make_draft: Any) -> None:
    texts = make_draft().rows
    texts["judgments"] = [each for each in texts["judgments"] if each["prompt_id"] != "p1"]
    pair = next(each for each in texts["rejects"] if each["pair_id"] == "p1#a~b")
    pair |= {"reason": "IDENTICAL", "detail": "both say this"}
    what = What(ids=("p1#a~b",))
    done = retract(make(rows=texts), what, WHY)
    after = opened(done)
    assert done.new and not any(done.found.rows.values())
    assert "both say this" not in json.dumps(rows(after, "rejects"))
    assert after.manifest.figures["retracted"]["what"] == {"ids": ["p1#a~b"]}
    assert not retract(after, what, "for another reason").new


def test_a_source_is_known_after_two_retractions(make: Any) -> None:
    one = retract(make(), What(sources=("odd",)), WHY)
    two = retract(opened(one), What(prompts=("p4",)), "another")
    assert (one.tag, two.tag) == ("v0.1.1", "v0.1.2")
    assert not retract(opened(two), What(sources=("odd",)), WHY).new
    before = opened(two).manifest.figures["retracted"]["before"]
    assert before["what"] == {"sources": ["odd"]} and before["reason"] == WHY


def test_a_dry_run_publishes_nothing(make: Any, tmp_path: Path) -> None:
    done = retract(make(), What(prompts=("p4",)), WHY, dry_run=True)
    assert done.found.rows["sft"] == 1 and done.found.sft["id"].to_list() == ["p4#sft"]
    assert (done.tag, done.path, done.new) == (None, None, False)
    assert {path.name for path in (tmp_path / "store/me/small").iterdir()} == {".lock", "v0.1.0"}


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (What(), "nothing to retract is named"),
        (What(ids=("p4",)), "use --prompt p4"),
        (What(ids=("p4#a-b",)), 'did you mean "p4#a~b"'),
        (What(ids=("p1#sft",)), 'no id "p1#sft"'),
        (What(prompts=("p99",)), 'no prompt "p99"'),
        (What(principles=("kin",)), 'did you mean "kind"'),
        (What(sources=("Even",)), 'did you mean "even"'),
    ],
    ids=["nothing", "prompt-as-id", "id", "row-that-never-was", "prompt", "principle", "source"],
)
def test_a_name_that_means_nothing_is_told(make: Any, what: What, said: str) -> None:
    with pytest.raises(InputError, match=said):
        retract(make(), what, WHY)


def test_every_unknown_name_is_told_at_once(make: Any) -> None:
    with pytest.raises(InputError) as caught:
        find_rows(make(), What(ids=("p4", "x", "y"), sources=("z",)))
    assert [fault.path for fault in caught.value.faults] == [*["--id"] * 3, "--source"]


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 501, "a\x1b[31m"], ids=range(4))
def test_a_reason_is_a_line_of_text(make: Any, reason: str) -> None:
    with pytest.raises(InputError, match="--reason"):
        retract(make(), What(prompts=("p4",)), reason)


def test_only_the_latest_release_of_a_store(make: Any, tmp_path: Path) -> None:
    version = make()
    make(n=9)
    with pytest.raises(InputError, match=r"v0.1.0 is not the latest release, v0.1.1"):
        retract(version, What(prompts=("p4",)), WHY)
    elsewhere = tmp_path / "elsewhere"
    version.path.rename(elsewhere)
    with pytest.raises(InputError, match="no local store"):
        retract(open_version(elsewhere), What(prompts=("p4",)), WHY)


def all_in_test(make_draft: Any) -> dict[str, Any]:
    """Fields of a draft whose rejects are all of `test`, so that there is no file of the others."""
    made = make_draft(test=("p1", "p2", "p3"))
    told = {**made.rows, "rejects": made.rows["rejects"][1:]}
    return {"rows": told, "splits": made.splits, "ledgers": {**made.ledgers, "records": 8}}


@pytest.mark.parametrize("prompts", [("p3",), ("p3", "p4")], ids=["test-alone", "both-splits"])
def test_later_versions_hold_to_what_went_from_any_split(
    make: Any, make_draft: Any, tmp_path: Path, prompts: tuple[str, ...]
) -> None:
    after = opened(retract(make(**all_in_test(make_draft)), What(prompts=prompts), WHY))
    assert after.splits("rejects") == (("test",) if prompts == ("p3",) else ("train", "test"))
    held = retracted_rows(tmp_path / "store", "me/small")
    assert held.sft == dict.fromkeys(prompts, WHY)
    assert held.pairs == {f"{name}#a~b": WHY for name in prompts}
    assert held.figure == after.manifest.figures["retracted"]
    (after.path / "rejects" / "test.parquet").unlink()
    with pytest.raises(InputError, match=r"rejects/test\.parquet.*the file is missing"):
        retracted_rows(tmp_path / "store", "me/small")


def test_a_config_must_keep_rows_to_train_on(make: Any) -> None:
    names = tuple(f"p{i}#a~b" for i in range(8) if i not in (1, 2, 3))
    with pytest.raises(Failure, match="none in train"):
        retract(make(), What(ids=names), WHY)


def test_a_whole_config_may_go(make: Any) -> None:
    names = tuple(f"p{i}#a~b" for i in range(8) if i != 2)
    after = opened(retract(make(), What(ids=names), WHY))
    assert after.configs() == ("sft", "rejects")
    assert "verdicts" not in after.manifest.figures
    assert "p_chosen" not in after.manifest.figures
    assert retract(after, What(prompts=("p0",)), WHY).found.rows["sft"] == 1


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_ledgers_add_up_whatever_goes(make: Any, data: st.DataObject) -> None:
    """Rows and rejects of each ledger stay as many as they were, and the rest stays the same."""
    version = make()
    ids = [row["id"] for config in ("sft", "preference") for _, row in rows(version, config)]
    what = What(
        ids=tuple(data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=4))),
        prompts=tuple(
            data.draw(st.lists(st.sampled_from([f"p{i}" for i in range(8)]), max_size=2))
        ),
    )
    found = find_rows(version, what)
    draft = retraction_draft(version, what, found, WHY)
    total = {name: len(each) for name, each in draft.rows.items()}
    read = {name: sum(b.num_rows for b in each.batches()) for name, each in draft.rows.items()}  # type: ignore[union-attr]
    assert total == read
    for config in ("sft", "preference", "judgments"):
        n = sum(version.manifest.counts[config].values())
        assert total.get(config, 0) == n - found.rows[config]
    gone = found.rows["sft"] + found.rows["preference"]
    assert total["rejects"] == sum(version.manifest.counts["rejects"].values()) + gone
    assert draft.ledgers == version.manifest.ledgers.model_dump()
    assert dict(draft.splits) == {f"p{i}": "test" if i == 3 else "train" for i in range(8)}


@pytest.mark.parametrize(
    "reviews", [None, {"n": 3}, {"n": 3, "overruled": None}, {"overruled": {"turned": 1}}]
)
def test_figures_of_reviews_without_labels_stay_as_they_are(reviews: Any) -> None:
    assert without_labels(reviews, ["p3#a~b"]) == reviews
