"""Progress, as bars on a terminal and as lines elsewhere."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from charter.cli import lines
from charter.cli.bars import _Bars, bars
from charter.cli.lines import Lines, described, duration, money, rate
from charter.cli.output import Output
from charter.run.progress import Snapshot, StepNow


def snapshot(rows=120, of_rows=300, **changes):
    steps = (StepNow("respond", 300, 520, 310, 2), StepNow("judge", 600, 420, 0, 0))
    facts = {"calls_per_s": 85.2, "tokens_per_s": 4100.0, "cost": 0.12, "left": 130.0}
    return Snapshot(30.0, rows, of_rows, steps, **(facts | changes))


def test_a_snapshot_is_said_in_one_line():
    assert described(snapshot()) == (
        "120 of 300 rows, 940 calls (310 cached, 2 failed), 85 calls/s, 4,100 tokens/s, "
        "$0.12, 2 min left"
    )
    bare = Snapshot(0.0, 0, 300, ())
    assert described(bare) == "0 of 300 rows, 0 calls"
    assert "left" not in described(snapshot(rows=300))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (-3, "0 s"), (89.4, "89 s"), (90, "2 min"), (5340, "89 min"), (5400, "1 h 30 min"),
     (7200, "2 h"), (172_740, "47 h 59 min"), (172_800, "2 d 0 h"), (400_000, "4 d 15 h")],
)  # fmt: skip
def test_durations(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (0, "$0.00"),
        (0.0012, "$0.0012"),
        (0.0001, "$0.0001"),
        (0.1, "$0.10"),
        (0.00001, "$1e-05"),
        (0.12, "$0.12"),
        (1234.5, "$1,234.50"),
    ],
)
def test_money(cost, said):
    assert money(cost) == said


@pytest.mark.parametrize(("value", "said"), [(9.9, "9.9"), (10, "10"), (4100.4, "4,100")])
def test_rates(value, said):
    assert rate(value) == said


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [0.0]
    monkeypatch.setattr(lines.time, "monotonic", lambda: now[0])
    return now


def test_lines_come_every_ten_seconds_at_each_tenth_and_at_the_end(clock, capsys):
    shown = Lines()
    for quarter in range(4 * 60):
        clock[0] = quarter / 4
        shown.update(snapshot(rows=min(quarter // 100, 5), of_rows=100))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 5  # at 10, 20, ... 50 s
    for rows in range(101):
        shown.update(snapshot(rows=rows, of_rows=100))
    shown.update(snapshot(rows=100, of_rows=100))
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in said] == [str(10 * k) for k in range(1, 11)]


def test_of_nothing_there_is_one_line_as_well(capsys):
    shown = Lines()
    for _ in range(2):
        shown.update(Snapshot(0.0, 0, 0, ()))
    shown.begin("train", 0, "steps")
    shown.advance("train")
    shown.advance("never begun")
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == ["0 of 0 rows, 0 calls", "train: 0 steps"]


def test_lines_of_other_work_are_as_they_were(capsys):
    shown = Lines()
    shown.begin("train", 100, "steps")
    for _ in range(100):
        shown.advance("train")
    shown.say("saved \x1b[2J")
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "train: 100 steps" and len(said) == 12
    assert said[-1] == "saved \ufffd[2J"


def test_bars_show_each_step_and_the_whole_run():
    console = Console(file=io.StringIO(), force_terminal=True, width=160, color_system=None)
    shown = _Bars(console)
    console.print(shown)
    shown.update(snapshot(in_flight={"a": 60}, limits={"a": 64}))
    console.print(shown)
    said = console.file.getvalue()
    assert "respond" in said and "520/300" in said and "310 cached, 2 failed" in said
    assert "17/s" in said and "60/64 in flight" in said and "2 min left" in said
    shown.begin("train", 10)
    shown.advance("train", 3)
    shown.say("[red]no markup[/]")
    console.print(shown)
    assert "3/10" in console.file.getvalue() and "[red]no markup[/]" in console.file.getvalue()


def test_bars_are_of_the_steps_there_are_now():
    console = Console(file=io.StringIO(), width=160)
    shown = _Bars(console)
    for _ in range(2):
        shown.begin("train sft", 10)
        shown.advance("train sft", 3)
    early = Snapshot(0.0, 0, 300, (StepNow("respond", 300, 1, 0, 0),))
    shown.update(early)
    console.print(shown)
    said = console.file.getvalue()
    assert said.count("train sft") == 1 and "3/10" in said
    assert "1/300" in said and "/s" not in said and "in flight" not in said
    shown.update(snapshot())
    console.print(shown)
    assert "420/600" in console.file.getvalue()


def test_a_step_that_needed_fewer_calls_is_full_at_the_end():
    console = Console(file=io.StringIO(), width=160)
    shown = _Bars(console)
    shown.update(snapshot(rows=300))
    console.print(shown)
    assert "420/420" in console.file.getvalue()


def test_an_update_is_cheap():
    shown = _Bars(Console(file=io.StringIO()))
    began = time.perf_counter()
    for _ in range(100):
        shown.update(snapshot())
    assert time.perf_counter() - began < 1  # 4 a second are asked for


def test_without_a_terminal_there_are_lines(capsys):
    with Output(as_json=True).progress() as shown:
        shown.update(snapshot(rows=300))
    assert capsys.readouterr().err.startswith("300 of 300 rows")
    with bars() as shown:
        shown.update(snapshot())
