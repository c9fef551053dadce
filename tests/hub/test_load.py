from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import charter.hub
from charter.errors import InputError
from charter.hub import Version, list_versions, open_version, publish_local, published_splits
from charter.hub.schema import CONFIGS


@pytest.fixture
def version(make_draft: Any, store: Path) -> Version:
    return open_version(publish_local(make_draft(), store).path)


def test_rows_come_as_given_by_split_and_together(version: Version, make_draft: Any) -> None:
    draft = make_draft()
    assert version.configs() == tuple(draft.rows)
    for config, rows in draft.rows.items():
        by_split = {
            split: [r for r in rows if draft.splits.get(r["prompt_id"], "train") == split]
            for split in ("train", "test")
        }
        assert version.splits(config) == tuple(split for split in by_split if by_split[split])
        for split, wanted in by_split.items():
            assert version.rows(config, split).to_dicts() == wanted
            assert version.rows(config, split).columns == CONFIGS[config].names
        assert version.rows(config).to_dicts() == by_split["train"] + by_split["test"]


def test_datasets_have_features_also_where_there_are_no_rows(version: Version, hf: Any) -> None:
    for config, schema in CONFIGS.items():
        for split in ("train", "test"):
            found = version.dataset(config, split)
            assert isinstance(found, hf.Dataset)
            assert found.features == hf.Features.from_arrow_schema(schema)
            assert found.to_list() == version.rows(config, split).to_dicts()


def test_the_cache_of_datasets_never_gives_the_rows_of_another_version(
    make_draft: Any, store: Path, hf: Any
) -> None:
    """Same place, same size, same time: all that `datasets` goes by."""
    texts = []
    for response in ("first time", "other time"):
        draft = make_draft()
        draft.rows["sft"][0]["initial_response"] = response
        published = publish_local(draft, store)
        os.utime(published.path / "sft" / "train.parquet", (10**9, 10**9))
        rows = open_version(published.path).dataset("sft", "train")
        texts.append(rows[0]["initial_response"])
        shutil.rmtree(published.path)
    assert texts == ["first time", "other time"]


def test_unknown_names_get_a_suggestion(version: Version) -> None:
    with pytest.raises(InputError, match='no config "prefrence"; did you mean "preference"'):
        version.rows("prefrence")
    with pytest.raises(InputError, match='no split "tests"; did you mean "test"'):
        version.rows("sft", "tests")
    with pytest.raises(InputError, match='no config "answers"'):
        version.splits("answers")


def test_one_row_is_found_with_its_votes(version: Version, make_draft: Any) -> None:
    draft = make_draft()
    pair = version.find("p3#a~b")
    assert (pair.config, pair.split, pair.row) == (
        "preference",
        "test",
        draft.rows["preference"][1],
    )
    assert [vote["order"] for vote in pair.judgments] == ["AB", "BA"]
    assert version.find("p0#sft").row == draft.rows["sft"][0]
    assert version.find("p0#sft").judgments == []
    reject = version.find("p1#a~b")
    assert (reject.row["reason"], len(reject.judgments)) == ("TIE", 2)
    with pytest.raises(InputError, match='no row "p3#a-b"; did you mean "p3#a~b"'):
        version.find("p3#a-b")


@pytest.fixture
def versions(make_draft: Any, store: Path) -> Path:
    for i, tag in enumerate(("v0.2.0", "v0.10.0", "v1.0.0-rc.1")):
        draft = make_draft(version=tag)
        draft.rows["sft"][0]["initial_response"] = str(i)
        publish_local(draft, store)
    return store


@pytest.mark.parametrize(
    ("wanted", "tag"),
    [
        ("v0.2.0", "v0.2.0"),
        ("0.2.0", "v0.2.0"),
        (">=0.1,<1", "v0.10.0"),
        (">=0.1", "v0.10.0"),
        ("v1.0.0-rc.1", "v1.0.0-rc.1"),
    ],
)
def test_a_version_is_found_by_tag_and_by_range(versions: Path, wanted: str, tag: str) -> None:
    assert open_version(f"me/small@{wanted}", store=versions).tag == tag


