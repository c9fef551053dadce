"""Two versions compared: every kind of change, counted against a slow way of doing the same."""

from __future__ import annotations

import copy
import hashlib
import math
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charter.errors import Failure
from charter.hub import Version, open_version, publish_local
from charter.hub.diff import diff_versions
from charter.hub.diff_rows import KINDS, compare
from charter.hub.manifest import dump_manifest, load_manifest

SAME = dict.fromkeys(KINDS, 0)


@pytest.fixture
def one(make_draft: Any, tmp_path: Path) -> Version:
    return open_version(publish_local(make_draft(), tmp_path / "one").path)


def _other(make_draft: Any, tmp_path: Path, change: Any, **fields: Any) -> Version:
    draft = make_draft(**fields)
    change(draft.rows)
    return open_version(publish_local(draft, tmp_path / "other").path)


def _flip(row: dict[str, Any]) -> None:
    row["chosen"], row["rejected"] = row["rejected"], row["chosen"]
    row["chosen_model"], row["rejected_model"] = row["rejected_model"], row["chosen_model"]
    row["source_label"] = {"chosen": "rejected", "rejected": "chosen"}.get(row["source_label"])


def _label(row: dict[str, Any], p: float) -> None:
    row["p_chosen"], row["log_odds"] = p, math.log(p / (1 - p))


def test_a_version_is_the_same_as_itself(one: Version) -> None:
    diff = diff_versions(one, one)
    assert diff.rows["sft"].counts == SAME | {"same": 7}
    assert diff.rows["preference"].counts == SAME | {"same": 6}
    assert diff.samples == [] and diff.by == {"sft": {}, "preference": {}}
    assert diff.as_json()["made"]["recipe"] == []
    assert diff.notes == [] and diff.rejects == {}


def test_every_kind_of_change_is_counted_as_itself(
    one: Version, make_draft: Any, tmp_path: Path
) -> None:
    def change(rows: Any) -> None:
        pairs = {row["id"]: row for row in rows["preference"]}
        _flip(pairs["p3#a~b"])
        _label(pairs["p4#a~b"], 0.9)
        _label(pairs["p5#a~b"], 0.66)
        pairs["p6#a~b"]["rejected"][0]["content"] = "rewritten"
        pairs["p7#a~b"]["judge_model"] = "another"
        rows["sft"][0]["initial_response"] = "another one"
        rows["sft"][2]["prompt"][0]["content"] = "another prompt altogether, by far"

    other = _other(make_draft, tmp_path, change)
    diff = diff_versions(one, other, sample=9)
    pairs, sft = diff.rows["preference"], diff.rows["sft"]
    assert pairs.counts == SAME | {
        "relabelled": 2,
        "flipped": 1,
        "p_moved": 1,
        "text_changed": 1,
        "other_changed": 2,
        "same": 1,
    }
    assert pairs.columns == {"rejected": 1, "p_chosen": 1, "log_odds": 1, "judge_model": 1}
    assert sft.counts == SAME | {"text_changed": 1, "other_changed": 1, "same": 5}
    assert sft.columns == {"prompt": 1, "initial_response": 1}
    kinds = {(s.config, s.kind): s.id for s in diff.samples if s.kind != "other_changed"}
    assert kinds == {
        ("sft", "text_changed"): "p3#sft",
        ("preference", "flipped"): "p3#a~b",
        ("preference", "p_moved"): "p4#a~b",
        ("preference", "text_changed"): "p6#a~b",
    }
    flipped = next(s for s in diff.samples if s.kind == "flipped")
    assert flipped.before and flipped.after
    assert flipped.before["chosen"] == flipped.after["rejected"]
    assert flipped.before["split"] == "test"
    assert diff.by["preference"]["judge_model"]["another"] == {"other_changed": 1}
    assert diff.by["preference"]["principle"]["kind"]["relabelled"] == 2


def test_a_label_counts_as_moved_by_more_than_the_bound_alone(
    one: Version, make_draft: Any, tmp_path: Path
) -> None:
    other = _other(make_draft, tmp_path, lambda rows: _label(rows["preference"][2], 0.74))
    counts = [compare(one, other, "preference", bound).counts for bound in (0.1, 0.099)]
    assert [c["p_moved"] for c in counts] == [0, 1]
    assert [c["other_changed"] for c in counts] == [1, 0]


def test_a_flip_that_leaves_the_models_where_they_were_changes_them(
    one: Version, make_draft: Any, tmp_path: Path
) -> None:
    def change(rows: Any) -> None:
        row = rows["preference"][1]
        row["chosen"], row["rejected"] = row["rejected"], row["chosen"]
        row["rejected_model"] = "other"

    found = compare(one, _other(make_draft, tmp_path, change), "preference", 0.05)
    assert found.counts["flipped"] == found.counts["other_changed"] == 1
    assert found.columns == {"source_label": 1, "rejected_model": 1}


