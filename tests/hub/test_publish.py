from __future__ import annotations

import copy
import json
import pickle
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from charter.errors import Failure, InputError
from charter.hub import data, publish
from charter.hub.part import Part
from charter.hub.publish import Draft, publish_local
from charter.hub.schema import CONFIGS, yaml_features
from charter.hub.version import list_versions, open_version

FILES = {
    "README.md",
    "charter.json",
    "figures/lengths.png",
    "figures/p_chosen.png",
    "figures/rejects.png",
    "figures/verdicts.png",
    "constitution.yaml",
    "recipe.yaml",
    "judgments/test.parquet",
    "judgments/train.parquet",
    "preference/test.parquet",
    "preference/train.parquet",
    "rejects/train.parquet",
    "sft/test.parquet",
    "sft/train.parquet",
}
PUBLISH = """
import pickle, sys, time
from pathlib import Path
from charter.errors import Failure
from charter.hub import publish

given, store = Path(sys.argv[1]), Path(sys.argv[2])
if len(sys.argv) > 3:  # stop just before the version would appear
    def never(temporary, target):
        print("ready", flush=True)
        time.sleep(60)
    publish._rename = never
for i, draft in enumerate(pickle.loads(given.read_bytes())):
    print(f"ready {i}", flush=True)
    while not (given.parent / f"go{i}").exists():
        time.sleep(0.001)
    try:
        published = publish.publish_local(draft, store)
        print(published.tag, published.new, flush=True)
    except Failure as failure:
        print("Failure", failure, flush=True)
"""


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _changed(draft: Draft, **changes: Any) -> Draft:
    return Draft(**(copy.deepcopy(vars(draft)) | changes))


def _relabelled(draft: Draft) -> Draft:
    rows = copy.deepcopy(draft.rows)
    rows["sft"][0]["initial_response"] = "another one"
    return _changed(draft, rows=rows)


def test_a_version_has_its_files_and_nothing_else(make_draft: Any, store: Path) -> None:
    published = publish_local(make_draft(), store)
    assert (published.repo, published.tag, published.new) == ("me/small", "v0.1.0", True)
    assert published.path == store / "me" / "small" / "v0.1.0"
    assert _files(published.path).keys() == FILES
    assert {p.name for p in published.path.parent.iterdir()} == {".lock", "v0.1.0"}
    modes = {stat.S_IMODE(p.stat().st_mode) for p in published.path.rglob("*") if p.is_file()}
    assert modes == {0o444}
    manifest = published.manifest
    assert manifest == open_version(published.path).manifest
    assert manifest.files.keys() == FILES - {"charter.json"}
    assert manifest.counts == {
        "sft": {"train": 6, "test": 1},
        "preference": {"train": 5, "test": 1},
        "judgments": {"train": 12, "test": 2},
        "rejects": {"train": 4, "test": 0},
    }
    assert manifest.parent is None
    assert manifest.ledgers.model_dump() == make_draft().ledgers
    assert manifest.figures["calls"] == {"judge": 12}
    assert manifest.figures["verdicts"] == {"A": 14, "B": 0, "TIE": 0, "UNPARSED": 0}
    assert manifest.figures["rejects"]["preference"] == {"NO_PAIR": 1, "TIE": 1}
    assert all(check.passed for check in manifest.checks)


def test_datasets_loads_every_config_as_it_was_given(make_draft: Any, store: Path, hf: Any) -> None:
    draft = make_draft()
    published = publish_local(draft, store)
    for config, rows in draft.rows.items():
        loaded = hf.load_dataset(str(published.path), config)
        splits = {s: n for s, n in published.manifest.counts[config].items() if n}
        assert {split: len(each) for split, each in loaded.items()} == splits
        for split, each in loaded.items():
            wanted = [r for r in rows if draft.splits.get(r["prompt_id"], "train") == split]
            assert each.to_list() == wanted
            assert each.features == hf.Features.from_arrow_schema(CONFIGS[config])
    assert hf.get_dataset_config_names(str(published.path)) == list(draft.rows)
    default = hf.load_dataset(str(published.path), split="train")
    assert "chosen" in default.column_names


def test_without_test_rows_or_without_a_config_the_rest_still_loads(
    make_draft: Any, store: Path, hf: Any
) -> None:
    draft = make_draft(test=())
    rejects = [row for row in draft.rows["rejects"] if row["ledger"] != "preference"]
    rejects += [
        {**draft.rows["rejects"][3], "prompt_id": f"p{i}", "detail": "none made"} for i in range(8)
    ]
    rows = {"sft": draft.rows["sft"], "preference": [], "judgments": [], "rejects": rejects}
    ledgers = {**draft.ledgers, "pairs_formed": 0}
    published = publish_local(_changed(draft, rows=rows, ledgers=ledgers), store)
    assert {f for f in _files(published.path) if f.endswith(".parquet")} == {
        "sft/train.parquet",
        "rejects/train.parquet",
    }
    assert published.manifest.counts["preference"] == {"train": 0, "test": 0}
    assert hf.get_dataset_config_names(str(published.path)) == ["sft", "rejects"]
    assert list(hf.load_dataset(str(published.path), "sft")) == ["train"]
    assert len(hf.load_dataset(str(published.path), "rejects", split="train")) == len(rejects)


