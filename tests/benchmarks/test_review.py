"""The review's benchmark: its options, its table, and the engine alone at a small size."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running_argilla import skip_without_environment

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.fixture
def review(path: None) -> Any:
    # By its file: `review` is also the name of a folder that must not be imported.
    spec = importlib.util.spec_from_file_location("bench_review", FOLDER / "review.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks there for its own types
    spec.loader.exec_module(module)
    return module


def test_figures_of_other_sizes_are_not_written_over_the_usual_ones(review: Any) -> None:
    assert not review.options_of([]).other
    for given in (["--short"], ["--rows", "1000"]):
        assert review.options_of(given).other
    assert review.options_of(["--rows", "10000"]).rounds == 3


def test_both_ways_send_the_same_rows(path: None, tmp_path: Path) -> None:
    """The version is one that `send` takes, and every row of it is drawn."""
    import review_ways

    from charter.review.plan import make_plan

    made = review_ways.make({"folder": str(tmp_path), "rows": 60})
    given = {"version": made["path"], "rows": 60, "workspace": "w"}
    plan = make_plan(
        review_ways._version(given), "preference", review_ways._options(given), None, set()
    )
    assert len({row.row_id for row in plan.rows}) == 60 and not plan.too_long
    questions = review_ways._questions(given)
    assert len(questions) == review_ways.SEARCHES and all(questions)


@pytest.mark.xdist_group("argilla")
def test_the_engine_is_measured_in_the_servers_environment(review: Any, tmp_path: Path) -> None:
    skip_without_environment()
    from charter.review.embedded import ensure_environment

    bench = review.Bench(tmp_path, ensure_environment(), lambda line: None)
    review.engine(bench, [500, 1000, 1500])
    found = {(case.case, case.figure): case for case in bench.cases}
    adding = [found["the engine, adding documents", n].value for n in ("500", "1,000", "1,500")]
    assert 0 < adding[0] < adding[1] < adding[2]
    searches = [case for case in bench.cases if "text search over 1,500" in case.case]
    assert len(searches) == 9 and {case.goal for case in searches} == {200.0}
    # Each search finds something, the most frequent word nearly everything.
    hits = {case.figure.split(" (")[0]: case.figure for case in searches}
    assert not any("(0 hits)" in figure for figure in hits.values())
    assert int(hits["the most frequent word"].split("(")[1].split()[0].replace(",", "")) > 1400


@pytest.mark.slow
@pytest.mark.xdist_group("argilla")
def test_the_smallest_size_runs_to_its_end(tmp_path: Path) -> None:
    skip_without_environment()
    out = tmp_path / "review.json"
    command = [sys.executable, FOLDER / "review.py", "--short", "--out", out]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert ran.returncode == 0, ran.stderr
    cases = json.loads(out.read_text(encoding="utf-8"))["cases"]
    found = {(case["case"], case["figure"]): case["value"] for case in cases}
    assert found["charter review send, 500 records", "over the SDK's"] > 0
    assert ("paging through 500 records", "charter review collect") in found