def test_rows_come_and_go_with_their_prompts(one: Version, make_draft: Any, tmp_path: Path) -> None:
    more = open_version(publish_local(make_draft(n=10), tmp_path / "more").path)
    there, back = diff_versions(one, more, sample=1), diff_versions(more, one)
    for config in ("sft", "preference"):
        assert there.rows[config].counts["added"] == back.rows[config].counts["removed"] == 2
        assert there.rows[config].counts["removed"] == 0
    assert there.counts["judgments"] == (14, 18)
    assert [s.before for s in there.samples] == [None, None]
    assert all(s.after is None and s.before for s in back.samples)


def test_a_row_in_another_split_is_flagged(one: Version, make_draft: Any, tmp_path: Path) -> None:
    other = _other(make_draft, tmp_path, lambda rows: None, test=("p4",))
    diff = diff_versions(one, other)
    assert diff.split_moved == 4
    assert diff.rows["sft"].counts["same"] == 5
    assert {s.id for s in diff.samples} == {"p3#sft", "p4#sft", "p3#a~b", "p4#a~b"}


def test_samples_are_drawn_by_their_seed(one: Version, make_draft: Any, tmp_path: Path) -> None:
    other = open_version(publish_local(make_draft(n=39), tmp_path / "other").path)

    def ids(seed: int) -> list[str]:
        return [each.id for each in diff_versions(one, other, sample=4, seed=seed).samples]

    assert ids(1) == ids(1) != ids(2)
    assert len(ids(1)) == len(set(ids(1))) == 8
    assert len(diff_versions(one, other, sample=0).samples) == 0


def test_what_it_was_made_from_is_compared(one: Version, make_draft: Any, tmp_path: Path) -> None:
    draft = make_draft()
    text = draft.constitution_yaml.replace("unkind", "rude").replace("weight: 1.0", "weight: 2.0")
    text += (
        "  - {id: new, name: New, critique: 'Is it?', revision: Mend it., comparison: Choose it.}\n"
    )
    recipe = draft.recipe_yaml.replace("0.02", "0.3") + "sft: {rounds: 2}\n"
    lineage = copy.deepcopy(draft.lineage)
    lineage["models"]["judge"]["model"] = "larger"
    lineage["constitution"]["licence"] = "MIT"
    other = _other(
        make_draft,
        tmp_path,
        lambda rows: None,
        constitution_yaml=text,
        recipe_yaml=recipe,
        lineage=lineage,
    )
    diff = diff_versions(one, other)
    assert diff.notes == []
    made = diff.made
    assert made.principles == {"added": ["new"], "removed": [], "changed": ["kind"], "moved": []}
    assert [each.key for each in made.fields["kind"]] == ["critique", "weight"]
    assert [each.as_json() for each in made.recipe] == [
        {"key": "preference.min_margin", "before": 0.02, "after": 0.3},
        {"key": "sft.rounds", "before": None, "after": 2},
    ]
    assert [each.key for each in made.settings] == ["models.judge.model"]
    assert [each.as_json() for each in made.constitution] == [
        {"key": "licence", "before": "CC-BY-4.0", "after": "MIT"}
    ]


def test_a_constitution_that_cannot_be_read_is_told_and_hides_no_row(
    one: Version, make_draft: Any, tmp_path: Path
) -> None:
    other = _other(make_draft, tmp_path, lambda rows: None, constitution_yaml="principles: [")
    diff = diff_versions(one, other)
    assert "constitution" in diff.notes[0]
    assert diff.rows["sft"].counts["same"] == 7


def _older(version: Version, folder: Path) -> Version:
    """The version as schema 1 would have written it."""
    manifest = load_manifest(version.path / "charter.json")
    files = dict(manifest.files)
    for name in manifest.files:
        source, target = version.path / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".parquet"):
            table = pq.read_table(source)
            new = {"source_label", "sample", "score_a", "score_b"} & set(table.column_names)
            pq.write_table(table.drop_columns(list(new)), target)
        else:
            target.write_bytes(source.read_bytes())
        files[name] = _sha256(target)
    update = {"schema_version": 1, "files": files}
    (folder / "charter.json").write_bytes(dump_manifest(manifest.model_copy(update=update)))
    return open_version(folder)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_versions_of_schema_1_are_compared_in_what_they_have(one: Version, tmp_path: Path) -> None:
    old = _older(one, tmp_path / "old")
    diff = diff_versions(old, one)
    assert diff.rows["preference"].counts == SAME | {"same": 6}
    assert diff.notes == [
        "schema 1 and 2: the columns that both have were compared",
        "preference: not compared, because only one version has them: source_label",
    ]


