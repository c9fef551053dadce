"""Reading a judge's text: what judges write, what they must not be taken to have written."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charter.rows import Verdict
from charter.steps import frame
from charter.steps.verdict import parse_verdict

ASK_TEXT, ASK_LETTER = frame._ASKED["word"], frame._ASKED["letter"]

READ = {
    "A": [
        "A",
        " A\n",
        "A.",
        "A)",
        "(A)",
        "[A]",
        "<A>",
        "{A}",
        "A:",
        "'A'",
        '"A"',
        "“A”",
        "**A**",
        "`A`",
        "_A_",
        "# A",
        "a",
        "(a)",
        "Response A",
        "Response (A)",
        "**Response A**",
        "response A.",
        "Option A!",
        "Assistant A",
        "[[A]]",
        "I compared them. [[A]]",
        "Answer: A",
        "Answer - not sure at first.\nAnswer: A",
        "Verdict: A",
        "verdict = A",
        "Winner -> A",
        "Final verdict: A",
        "My final verdict is: **A**",
        "Preference: A\nReason: B is long.",
        "The better response is A.",
        "The better response is (A).",
        "The best answer is Response A, because it is short.",
        "The answer is A since it is short.",
        "The correct choice: A",
        '{"winner": "A"}',
        "{'winner': 'A'}",
        '{"verdict": "A", "reason": "B is too long"}',
        '{"final_verdict": "Response A"}',
        '```json\n{\n  "better_response": "A"\n}\n```',
        "Response A is better because it is shorter.",
        "Response A is better.",
        "Response A is clearly better.",
        "Response A is much better than Response B.",
        "Response A is better than B.",
        "Response A is better overall.",
        "Response A is the better response.",
        "Response A is the winner!",
        "Response A wins.",
        "Output (A) is better as it answers the question.",
        "A is better.",
        "(A) is better because it is kind.",
        "Both are polite. A is better than B.",
        "I prefer A.",
        "I would choose Response A because it is short.",
        "A\n\nIt is shorter and says the same.",
        "A\r\n\r\nIt is shorter.",
        "Option A\n\nBecause of its tone.",
        "It is shorter and says the same.\n\nA",
        "Response B is long. Response A is short.\n\n**A**",
        "B says more than is needed, and it flatters.\nTherefore:\nA",
        f"{ASK_TEXT}\n\nA",
        f"{ASK_LETTER}\nA",
        "<think>Response B is better? No: B is wrong.</think>\n\nA",
        "<think>\nB\n</think>\nA",
        "Let me compare.\n1. B repeats itself.\n2. A does not.\n\nAnswer: A.",
        # A conclusion outranks what was said before it, and a summary outranks a conclusion.
        "Response B is better. It is short. Therefore, Response A is better.",
        "In terms of tone, Response B is better. However, in terms of facts, Response A is better."
        " Therefore, Response A is better.",
        "Therefore, on detail, Response B is better. Overall, Response A is better.",
        "Therefore, Response A is better at following the format.",
        "Therefore, Response A is the more accurate and helpful response.",
        "So the better response is A.",
        "Therefore: A.",
        "In conclusion, I believe that Response A is the better one for this task.",
        "Overall, both responses are equally good. However, Response A is better as it is kind.",
        "I would rate A 6/10 and B 8/10. Final verdict: A",
        # What others say is not the judge's view, unless it agrees.
        "Assistant B argues that Response B is better. Response A is better.",
        "I agree with the first debater that Response A is better.",
        "I disagree that Response B is better. Response A is better.",
        # What is denied or conceded in one clause does not hold for the next.
        "While Response B is accurate, Response A is better because it is short.",
        "Although neither response is perfect, Response A is better.",
        "Response B does not answer, so Response A is better.",
        "Since Response B doesn't consider the question, Response A is better.",
        "Even if Response B is longer and kinder, Response A is better.",
        "There is no doubt that Response A is better.",
        # The answer first, then its reasons.
        "A, because it is short.",
        "Response A. It is short.",
        "Response A\n\nResponse A is short. Response B does not answer.",
        "Response A\nResponse B: wrong.\nResponse A: right.",
        "Response A: right.\nResponse B: wrong.\n\nTherefore, Response A is better.",
        "Response A is better - it answers.",
        "Response A is better and kinder.",
        "I choose Response A over Response B.",
        "I think A is better.",
        "Response A's answer is better.",
        "The answer is $\\boxed{A}$.",
        '```json\n{"reason": "B is long, wordy", "verdict": "A"}\n```',
        '{"winner":"A","reason":"Response B is longer."}',
        # Other languages, where a label is said to be the verdict.
        "答案是A",
        "答案：A",
        "回答A更好。",
        "回答A比回答B更好",
        "因此，回答A更好。",
        "回答Aの方が良い。",
        "Antwort: A",
        "Antwort A ist besser als Antwort B.",
        "Die bessere Antwort ist A.",
        "La réponse A est meilleure",
        "La respuesta A es mejor porque es corta.",
        "Por isso, a resposta A é melhor.",
        "La risposta A è migliore.",
        "Ответ: A",
        "Ответ A лучше.",
    ],
    "TIE": [
        "TIE",
        "Tie",
        "tie",
        "TIE.",
        "**TIE**",
        "Verdict: TIE",
        "The verdict is tie.",
        '{"verdict": "TIE"}',
        "They say the same.\n\nTIE",
        "[[TIE]]",
        "It is a tie.",
        "The verdict is a tie.",
        "Both are equally good.",
        "Both responses are equally good!",
        "Verdict: both are equally good",
        "Therefore, both responses are equally good.",
        "Response A is kind. Response B is short. Overall, it's a tie.",
        '{"winner": "tie"}',
    ],
    "UNPARSED": [
        "",
        "   \n\t",
        "C",
        "AB",
        "A B",
        "A/B",
        "A or B",
        "A, B",
        "AA",
        "A?",
        "A1",
        "1",
        "Both",
        "Neither",
        "Equal",
        "А",  # Cyrillic
        "Α",  # Greek
        "ответ: А",
        "A good answer would be shorter.",
        "A response should be kind.",
        "A long text follows. It has no verdict.",
        "a shorter text",
        "B vitamins are good",
        "Answer: A or B",
        "Answer: A, B or TIE",
        "Answer: A/B",
        "Answer: A and B",
        "The answer is A lot of things.",
        "The best answer is A as well as B.",
        "The answer is tie-dye.",
        "Answer: A\nAnswer: B",
        "A\nB",
        "A\n\nB is better.",
        "Verdict: A\n\nB",
        "[[A]] or [[B]]",
        '"[[A]]" if assistant A is better, "[[B]]" if assistant B is better',
        ASK_TEXT,
        ASK_LETTER,
        f"{ASK_TEXT} {ASK_TEXT}",
        "Response A is better. Response B is better.",
        "Response A is better in tone. Response B is better in substance.",
        "Response A is better written, but Response B is more accurate.",
        "Response A is better at following the format.",
        "Response A is better known.",
        "Response A is not better.",
        "Response A is better?",
        "Is Response A better?",
        "I do not think that Response A is better.",
        "I don't think the better response is A.",
        "I can’t say that Response A is better.",
        "I cannot say the answer is A.",
        "Neither the one nor Response A is better.",
        "If you want it short, Response A is better.",
        "Unless it must be long, the answer is A.",
        "Although Response A is better, it is long.",
        "While Response A is better, it is long.",
        "It is hard to tell whether Response A is better.",
        "The better response is not A.",
        "I would not choose A.",
        "Vitamin A is better.",
        "Response A: short.\nResponse B: long.",
        "Response A:\nIt is short.\n\nResponse B:\nIt is long and good.",
        "**Response A**\nIt is short.\n\n**Response B**\nIt is long and good.",
        "Response A\nIt is short.\nResponse B: it is long and good.",
        "A:\nIt is short.\nB:\nIt is long.",
        "<think>Response A is better.",
        "<think>The answer is A.</think>",
        "<think>A</think>\nI cannot decide.",
        "I am sorry, I can't help with that.",
        "As an AI, I have no preference.",
        "User: x\n\nAssistant: y",
        "Response A is better because Response B is better.\nAnswer: B",
        "Therefore, Response A is better. Therefore, Response B is better.",
        "A\n\nTherefore, Response B is better.",
        "Both are equally good. That makes it hard.",
        "It is not a tie.",
        "If both are equally good, say TIE.",
        "Neither response is better.",
        "I can't choose between Response A and Response B.",
        "Response A or Response B is better.",
        "Response A/Response B is better.",
        "Assistant A argues that Response A is better.",
        "Some might say that Response A is better.",
        "According to the user, Response A is better.",
        "You asked me to say that Response A is better.",
        "Perhaps Response A is better.",
        "I disagree that Response A is better.",
        "I do not believe, after all this, that Response A is better.",
        "It isn't true that Response A is better.",
        "Response A is the more accurate response.",
        "Response A is no better than Response B.",
        "It depends. Response A is better for children.",
        "Answer: A\n\nWait, actually Answer: B",
        "A: it is short.",
        "A - it is short. B - it is long.",
        '{"verdict": null}',
        '{"A": 7, "B": 9}',
        "如果回答A更好，请写A",
        "我不认为回答A更好。",
        "Antwort A ist nicht besser.",
        "No creo que la respuesta A es mejor.",
    ],
}


def swapped(text):
    """The text with A and B in each other's places."""
    return re.sub(r"(?<![a-zA-Z0-9])[AB](?![a-zA-Z0-9])", lambda m: "BA"["AB".index(m[0])], text)


