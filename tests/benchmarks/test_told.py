"""What all benchmarks do with their figures: a table, a file, an exit status."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
PACKAGES = ("pytest",)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(FOLDER))
    before = signal.getsignal(signal.SIGTERM)
    import told

    yield told
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def cases(told: Any) -> list[Any]:
    from harness import Case

    return [
        Case("a", "time", 2.0, 1.0, 3.0, 3, "s", "lower", 1.5),
        Case("a", "rate", 1234.5, None, None, 1, "records/s", "higher", 1000.0),
        Case("b", "time", None, None, None, 0, "s", "lower"),
    ]


def test_the_table_knows_which_way_is_better(told: Any, cases: list[Any]) -> None:
    lines = told.table(cases).splitlines()
    assert lines[0].split()[0] == "case"
    assert [line.split()[-1] for line in lines[1:]] == ["MISSED", "reached", "s"]
    assert "<= 1.5" in lines[1] and ">= 1,000" in lines[2] and "1,234" in lines[2]


def test_figures_are_printed_and_written(
    told: Any, cases: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results" / "x.json"
    assert told.carry_out("x.py", ["--rows", "3"], lambda _: cases, PACKAGES, path) == 0
    assert told.table(cases) in capsys.readouterr().out
    results = json.loads(path.read_text(encoding="utf-8"))
    assert set(results) == {"command", "machine", "versions", "cases"}
    assert results["command"] == "python benchmarks/x.py --rows 3"
    assert results["versions"] == {"pytest": pytest.__version__}
    assert results["cases"] == [case.as_json() for case in cases]
    assert [each.name for each in path.parent.iterdir()] == ["x.json"]


def test_a_part_takes_the_place_of_its_own_figures_alone(
    told: Any, cases: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / "x.json"
    one, two, three = cases
    newer, other = replace(two, value=9.0), replace(three, case="c")
    # The first part is all there is; `partial` says so of every later one.
    for given in ([one, two, three], [newer, other]):
        assert told.carry_out("x.py", [], lambda _, g=given: g, PACKAGES, path, partial=True) == 0
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["cases"] == [each.as_json() for each in (one, newer, three, other)]
    assert results["command"].endswith("a part at a time with --only")


@pytest.mark.parametrize(("ends", "status"), [("BenchError", 1), ("KeyboardInterrupt", 130)])
def test_what_ends_early_writes_nothing(
    told: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], ends: str, status: int
) -> None:
    from harness import BenchError

    error = BenchError("the child failed") if ends == "BenchError" else KeyboardInterrupt()

    def measure(say: Any) -> list[Any]:
        say("half way")
        raise error

    assert told.carry_out("x.py", [], measure, PACKAGES, tmp_path / "x.json") == status
    said = capsys.readouterr()
    assert "half way" in said.err and not said.out
    assert ("the child failed" if status == 1 else "nothing was written") in said.err
    assert not list(tmp_path.glob("*.json"))