def test_an_empty_list_of_revisions_keeps_its_type(make_draft: Any, store: Path, hf: Any) -> None:
    draft = make_draft()
    for row in draft.rows["sft"]:
        row["revisions"] = []
    published = publish_local(draft, store)
    schema = pq.read_schema(published.path / "sft" / "train.parquet")
    assert schema.field("revisions").type == CONFIGS["sft"].field("revisions").type
    assert hf.load_dataset(str(published.path), "sft", split="train")[0]["revisions"] == []


def test_the_features_of_the_card_are_those_that_datasets_writes(hf: Any) -> None:
    for schema in CONFIGS.values():
        assert yaml_features(schema) == hf.Features.from_arrow_schema(schema)._to_yaml_list()


def test_two_publications_are_the_same_bytes(make_draft: Any, tmp_path: Path) -> None:
    one, other = (_files(publish_local(make_draft(), tmp_path / name).path) for name in "ab")
    assert one.keys() == other.keys()
    for name in one.keys() - {"README.md", "charter.json"}:
        assert one[name] == other[name]


def test_row_groups_are_small_and_stable_under_appended_rows(tmp_path: Path) -> None:
    schema = CONFIGS["judgments"]
    row = dict.fromkeys(schema.names) | {"prompt_tokens": 1}
    rows = [
        row | {"comparison_id": f"p{i}", "prompt_id": f"p{i}", "raw": f"{i} " * 1200}
        for i in range(9000)
    ]
    rows[5]["raw"] = "x" * (6 << 20)
    files = []
    for each in (rows, rows[:8500]):
        path = tmp_path / f"{len(each)}.parquet"
        with data.SplitFile(path, schema, len(each), bitmaps=0) as file:
            for batch in pa.Table.from_pylist(each, schema).to_batches(1000):
                part = Part("judgments", batch, {})
                file.add(data.Measured.of(part), np.ones(len(part), bool))
        files.append(pq.ParquetFile(path))
    groups = [[f.metadata.row_group(i) for i in range(f.num_row_groups)] for f in files]
    for group in groups[0]:
        assert group.total_byte_size <= 42e6
    first = [group.num_rows for group in groups[0] if group.num_rows]
    second = [group.num_rows for group in groups[1]]
    assert len(second) > 2 and first[: len(second) - 1] == second[:-1]
    assert files[0].read().to_pylist() == rows


def test_nothing_changed_is_no_new_version(make_draft: Any, store: Path) -> None:
    first = publish_local(make_draft(), store)
    lineage = copy.deepcopy(make_draft().lineage)
    lineage["packages"]["pyarrow"] = "27.0.0"
    lineage["figures"]["calls"]["judge"] = 0
    again = publish_local(make_draft(lineage=lineage), store)
    assert (again.tag, again.path, again.new) == (first.tag, first.path, False)
    assert again.manifest == first.manifest
    asked = publish_local(make_draft(version="v0.1.0"), store)
    assert (asked.tag, asked.new) == ("v0.1.0", False)
    assert [str(tag) for tag in list_versions(store, "me/small")] == ["v0.1.0"]