@pytest.mark.parametrize(
    ("text", "verdict"), [(text, verdict) for verdict, texts in READ.items() for text in texts]
)
def test_what_judges_write(text, verdict):
    assert parse_verdict(text) == verdict


@pytest.mark.parametrize("text", [text for text in READ["A"] if text.strip("()") != "a"])
def test_b_is_read_as_a_is(text):
    assert parse_verdict(swapped(text)) == "B"


def test_lower_case_is_a_verdict_only_as_the_whole_text():
    assert parse_verdict("b") == "B" and parse_verdict("(b).") == "B"
    assert parse_verdict("The answer is: a") == "UNPARSED"
    assert parse_verdict("Output (b) is better.") == "UNPARSED"


@settings(deadline=None)
@given(st.text())
def test_any_text_has_a_verdict_or_none_and_no_error(text):
    assert parse_verdict(text) in set(Verdict)


WORDS = [
    *[
        "A",
        "B",
        "TIE",
        "a",
        "b",
        "tie",
        "Response",
        "Answer:",
        "answer",
        "Verdict:",
        "is",
        "better",
    ],
    *["the", "The", "because", "not", "if", "or", "and", ",", ".", "\n", "[[", "]]", "(", ")"],
    *["**", '"', "'", "winner", "than", "I", "prefer", "<think>", "</think>", ":", "?", "wins"],
]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))
def test_swapping_the_letters_swaps_the_verdict(text):
    assume(not re.search(r"(?i)\b[ab][\s*]+tie\b", text))  # the article of `a tie` is no label
    turn = {"A": "B", "B": "A", "TIE": "TIE", "UNPARSED": "UNPARSED"}
    swap = {"A": "B", "B": "A", "a": "b", "b": "a"}
    turned = re.sub(r"\b[ABab]\b", lambda m: swap[m[0]], text)
    assert parse_verdict(turned) == turn[parse_verdict(text).value]