def test_versions_are_listed_in_their_own_order(versions: Path) -> None:
    (versions / "me" / "small" / "notes").mkdir()
    (versions / "me" / "small" / "v9.0.0").mkdir()
    tags = [str(tag) for tag in list_versions(versions, "me/small")]
    assert tags == ["v0.2.0", "v0.10.0", "v1.0.0-rc.1"]
    assert list_versions(versions, "me/other") == []


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("me/small@v0.3.0", r"no such version.*use one of: v0.2.0, v0.10.0, v1.0.0-rc.1"),
        ("me/small@>=1", r"no such version.*use one of: v0.2.0"),
        ("me/small@latest", "neither a tag nor a range"),
        ("me/other@v0.2.0", "nothing of me/other is published there yet"),
        ("me/small", "neither a folder nor a version"),
        ("nowhere", "neither a folder nor a version"),
        ("../me/small@v0.2.0", "no name of a repo"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(versions: Path, where: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        open_version(where, store=versions)


def test_a_name_needs_a_store_and_a_folder_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no store"):
        open_version("me/small@v0.1.0")
    with pytest.raises(InputError, match="no such file"):
        open_version(tmp_path)


def test_a_changed_file_is_refused(version: Version) -> None:
    names = [*version.manifest.files]
    assert len(names) == 14
    for name in names:
        path = version.path / name
        before = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.raises(InputError, match="changed after publication") as caught:
            open_version(version.path)
        assert [fault.place for fault in caught.value.faults] == [str(path)]
        path.unlink()
        with pytest.raises(InputError, match="the file is missing"):
            open_version(version.path)
        path.write_bytes(before)
    assert open_version(str(version.path)).manifest == version.manifest


def test_a_manifest_that_leaves_out_a_file_is_refused(version: Version) -> None:
    path = version.path / "charter.json"
    manifest = json.loads(path.read_bytes())
    del manifest["files"]["sft/train.parquet"]
    path.chmod(0o644)
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"rows in sft/train.parquet, which is not in `files`"):
        open_version(version.path)


def test_a_version_in_anothers_place_is_refused(version: Version, store: Path) -> None:
    version.path.rename(version.path.with_name("v0.2.0"))
    with pytest.raises(InputError, match=r"it says that it is me/small@v0\.1\.0"):
        open_version("me/small@v0.2.0", store=store)


def test_published_splits_cover_all_versions(make_draft: Any, store: Path) -> None:
    assert published_splits(store, "me/small") == {}
    publish_local(make_draft(n=8, test=("p3",)), store)
    publish_local(make_draft(n=10, test=("p3", "p9")), store)
    held = published_splits(store, "me/small")
    assert held == {f"p{i}": "test" if i in (3, 9) else "train" for i in range(10)}


def test_published_splits_read_the_ids_alone(make_draft: Any, store: Path) -> None:
    path = publish_local(make_draft(), store).path
    (path / "rejects" / "train.parquet").unlink()
    assert len(published_splits(store, "me/small")) == 8
    file = path / "sft" / "train.parquet"
    file.chmod(0o644)
    file.write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"sft/train.parquet: cannot be read"):
        published_splits(store, "me/small")
    file.unlink()
    with pytest.raises(InputError, match=r"sft/train.parquet: the file is missing"):
        published_splits(store, "me/small")


def test_exported_names_are_there_and_cost_nothing_until_used() -> None:
    for name in charter.hub.__all__:
        assert getattr(charter.hub, name) is not None
        assert name in dir(charter.hub)
    with pytest.raises(AttributeError, match="nothing"):
        charter.hub.nothing  # noqa: B018
    code = (
        "import sys, charter.hub; "
        "heavy = {'pyarrow', 'polars', 'datasets', 'pydantic', 'torch', 'rensa'}; "
        "print(heavy & sys.modules.keys())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


def test_a_version_of_the_first_schema_is_read_with_its_own_columns(
    version: Version, tmp_path: Path, hf: Any
) -> None:
    """Schema 1 had neither `sample`, scores nor a source's label."""
    import hashlib

    import polars as pl

    old = tmp_path / "old"
    shutil.copytree(version.path, old)
    added = {"sample", "score_a", "score_b", "source_label"}
    data = json.loads((old / "charter.json").read_text())
    data["schema_version"] = 1
    del data["sha256"]  # schema 1 had none
    for path in old.rglob("*.parquet"):
        path.parent.chmod(0o755)
        path.chmod(0o644)
        frame = pl.read_parquet(path)
        frame.select(c for c in frame.columns if c not in added).write_parquet(path)
        name = str(path.relative_to(old))
        data["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (old / "charter.json").chmod(0o644)
    (old / "charter.json").write_text(json.dumps(data))
    found = open_version(old)
    rows = found.dataset("preference", "train")
    assert "source_label" not in rows.column_names and len(rows) > 0
    assert rows[0]["chosen"] == version.dataset("preference", "train")[0]["chosen"]
    assert "sample" not in found.rows("judgments").columns