def test_another_parquet_writer_is_no_new_version(
    make_draft: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(data, "_OPTIONS", {"compression": "snappy"})
        patch.setattr(data, "_GROUP_BYTES", 300)
        publish_local(make_draft(), store)
    assert not publish_local(make_draft(), store).new
    assert publish_local(_relabelled(make_draft()), store).tag == "v0.1.1"


def test_numbers_follow_what_changed(make_draft: Any, store: Path) -> None:
    draft = make_draft()

    def lineage(**changes: Any) -> dict[str, Any]:
        return {**copy.deepcopy(dict(draft.lineage)), **changes}

    judged = lineage(models={**draft.lineage["models"], "judge": {"llm": "other"}})
    reviewed = lineage(reviews={"agreement": 0.8}, models=judged["models"])
    steps = [
        (draft, "v0.1.0"),
        (_relabelled(draft), "v0.1.1"),
        (_changed(draft, lineage=judged), "v0.2.0"),
        (_changed(draft, lineage=reviewed), "v0.2.1"),
        (_changed(draft, lineage=reviewed, recipe_yaml="name: small\n"), "v0.2.2"),
        (_changed(draft, lineage=reviewed, version="v0.3.0-rc.1"), "v0.3.0-rc.1"),
        (_changed(draft, lineage=reviewed, version="v1.0.0"), "v1.0.0"),
        (_changed(_relabelled(draft), lineage=reviewed), "v1.1.0"),
        (_changed(_relabelled(draft), lineage=judged), "v1.1.1"),
        (_relabelled(draft), "v2.0.0"),
    ]
    tags = [publish_local(each, store).tag for each, _ in steps]
    assert tags == [tag for _, tag in steps]
    manifests = {tag: open_version(f"me/small@{tag}", store=store).manifest for tag in tags}
    assert manifests["v0.3.0-rc.1"].parent == "v0.2.2"
    assert manifests["v1.0.0"].parent == "v0.2.2"
    assert manifests["v2.0.0"].parent == "v1.1.1"


def test_a_tag_is_never_overwritten(make_draft: Any, store: Path) -> None:
    first = publish_local(make_draft(version="v0.4.0"), store)
    before = _files(first.path)
    with pytest.raises(
        Failure, match=r"v0.4.0 is published with other content.*use v0.4.1"
    ) as caught:
        publish_local(_changed(_relabelled(make_draft()), version="v0.4.0"), store)
    assert caught.value.exit_code == 1
    assert _files(first.path) == before
    with pytest.raises(InputError, match=r"v0.3.9 comes before v0.4.0.*use v0.4.1 or a higher"):
        publish_local(make_draft(version="v0.3.9"), store)
    with pytest.raises(InputError, match=r"v0.3.9-rc.1 comes before v0.4.0"):
        publish_local(make_draft(version="v0.3.9-rc"), store)
    with pytest.raises(InputError, match="no version tag"):
        publish_local(make_draft(version="0.5"), store)


def test_a_failing_gate_publishes_nothing(make_draft: Any, store: Path) -> None:
    draft = make_draft()
    draft.rows["preference"][0]["p_chosen"] = 0.2
    with pytest.raises(Failure, match="labels"):
        publish_local(draft, store)
    assert list_versions(store, "me/small") == []
    with pytest.raises(InputError, match="no name of a repo"):
        publish_local(make_draft(repo="../small"), store)


def test_a_published_prompt_may_not_change_its_split(make_draft: Any, store: Path) -> None:
    publish_local(make_draft(test=("p3",)), store)
    with pytest.raises(Failure, match="another split than published before: p3, p5"):
        publish_local(make_draft(test=("p5",)), store)
    assert publish_local(make_draft(n=10, test=("p3", "p9")), store).tag == "v0.1.1"


def test_a_full_disk_leaves_nothing(
    make_draft: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(Failure, match="No space left on device"):
            publish_local(make_draft(), store)
    assert {p.name for p in (store / "me" / "small").iterdir()} == {".lock"}
    assert publish_local(make_draft(), store).new


def _start(drafts: list[Draft], store: Path, name: str, *more: str) -> subprocess.Popen[str]:
    given = store.parent / f"{name}.pickle"
    given.write_bytes(pickle.dumps(drafts))
    command = [sys.executable, "-c", PUBLISH, str(given), str(store), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_hung_publisher_hangs_nobody_and_a_killed_one_leaves_nothing(
    make_draft: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.parent / "go0").touch()
    process = _start([make_draft()], store, "killed", "never")
    assert [_said(process), _said(process)] == ["ready 0", "ready"]
    with monkeypatch.context() as patch:
        patch.setattr(publish, "_PATIENCE", 0.1)
        start = time.monotonic()
        with pytest.raises(Failure, match="another process has been publishing"):
            publish_local(make_draft(), store)
        assert time.monotonic() - start < 30
    process.send_signal(signal.SIGKILL)
    process.communicate()
    folder = store / "me" / "small"
    left = [path.name for path in folder.glob(".publishing-*")]
    assert len(left) == 1
    assert len(_files(folder / left[0])) == len(FILES)
    assert list_versions(store, "me/small") == []
    assert publish_local(make_draft(), store).tag == "v0.1.0"
    assert {path.name for path in folder.iterdir()} == {".lock", "v0.1.0"}


def test_of_two_publishers_at_once_one_wins_a_tag(make_draft: Any, store: Path) -> None:
    both = (make_draft(), _relabelled(make_draft()))
    rounds = [("me/asked", "v0.1.0"), ("me/auto", "auto")]
    processes = [
        _start([_changed(d, repo=r, version=v) for r, v in rounds], store, str(i))
        for i, d in enumerate(both)
    ]
    said = []
    for i in range(len(rounds)):
        assert [_said(process) for process in processes] == [f"ready {i}"] * 2
        (store.parent / f"go{i}").touch()
        said.append(sorted(_said(process) for process in processes))
    for process in processes:
        process.communicate(timeout=60)
    assert said[0][1] == "v0.1.0 True"
    assert "v0.1.0 is published with other content" in said[0][0]
    assert said[1] == ["v0.1.0 True", "v0.1.1 True"]
    assert [str(tag) for tag in list_versions(store, "me/asked")] == ["v0.1.0"]
    for tag in ("v0.1.0", "v0.1.1"):
        open_version(f"me/auto@{tag}", store=store)


def test_where_locks_do_not_work_the_rename_decides(
    make_draft: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = publish._place

    def overtaken(files: Any, target: Path) -> None:
        place({"charter.json": b"{}"}, target)
        place(files, target)

    monkeypatch.setattr(publish, "_place", overtaken)
    with pytest.raises(Failure, match="published by another process in the meantime"):
        publish_local(make_draft(), store)
    assert json.loads((store / "me" / "small" / "v0.1.0" / "charter.json").read_bytes()) == {}
