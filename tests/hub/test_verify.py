"""A version looked at again: what was broken is named, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from charter.constitutions import load_constitution
from charter.errors import InputError
from charter.hub import Version, open_version, publish_local
from charter.hub.manifest import dump_manifest, load_manifest
from charter.hub.schema import CONFIGS
from charter.hub.verify import Verified, store_of, verify_version
from charter.hub.verify_rows import published_rows, schema_of, splits_in
from charter.hub.version import open_unchecked

GATE = ("columns", "ledgers", "ids", "pairs", "labels", "votes", "enums", "splits", "kept")
CHECKS = (
    *("files", "extra", "counts", "schema", "prompts"),
    *(f"gate.{name}" for name in GATE),
    *("figures", "constitution", "recipe", "card"),
)


@pytest.fixture
def draft(make_draft: Any, tmp_path: Path) -> Any:
    """A draft whose manifest names its own constitution."""
    made = make_draft()
    file = tmp_path / "constitution.yaml"
    file.write_text(made.constitution_yaml)
    made.lineage["constitution"]["fingerprint"] = load_constitution(file).fingerprint()
    return made


@pytest.fixture
def folder(draft: Any, store: Path, tmp_path: Path) -> Path:
    """A copy of a sound version, outside of its store, that may be written."""
    target = tmp_path / "copy"
    shutil.copytree(publish_local(draft, store).path, target)
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


def failed(found: Verified) -> dict[str, str]:
    return {check.check: check.detail for check in found.checks if not check.passed}


def sealed(folder: Path, **changes: Any) -> Verified:
    """Verify a folder whose manifest has the checksums of what is in it now."""
    manifest = load_manifest(folder / "charter.json")
    files = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest.files
    }
    changed = manifest.model_copy(update={"files": files, **changes})
    (folder / "charter.json").write_bytes(dump_manifest(changed))
    return verify_version(open_unchecked(folder))


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)


def older(folder: Path, target: Path) -> Verified:
    """Verify the version as schema 1 would have written it."""
    shutil.copytree(folder, target)
    for path in target.rglob("*.parquet"):
        table = pq.read_table(path)
        new = {"source_label", "sample", "score_a", "score_b"} & set(table.column_names)
        pq.write_table(table.drop_columns(list(new)), path)
    return sealed(target, schema_version=1)


def test_a_sound_version_passes_every_check(draft: Any, store: Path, folder: Path) -> None:
    publish_local(draft, store)
    found = verify_version(open_unchecked("me/small@>=0.1", store=store))
    assert failed(found) == {} and found.passed
    names = [check.check for check in found.checks]
    assert [name for name in names if name in CHECKS] == list(CHECKS)
    details = {check.check: check.detail for check in found.checks}
    assert details["gate.kept"] == "8 prompts of all versions in its store keep their splits"
    assert found.as_json()["version"] == "me/small@v0.1.0"
    assert verify_version(open_unchecked(folder)).passed


def test_the_gate_runs_over_the_rows_as_they_were_given(draft: Any, store: Path) -> None:
    version = open_unchecked(publish_local(draft, store).path)
    rows = published_rows(version)
    splits, both = splits_in(version)
    assert both == [] and splits == draft.splits
    for config, wanted in draft.rows.items():
        found = [row for batch in rows[config].batches() for row in batch.to_pylist()]
        assert len(rows[config]) == len(found) == len(wanted)
        assert sorted(map(repr, found)) == sorted(map(repr, wanted))
        assert next(b.schema.names for b in rows[config].batches("prompt_id")) == ["prompt_id"]


@pytest.mark.parametrize(
    ("name", "what"), [("sft/test.parquet", "missing"), ("recipe.yaml", "missing")]
)
def test_a_file_that_is_missing_is_named(folder: Path, name: str, what: str) -> None:
    (folder / name).unlink()
    wrong = failed(verify_version(open_unchecked(folder)))
    assert what in wrong["files"] and name in wrong["files"]
    assert "not made" in wrong["gate"]


def test_bytes_that_changed_are_named_and_rows_are_not_trusted(folder: Path) -> None:
    path = folder / "preference" / "train.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    wrong = failed(verify_version(open_unchecked(folder)))
    assert wrong.keys() == {"files", "counts", "gate"}
    assert "preference/train.parquet" in wrong["files"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("created", "2020-01-01T00:00:00Z"),
        ("parent", "v0.0.1"),
        ("seeds", {"recipe": 8}),
        ("models", {}),
        ("packages", {"torch": "1.0"}),
        ("figures", {"cost": 0.0}),
    ],
)
def test_a_manifest_that_was_changed_is_named(folder: Path, field: str, value: Any) -> None:
    path = folder / "charter.json"
    data = json.loads(path.read_text())
    assert data[field] != value
    path.write_text(json.dumps(data | {field: value}))
    assert failed(verify_version(open_unchecked(folder)))["files"].endswith("charter.json")
    with pytest.raises(InputError, match=r"charter\.json: .*changed after publication"):
        open_version(folder)
    # Without its checksum it is one of an older charter.
    path.write_text(json.dumps({k: v for k, v in data.items() if k != "sha256"}))
    found = verify_version(open_version(folder))
    assert found.passed and found.checks[0].detail.endswith("files as published")


def test_what_does_not_belong_there_is_named(folder: Path) -> None:
    (folder / ".gitattributes").write_text("*.parquet filter=lfs\n")
    assert verify_version(open_unchecked(folder)).passed
    (folder / "sft" / "more.parquet").write_bytes(b"x")
    assert failed(verify_version(open_unchecked(folder))) == {
        "extra": "not in charter.json: sft/more.parquet"
    }


def test_counts_that_are_not_those_of_the_files(folder: Path) -> None:
    counts = {"sft": {"train": 5, "test": 1}, "rejects": {"train": 4, "test": 0}}
    wrong = failed(sealed(folder, counts=counts))
    assert "sft/train.parquet has 6 rows, not 5" in wrong["counts"]
    assert "preference/train.parquet is there" in wrong["counts"]


def test_columns_of_another_type(folder: Path) -> None:
    path = folder / "preference" / "test.parquet"
    table = pq.read_table(path)
    at = table.column_names.index("n_votes")
    wide = table.set_column(at, "n_votes", pc.cast(table["n_votes"], pa.int64()))
    pq.write_table(wide.append_column("more", table["id"]), path)
    wrong = failed(sealed(folder))
    assert wrong.keys() == {"schema", "gate"}
    assert "has also more" in wrong["schema"] and "another type in n_votes" in wrong["schema"]


def _same_answer(rows: list[dict[str, Any]]) -> None:
    rows[0]["chosen"] = rows[0]["rejected"]


def _no_number(rows: list[dict[str, Any]]) -> None:
    rows[1]["p_chosen"] = float("nan")


def _no_text(rows: list[dict[str, Any]]) -> None:
    rows[1]["chosen"][0]["content"] = None


def _lower(rows: list[dict[str, Any]]) -> None:
    rows[1]["p_chosen"], rows[1]["log_odds"] = 0.4, -0.4054651081081644


@pytest.mark.parametrize(
    ("change", "check", "what"),
    [
        (_same_answer, "gate.pairs", "p0#a~b"),
        (_no_number, "gate.columns", "preference/train.parquet p_chosen: a number"),
        (_no_text, "gate.columns", "preference/train.parquet chosen: null"),
        (_lower, "gate.labels", "p3#a~b"),
        (lambda rows: rows[1].update(n_votes=5), "gate.votes", "p3#a~b"),
        (lambda rows: rows[1].update(label_source="dog"), "gate.enums", "dog"),
        (lambda rows: rows[1].update(id="p0#a~b"), "gate.ids", "p0#a~b"),
        (lambda rows: rows[1].update(prompt_id="p3"), "prompts", "p3"),
    ],
    ids=["same-answer", "nan", "null-text", "label", "votes", "enum", "id", "split"],
)
def test_rows_that_the_gate_would_not_have_let_through(
    folder: Path, change: Callable[[Any], None], check: str, what: str
) -> None:
    def changed(rows: list[dict[str, Any]]) -> None:
        rows.sort(key=lambda row: row["id"])
        change(rows)

    rewrite(folder / "preference" / "train.parquet", changed)
    wrong = failed(sealed(folder))
    assert check in wrong, wrong
    if what != "p3#a~b":
        assert what in wrong[check]


def test_figures_are_counted_again(folder: Path) -> None:
    figures = load_manifest(folder / "charter.json").figures
    figures["verdicts"]["A"] += 1  # type: ignore[index,call-overload,operator]
    assert failed(sealed(folder, figures=figures)) == {
        "figures": "charter.json says otherwise than the rows: verdicts"
    }


def test_a_constitution_that_says_otherwise(folder: Path) -> None:
    path = folder / "constitution.yaml"
    path.write_text(path.read_text().replace("Rewrite it kindly", "Rewrite it rudely"))
    wrong = failed(sealed(folder))
    assert wrong.keys() == {"constitution"} and "fingerprint" in wrong["constitution"]
    path.write_text(path.read_text().replace("rudely", "kindly").replace("CC-BY-4.0", "MIT"))
    assert failed(sealed(folder)) == {
        "constitution": "its licence is MIT, charter.json says CC-BY-4.0"
    }
    path.write_text("principles: [")
    assert failed(sealed(folder)).keys() == {"constitution"}


@pytest.mark.parametrize(
    "text",
    ["- a list\n", "a: [", "", "a: !!bool maybe\n", "a: 2020-13-45\n"],
    ids=["list", "broken", "empty", "tag", "date"],
)
def test_a_recipe_without_settings(folder: Path, text: str) -> None:
    (folder / "recipe.yaml").write_text(text)
    assert failed(sealed(folder)).keys() == {"recipe"}


def test_a_card_that_lists_other_files_or_rows(folder: Path) -> None:
    card = folder / "README.md"
    _, block, text = card.read_text().split("---\n", 2)
    meta = yaml.safe_load(block)
    meta["dataset_info"][0]["splits"][0]["num_examples"] += 1
    card.write_text(f"---\n{yaml.safe_dump(meta)}---\n{text}")
    assert failed(sealed(folder)).keys() == {"card"}
    meta["configs"][1]["data_files"].pop()
    card.write_text(f"---\n{yaml.safe_dump(meta)}---\n{text}")
    assert "preference/test" in failed(sealed(folder))["card"]
    for said in ("no metadata", "---\nlicense: !!bool maybe\n---\n"):
        card.write_text(said)
        assert failed(sealed(folder)).keys() == {"card"}


def test_versions_of_schema_1_pass_and_it_is_said_what_they_lack(
    folder: Path, tmp_path: Path
) -> None:
    found = older(folder, tmp_path / "old")
    told = next(check.detail for check in found.checks if check.check == "schema")
    assert "judgments.sample" in told and "preference.source_label" in told
    wrong = failed(found)
    # Its card and figures speak of the labels of the source, which the older columns lack.
    assert wrong.keys() <= {"figures", "card"}, wrong
    assert schema_of("sft", 1).equals(CONFIGS["sft"])
    assert schema_of("judgments", 2).equals(CONFIGS["judgments"])


def test_a_folder_in_a_store_knows_its_store(draft: Any, store: Path, folder: Path) -> None:
    published = publish_local(draft, store)
    assert store_of(open_unchecked(published.path)) == store.resolve()
    assert store_of(open_unchecked(folder)) is None
    found = verify_version(open_unchecked(folder))
    assert found.not_made.keys() == found.as_json()["not_made"].keys() == {"gate.kept"}
    assert "in no store" in found.not_made["gate.kept"]
    assert not any(check.check == "gate.kept" for check in found.checks)


def test_a_prompt_that_left_its_split_is_found_by_the_earlier_version(
    draft: Any, store: Path
) -> None:
    first = publish_local(draft, store).path
    moved = store / "me" / "small" / "v0.1.1"
    shutil.copytree(first, moved)
    for path in (moved, *moved.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for config in ("sft", "preference", "judgments"):
        train, test = (moved / config / f"{split}.parquet" for split in ("train", "test"))
        train.rename(moved / "aside")
        test.rename(train)
        (moved / "aside").rename(test)
    counts = load_manifest(moved / "charter.json").counts
    for config in ("sft", "preference", "judgments"):
        counts[config] = {"train": counts[config]["test"], "test": counts[config]["train"]}
    wrong = failed(sealed(moved, counts=counts, tag="v0.1.1"))
    assert "gate.kept" in wrong


@pytest.mark.parametrize("where", ["nowhere", "me/small@v9.0.0", "me/small@>=9", "me/none@v0.1.0"])
def test_what_is_no_version_is_told(where: str, draft: Any, store: Path) -> None:
    publish_local(draft, store)
    with pytest.raises(InputError):
        open_unchecked(where, store=store)


def test_a_version_put_under_another_tag(draft: Any, store: Path) -> None:
    first = publish_local(draft, store).path
    shutil.copytree(first, first.parent / "v0.2.0")
    with pytest.raises(InputError, match="says that it is"):
        open_unchecked("me/small@v0.2.0", store=store)


def test_a_version_is_opened_as_a_version(folder: Path) -> None:
    assert isinstance(open_unchecked(folder), Version)
