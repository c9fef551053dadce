"""The judge's benchmark: its figures, its plot, and its smallest size from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    import judge

    return judge


def rounds_of(judge: Any, *speeds: float) -> list[Any]:
    """A round a speed: the naive way judges one in 8 s, the tree 12 in 12 / speed."""
    from judge_ways import Figure, Round

    rounds = []
    for speed in speeds:
        ways = {way: Figure(12, 12 / speed, 10.0, 0) for way in judge.WAYS}
        ways[judge.NAIVE] = Figure(1, 8.0, 8.0, 80)
        differences = dict.fromkeys(judge.WAYS[3:], 2e-6)
        rounds.append(Round(ways, differences, {"read": 300.0, "common": 145.0}))
    return rounds


def test_figures_are_medians_over_rounds_with_the_goals_of_the_tree(judge: Any) -> None:
    cases = judge.cases_of(rounds_of(judge, 2.0, 4.0, 3.0))
    rates = {case.case: case for case in cases if case.figure == "throughput"}
    assert list(rates) == list(judge.WAYS)
    tree = rates["prefix tree"]
    assert (tree.value, tree.low, tree.high, tree.n) == (3.0, 2.0, 4.0, 36)
    goals = {(case.case, case.figure): (case.value, case.goal) for case in cases if case.goal}
    assert goals[("prefix tree", "throughput over naive")] == (24.0, 20.0)
    assert goals[("prefix tree against plain", "largest difference in p")] == (2e-6, 1e-4)
    assert not any(case.missed for case in cases)
    slow = judge.cases_of(rounds_of(judge, 2.0))
    assert [(case.case, case.figure) for case in slow if case.missed] == [
        ("prefix tree", "throughput over naive")
    ]


def test_the_plot_is_drawn_from_the_results(
    judge: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = judge.cases_of(rounds_of(judge, 2.0, 3.0))
    monkeypatch.setattr(judge, "measure", lambda *_: cases)
    path = tmp_path / "judge.json"
    assert judge.main(["--short", "--out", str(path)]) == 0
    plot = ElementTree.fromstring(path.with_suffix(".svg").read_text(encoding="utf-8"))
    said = [element.text for element in plot.iter() if element.tag.endswith("text")]
    assert [way for way in judge.WAYS if way in said] == list(judge.WAYS)
    assert sorted(p.name for p in path.parent.glob("*judge*")) == ["judge.json", "judge.svg"]


@pytest.mark.slow
@pytest.mark.model
def test_the_smallest_size_runs_to_its_end(tmp_path: Path) -> None:
    out = tmp_path / "judge.json"
    command = [sys.executable, FOLDER / "judge.py", "--short", "--out", out]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "prefix tree" in ran.stdout
    cases = json.loads(out.read_text(encoding="utf-8"))["cases"]
    differences = [c["value"] for c in cases if c["figure"] == "largest difference in p"]
    assert len(differences) == 3
    assert max(differences) <= 1e-4
