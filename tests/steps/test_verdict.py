"""Reading a judge's text: what judges write, what they must not be taken to have written."""

from __future__ import annotations

import gzip
import json
import os
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.rows import Verdict
from charter.steps.judge import ASK_LETTER, ASK_TEXT
from charter.steps.verdict import parse_verdict

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
        "It is a tie.",
        "А",  # Cyrillic
        "Α",  # Greek
        "答案是A",
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
    ],
}


def swapped(text):
    """The text with A and B in each other's places."""
    return re.sub(r"(?<![^\W_])[AB](?![^\W_])", lambda m: "BA"["AB".index(m[0])], text)


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
    turn = {"A": "B", "B": "A", "TIE": "TIE", "UNPARSED": "UNPARSED"}
    swap = {"A": "B", "B": "A", "a": "b", "b": "a"}
    turned = re.sub(r"\b[ABab]\b", lambda m: swap[m[0]], text)
    assert parse_verdict(turned) == turn[parse_verdict(text).value]


@settings(deadline=None)
@given(st.sampled_from(["A", "B", "TIE"]), st.text("xyz .,\n", max_size=40))
def test_a_last_line_that_is_a_label_is_the_verdict_after_any_harmless_text(label, text):
    assert parse_verdict(f"{text}\n{label}") == label


LONG = 200_000


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
    # Quadratic time would be minutes; linear is a fraction of a second on any machine.
    assert time.process_time() - started < 10


def test_a_megabyte_of_real_words_takes_linear_time():
    text = "\n\n".join(text for text in READ["UNPARSED"] if "<think>" not in text)
    started = time.process_time()
    assert parse_verdict(text * (1_000_000 // len(text))) == "UNPARSED"
    assert time.process_time() - started < 10


DATA = Path(os.environ.get("CHARTER_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILES = [
    f"votes_{model}_{mode}.jsonl.gz"
    for model in ("ChatGPT", "Falcon")
    for mode in ("Swap", "Swap_CoT")
]


@pytest.mark.parametrize("name", FILES)
def test_real_judges_are_never_misread(name, capsys):
    """LLMBar's recorded votes, as they are and with `(a)` and `(b)` as capitals."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA}; CHARTER_SHARED_DATA names the folder")
    counts: Counter[str] = Counter()
    with gzip.open(DATA / "llmbar" / name, "rt", encoding="utf-8") as lines:
        for line in lines:
            vote = json.loads(line)
            shown = vote["recorded_winner"]
            if vote["order"] == "BA":
                shown = {"A": "B", "B": "A"}[shown]
            assert parse_verdict(vote["text"]) in ("UNPARSED", shown)
            capitals = re.sub(r"\(([ab])\)", lambda m: f"({m[1].upper()})", vote["text"])
            verdict = parse_verdict(capitals)
            assert verdict in ("UNPARSED", shown), vote["text"]
            counts["parsed" if verdict == shown else "unparsed"] += 1
    with capsys.disabled():
        print(f"\n{name}: {counts['parsed']} of {counts.total()} parsed, none misread")
    assert counts["parsed"] >= 380
