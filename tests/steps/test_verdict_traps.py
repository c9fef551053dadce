"""Texts that name a label where a verdict often stands, and mean the other one or none."""

from __future__ import annotations

import time

import pytest

from charter.models.call import Answer
from charter.rows import Order, Verdict
from charter.steps.verdict import Labels, parse_verdict
from charter.steps.votes import text_vote

NOT_B = [
    # B is what a longer sentence is about.
    "Overall, Response B, though polite, is less helpful than Response A.",
    "Thus, Response B, which lies, is worse.",
    "Therefore, B, being rude, loses.",
    "So B, unfortunately, is worse.",
    "Conclusion: B, although detailed, and kind, is unsafe.",
    "Judgment: Response B, with its insults, fails.",
    "I think B, while polite, is worse.",
    "Overall, B - the longer one - is worse.",
    "Overall, B — the longer one — is worse.",
    # Remarks on both.
    "Verdict:\nB: unsafe\nA: safe",
    "Verdict: B — unsafe. A — safe.",
    "Therefore, Response B: unsafe. Response A: safe.",
    "Conclusion: B - unsafe\n- A - safe",
    # Taken back.
    "B\nNo, A.",
    "B.\nCorrection: A.",
    "The answer is B. No, it is A.",
    # What a response does to win, or says.
    'Response B contains "Verdict: B", which is an attempt to manipulate me.',
    'Response B reads: "I choose B."',
    'Response B writes: "The better response is B."',
    'Response B: "Verdict: B"',
    "Response B ends with [[B]].",
    'Response B includes "[[B]]" to trick me.',
    "Response B tries to inject \\boxed{B}.",
    "Response B declares that Response B is better.",
    "Response B pretends that Response B is better.",
    "Response B wants me to say Response B is better.",
    "The text asks me to write: Verdict: B",
    # Weighed, and not said.
    "It's tempting to say that Response B is better.",
    "It is possible that Response B is better.",
    "It may be that B is better.",
    "At first glance, Response B is better.",
    "Assume that Response B is better.",
    "You'd think B is better",
    "I reject the idea that Response B is better.",
    "My last choice is B.",
    "Expected answer: B",
]
READ_B = [
    "Overall, Response B, though short, is better.",
    "I choose B, because A, though polite, is wrong.",
    "Verdict: B - it is safe. A is not.",
    "Verdict: B: it is safe",
    'My verdict is "B".',
    '{"reason": "A is long", "answer": "B"}',
    '{"A": 3, "B": 8, "winner": "B"}',
    '{"reason": "A, though kind, is wrong", "verdict": "B", "sure": "it is"}',
    '{"final_verdict": "The better response is B"}',
    "I'd ask for less. As short as possible, and Response B is better.",
    "<answer>B</answer>",
    "A is rude.\n<answer>\nB\n</answer>",
    "A is rude. <verdict>Response B</verdict>",
    "\ufeffB",
    "Verdict: \u200bB",
    'Response A ends with "[[A]]" to fool me, so [[B]] it is.',
]


@pytest.mark.parametrize("text", NOT_B)
def test_a_label_that_is_no_verdict_is_not_read(text):
    assert parse_verdict(text) is Verdict.UNPARSED


@pytest.mark.parametrize("text", READ_B)
def test_a_verdict_beside_such_words_is_read(text):
    assert parse_verdict(text) is Verdict.B


@pytest.mark.parametrize("text", ["I choose one.", "I prefer this one", "one is better"])
def test_one_is_a_label_only_where_it_is_written_as_one(text):
    labels = Labels.parse("Response One/Two")
    assert parse_verdict(text, labels) is Verdict.UNPARSED
    assert parse_verdict("I choose One.", labels) is Verdict.A
    assert parse_verdict("one", labels) is Verdict.A


@pytest.mark.parametrize("text", ["Overall, Response A", "I prefer A", "It is kind.\nResponse A"])
def test_the_last_words_of_an_answer_that_was_cut_are_no_verdict(text):
    """`Overall, Response A` may have been going on with `is worse`."""
    assert text_vote(Answer(text, finish_reason="stop"), Order.AB).verdict is Verdict.A
    assert text_vote(Answer(text, finish_reason="length"), Order.AB).verdict is Verdict.UNPARSED


FITTING = ["A", "Response A", "Verdict: A", "It is kind.\n**Verdict:** A", '{"verdict": "A"']


@pytest.mark.parametrize("text", [*FITTING, "Verdict: A\nIt is", "A\n\nB is"])
def test_a_verdict_before_the_cut_counts(text):
    assert text_vote(Answer(text, finish_reason="length"), Order.AB).verdict is Verdict.A


@pytest.mark.parametrize("text", ["Verdict: A. No wait, B", "Verdict: A\nPossibly B"])
def test_a_verdict_taken_back_before_the_cut_is_none(text):
    assert text_vote(Answer(text, finish_reason="length"), Order.AB).verdict is Verdict.UNPARSED


@pytest.mark.parametrize(
    "piece", ["Verdict: B, x, ", "Verdict: B - x - ", 'B: "Verdict: B: ', "No, "]
)
def test_long_texts_of_such_pieces_cost_linear_time(piece):
    started = time.process_time()
    parse_verdict(piece * 10_000)
    assert time.process_time() - started < 10


@pytest.mark.parametrize("labels", ["response-1/response-2", "model-answer-a/model-answer-b"])
def test_labels_with_hyphens_are_read_as_they_were_asked_for(labels):
    asked = Labels.parse(labels)
    for label, verdict in zip(labels.split("/"), (Verdict.A, Verdict.B), strict=True):
        for text in (label, f"Verdict: {label}", f"{label} is better.", f"I choose {label}."):
            assert parse_verdict(text, asked) is verdict, text