def test_ids_that_repeat_are_refused(one: Version, tmp_path: Path) -> None:
    folder = tmp_path / "twice"
    old = _older(one, folder)
    path = folder / "sft" / "train.parquet"
    table = pq.read_table(path)
    path.chmod(0o644)
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), path)
    counts = copy.deepcopy(old.manifest.counts)
    counts["sft"]["train"] += 1
    broken = Version(folder, old.manifest.model_copy(update={"counts": counts}))
    with pytest.raises(Failure, match="names two rows"):
        diff_versions(one, broken)


def test_a_version_without_pairs_has_them_all_removed(
    one: Version, make_draft: Any, tmp_path: Path
) -> None:
    def change(rows: Any) -> None:
        rows["rejects"] = [r for r in rows["rejects"] if r["ledger"] != "preference"]
        del rows["preference"], rows["judgments"]

    ledgers = {"records": 9, "prompts": 8, "pairs_formed": 0}
    other = _other(make_draft, tmp_path, change, ledgers=ledgers)
    there, back = diff_versions(one, other), diff_versions(other, one)
    assert there.rows["preference"].counts == SAME | {"removed": 6, "same": 0}
    assert back.rows["preference"].counts == SAME | {"added": 6, "same": 0}
    assert there.rejects == {"NO_PAIR": (1, 0), "TIE": (1, 0)}


TEXT = st.sampled_from(["a", "b", "ab", ""])
PAIR = st.tuples(TEXT, TEXT, st.sampled_from([0.6, 0.62, 0.9]), st.sampled_from(["m", "n"]))
SIDE = st.dictionaries(st.sampled_from([f"p{i}" for i in range(6)]), PAIR, max_size=6)


def _version(folder: Path, side: dict[str, Any]) -> Version:
    from charter.hub.schema import CONFIGS

    def said(text: str) -> list[dict[str, str]]:
        return [{"role": "assistant", "content": text}]

    base = dict.fromkeys(CONFIGS["preference"].names)
    rows = [
        {
            **base,
            "id": name,
            "prompt": said("p"),
            "chosen": said(chosen),
            "rejected": said(rejected),
            "p_chosen": p,
            "judge_model": judge,
        }
        for name, (chosen, rejected, p, judge) in side.items()
        if chosen != rejected
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "preference" / "train.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, CONFIGS["preference"]), path)
    manifest = load_manifest(folder.parent / "charter.json")
    counts = {"preference": {"train": len(rows), "test": 0}}
    files = {"preference/train.parquet": _sha256(path)}
    return Version(folder, manifest.model_copy(update={"counts": counts, "files": files}))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=SIDE, after=SIDE)
def test_counts_are_those_of_a_plain_comparison(
    one: Version, tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    (tmp_path / "charter.json").write_bytes(dump_manifest(one.manifest))
    sides = [_version(tmp_path / name, side) for name, side in (("a", before), ("b", after))]
    found = compare(*sides, "preference", 0.05)
    rows = [{k: v for k, v in side.items() if v[0] != v[1]} for side in (before, after)]
    wanted = dict.fromkeys(KINDS, 0) | {"same": 0}
    wanted["added"] = len(rows[1].keys() - rows[0].keys())
    wanted["removed"] = len(rows[0].keys() - rows[1].keys())
    for name in rows[0].keys() & rows[1].keys():
        (c, r, p, j), (c2, r2, p2, j2) = rows[0][name], rows[1][name]
        flipped = (c, r) == (r2, c2)
        moved = not flipped and abs(p - p2) > 0.05
        text = not flipped and (c, r) != (c2, r2)
        other = j != j2 or (p != p2 and not flipped and not moved)
        for kind, is_it in (
            ("flipped", flipped),
            ("p_moved", moved),
            ("relabelled", flipped or moved),
            ("text_changed", text),
            ("other_changed", other),
            ("same", not (flipped or moved or text or other)),
        ):
            wanted[kind] += is_it
    assert found.counts == wanted


def test_hashes_tell_roles_order_and_borders_apart() -> None:
    def said(*messages: tuple[str, str]) -> list[dict[str, str]]:
        return [{"role": role, "content": content} for role, content in messages]

    several = [
        said(("user", "ab")),
        said(("assistant", "ab")),
        said(("user", "a"), ("user", "b")),
        said(("user", "b"), ("user", "a")),
        said(("user", "a")),
        said(("user", "")),
        said(),
        None,
    ]
    column = pl.Series("m", several * 3)
    hashed = column.hash(1)
    assert hashed.n_unique() == len(several)
    assert hashed[8:16].to_list() == column[8:16].hash(1).to_list() == hashed[:8].to_list()