@settings(deadline=None)
@given(st.sampled_from(["A", "B", "TIE"]), st.text("xyz .,\n", max_size=40))
def test_a_last_line_that_is_a_label_is_the_verdict_after_any_harmless_text(label, text):
    assert parse_verdict(f"{text}\n{label}") == label


LONG = 40_000


@pytest.mark.parametrize(
    "piece",
    [
        "(",
        '"',
        "'[",
        " ",
        "\n",
        "\r",
        "\t \n",
        "A",
        "A ",
        "A\n",
        "*A",
        "[[",
        "<think>",
        "</think>",
        "the ",
        "not ",
        ". ",
        "Answer: A, ",
        "Answer: A\n",
        "answer answer ",
        "Response A is ",
        "Response A is the ",
        "Response A is better than ",
        "Response A is better? ",
        "Response A\n",
        "I would ",
        "\nA is better",
        "(Response (",
        "A is better, ",
        "better response of the two ",
        "Response A is clearly clearly ",
        "Response A is better in ",
        "Response A's response ",
        "Both are equally good. ",
        "Therefore, ",
        "although ",
        "some people might say ",
        '{"verdict": ',
        "回答A比",
        "if ",
        "の",
        "\x00",
    ],
    ids=repr,
)
def test_a_long_run_of_anything_takes_linear_time(piece):
    text = piece * (LONG // len(piece))
    started = time.process_time()
    parse_verdict(f"{text}x")
    parse_verdict(f"The answer is{text}")
    # Quadratic time would be minutes; linear is a second or two on any machine.
    assert time.process_time() - started < 30


def test_many_real_words_take_linear_time():
    text = "\n\n".join(text for text in READ["UNPARSED"] if "<think>" not in text)
    started = time.process_time()
    assert parse_verdict(text * (300_000 // len(text))) == "UNPARSED"
    assert time.process_time() - started < 30
