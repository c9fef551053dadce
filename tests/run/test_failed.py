"""The notes of calls that failed, and the event log, in the files of a run."""

from __future__ import annotations

import json

import pytest

from charter.models.call import Answer
from charter.run.failed import FailedCalls
from charter.run.journal import Journal

ONE, TWO = bytes(32), bytes([1]) * 32


@pytest.mark.parametrize("torn", [b'{"key": "02', '{"key": "02", "error": "é'.encode()[:-1]])
def test_a_note_cut_short_by_a_kill_takes_no_other_with_it(tmp_path, torn):
    path = tmp_path / "failed.jsonl"
    first = FailedCalls(path)
    first.note(ONE, Answer(error="down"))
    first.settle()
    with path.open("ab") as file:
        file.write(torn)
    second = FailedCalls(path)
    second.note(TWO, Answer(error="still"))
    second.settle()
    known = FailedCalls(path).known()
    assert {key: answer.error for key, answer in known.items()} == {ONE: "down", TWO: "still"}


def test_an_event_after_one_cut_short_has_a_line_of_its_own(tmp_path):
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        journal = Journal(path)
        journal.event("start")
        journal.close()
        with path.open("a") as file:
            file.write('{"at": "2')
    lines = path.read_text().splitlines()
    assert [json.loads(lines[n])["event"] for n in (0, 2)] == ["start", "start"]
    assert len(lines) == 4
