"""The Hub's benchmark: its rows pass the gate, its changes are what they say, its table."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
ROWS = 2100  # two blocks and a part of one


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        import hub_rows

        folder = tmp_path_factory.mktemp("rows")
        hub_rows.made(folder / "first", ROWS)
    return folder


@pytest.fixture
def hub(path: None) -> Any:
    # By its file: `hub` is also the name of a folder that must not be imported.
    spec = importlib.util.spec_from_file_location("bench_hub", FOLDER / "hub.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    import hub_rows

    found = hub_rows.stored(folder)["preference"]
    return {row["id"]: row for batch in found.batches() for row in batch.to_pylist()}


def test_rows_pass_the_gate_and_are_the_same_each_time(
    path: None, made: Path, tmp_path: Path
) -> None:
    import hub_rows

    from charter.hub import publish_local

    rows = hub_rows.stored(made / "first")
    assert {name: len(each) for name, each in rows.items()} == {
        "preference": ROWS,
        "judgments": 2 * ROWS,
        "rejects": ROWS // 50 + ROWS // 100,
    }
    draft = hub_rows.draft("bench/rows", rows, hub_rows.splits_of(rows))
    published = publish_local(draft, tmp_path / "store")
    assert all(check.passed for check in published.manifest.checks)
    counts = published.manifest.counts["preference"]
    assert counts["train"] + counts["test"] == ROWS and counts["test"] == ROWS // 20
    hub_rows.made(tmp_path / "fewer", 1500)
    first, fewer = rows_of(made / "first"), rows_of(tmp_path / "fewer")
    assert list(first.items())[:1500] == list(fewer.items())
    size = sum(len(json.dumps(row)) for row in first.values()) / ROWS
    assert 2500 < size < 4500


def test_a_change_touches_a_twentieth_and_nothing_else(
    path: None, made: Path, tmp_path: Path
) -> None:
    import hub_plan
    import hub_rows

    from charter.hub import publish_local

    first, share = rows_of(made / "first"), ROWS // 20
    passed = set()
    labels = {"p_chosen", "log_odds", "order_consistent"}
    for number, change in enumerate(hub_plan.CHANGES):
        place = tmp_path / str(number)
        hub_rows.change(change, made / "first", place)
        second = rows_of(place)
        new, gone = second.keys() - first.keys(), first.keys() - second.keys()
        changed = {
            name: {column for column, value in row.items() if value != first[name][column]}
            for name, row in second.items()
            if name in first and row != first[name]
        }
        wanted = {
            "append": (share, 0, 0),
            "drop": (0, 1 if change.where == "front" else share, 0),
        }.get(change.kind, (0, 0, share))
        assert (len(new), len(gone), len(changed)) == wanted, change.name
        columns = set().union(*changed.values()) if changed else set()
        assert columns <= (labels if change.kind == "label" else {"chosen", "rejected"})
        assert [name for name in second if name in first] == [n for n in first if n in second]
        if change.kind in passed:
            continue
        rows = hub_rows.stored(place)
        draft = hub_rows.draft("bench/rows", rows, hub_rows.splits_of(rows))
        assert publish_local(draft, tmp_path / "store" / str(number)).new
        passed.add(change.kind)


def test_a_store_takes_only_what_is_new(path: None, tmp_path: Path) -> None:
    import random

    import hub_chunks

    draw = random.Random(1)
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(draw.randbytes(3 << 20))
    other.write_bytes(one.read_bytes() + b"more")
    first = hub_chunks.put(tmp_path / "store", [one])
    second = hub_chunks.put(tmp_path / "store", [other])
    again = hub_chunks.put(tmp_path / "store", [one, other])
    assert (first.total, first.new) == (3 << 20, 3 << 20)
    assert 0 < second.new <= 256 << 10 and again.new == 0


def test_layouts_change_the_writer_and_give_it_back(path: None, made: Path, tmp_path: Path) -> None:
    import hub_chunks
    import hub_plan
    import pyarrow.parquet as pq

    from charter.hub import data

    before = (data._OPTIONS, data._GROUP_BYTES)
    sizes = {}
    for number, how in enumerate(hub_plan.LAYOUTS):
        files = hub_chunks.written(made / "first", tmp_path / str(number), how)
        table = pq.read_table(
            next(f for f in files if f.parts[-2:] == ("preference", "train.parquet"))
        )
        assert table.num_rows == ROWS - ROWS // 20
        sizes[how.name] = sum(file.stat().st_size for file in files)
        assert before == (data._OPTIONS, data._GROUP_BYTES)
    assert sizes["snappy"] > 1.3 * sizes["as shipped"]


def test_figures_of_other_sizes_are_not_written_over_the_usual_ones(hub: Any) -> None:
    assert not hub.options_of([]).other
    for given in (["--short"], ["--rows", "1000"], ["--xet"]):
        assert hub.options_of(given).other
    assert hub.options_of(["--rows", "100000"]).rows == 100_000
    assert hub.options_of(["--only", "diff"]).partial


@pytest.mark.slow
def test_the_smallest_size_runs_to_its_end(tmp_path: Path) -> None:
    out = tmp_path / "hub.json"
    command = [sys.executable, FOLDER / "hub.py", "--short", "--out", out]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert ran.returncode == 0, ran.stderr
    cases = json.loads(out.read_text(encoding="utf-8"))["cases"]
    found = {(case["case"], case["figure"]): case["value"] for case in cases}
    assert found[("Charter, the same rows", "peak memory")] < 600
    assert found[("second version, as shipped", "new: 5 % dropped, scattered")] > 50
    assert ("charter diff", "time") in found
