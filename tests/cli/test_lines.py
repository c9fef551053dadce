"""Progress as plain lines: how far, and the time left at the pace since it began."""

import pytest

from charter.cli import lines
from charter.cli.lines import Lines


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when told to."""
    now = [100.0]
    monkeypatch.setattr(lines.time, "monotonic", lambda: now[0])
    return now


def test_the_time_left_is_of_the_pace_here_and_not_of_what_was_done_before(clock, capsys):
    shown = Lines()
    shown.begin("train sft", 10, "steps")
    shown.advance("train sft", 4)  # by the training that is taken up again
    for _ in range(6):
        clock[0] += 20
        shown.advance("train sft")
    said = capsys.readouterr().err.splitlines()
    assert said[:4] == [
        "train sft: 10 steps",
        "train sft: 4 of 10",
        "train sft: 5 of 10, 2 min left",
        "train sft: 6 of 10, 80 s left",
    ]
    assert said[-1] == "train sft: 10 of 10"


def test_a_step_that_begins_again_has_a_pace_of_its_own(clock, capsys):
    shown = Lines()
    for pace in (10, 1):
        shown.begin("x", 2)
        for _ in range(2):
            clock[0] += pace
            shown.advance("x")
    shown.begin("x", 4)
    for _ in range(2):
        clock[0] += 3
        shown.advance("x")
    assert capsys.readouterr().err.splitlines()[-1] == "x: 2 of 4, 6 s left"
