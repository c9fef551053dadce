"""What a reasoning model thinks before it answers is no part of its answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.models.call import Answer
from charter.models.thoughts import without_thoughts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>\nHm.\n</think>\n\nTides follow the moon.", "Tides follow the moon."),
        ("\n <think></think>Yes.", "Yes."),
        ("The user asks of tides.\n</think>\n\nThe moon.", "The moon."),
        ("<think>a</think><think>b</think>The moon.", "The moon."),
        ("<think>They want <think> explained.</think>It is a mark.", "It is a mark."),
        ("<think>I never come to an end", ""),
        ("<think>Done.</think>\n", ""),
        ("The marks are <think> and </think>.", "The marks are <think> and </think>."),
        ("First <think> this", "First <think> this"),
        ("Plain.", "Plain."),
        ("", ""),
    ],
)
def test_what_is_said_stands_behind_the_thoughts(text: str, said: str) -> None:
    assert Answer(text).said == said


@given(st.text(), st.text())
def test_thoughts_change_nothing_of_the_answer(thought: str, answer: str) -> None:
    marks = ("<think>", "</think>")
    if not any(mark in each for mark in marks for each in (thought, answer)):
        assert without_thoughts(answer) == answer
        assert without_thoughts(f"<think>{thought}</think>{answer}") == answer
