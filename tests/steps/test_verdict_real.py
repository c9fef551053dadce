"""What real judges wrote on LLMBar, against what was recorded of them."""

from __future__ import annotations

import gzip
import json
import os
import re
from functools import cache
from pathlib import Path

import pytest

from charter.steps.verdict import LETTERS, Labels, parse_verdict

DATA = Path(os.environ.get("CHARTER_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
OUTPUTS = Labels.parse("Output (a)/(b)")
TURNED = {"A": "B", "B": "A"}

# Rows whose verdict is another than the recorded one: prompt, order and what the parser says.
# In the debates the record is the first debater's claim, and the conclusion says the other.
DEBATES = {
    ("007", "AB", "B"),
    ("013", "AB", "B"),
    ("030", "BA", "B"),
    ("033", "AB", "B"),
    ("064", "BA", "B"),
    ("096", "AB", "B"),
    ("096", "BA", "B"),
    ("097", "BA", "B"),
}
# 007 concludes for (a) and then for (b). 074 says `in terms of detail, Output (a) is better` and
# concludes for (b), twice; recorded is the first.
PLAIN = {("007", "AB", "UNPARSED"), ("074", "AB", "B")}
OTHERWISE = {
    ("ChatGPT_Swap", "first"): set(),
    ("ChatGPT_Swap", "final"): set(),
    ("ChatGPT_Swap_CoT", "first"): set(),
    ("ChatGPT_Swap_CoT", "final"): DEBATES,
    ("Falcon_Swap", "first"): PLAIN,
    ("Falcon_Swap", "final"): set(),
    ("Falcon_Swap_CoT", "first"): PLAIN,
    ("Falcon_Swap_CoT", "final"): {("074", "AB", "B")},
}
# Right in order AB, right in BA, right in both, same winner in both; of 100 prompts.
TABLE = {
    ("ChatGPT_Swap", "first"): (69, 77, 54, 62),
    ("ChatGPT_Swap", "final"): (77, 78, 72, 89),
    ("ChatGPT_Swap_CoT", "first"): (71, 78, 56, 63),
    ("ChatGPT_Swap_CoT", "final"): (79, 77, 67, 78),
    ("Falcon_Swap", "first"): (50, 65, 15, 15),
    ("Falcon_Swap", "final"): (58, 73, 37, 43),
    ("Falcon_Swap_CoT", "first"): (50, 65, 15, 15),
    ("Falcon_Swap_CoT", "final"): (54, 67, 31, 41),
}


@cache
def votes(name, which):
    """The rows of one pass, each with the place that was recorded as the winner."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA}; CHARTER_SHARED_DATA names the folder")
    with gzip.open(DATA / "llmbar" / f"votes_{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["pass"] == which]
    for row in rows:
        winner = row["recorded_winner"]
        row["place"] = winner if row["order"] == "AB" else TURNED[winner]
    return rows


@pytest.mark.parametrize(("name", "which"), sorted(OTHERWISE))
def test_real_texts_parse_to_the_recorded_winner(name, which, capsys):
    otherwise = {
        (row["comparison_id"][-3:], row["order"], verdict.value)
        for row in votes(name, which)
        if (verdict := parse_verdict(row["text"], OUTPUTS)) != row["place"]
    }
    total = len(votes(name, which))
    with capsys.disabled():
        print(f"\n{name} {which}: {total - len(otherwise)} of {total} as recorded")
    assert otherwise == OTHERWISE[name, which]
    assert len(otherwise) <= 0.01 * total or otherwise == DEBATES


@pytest.mark.parametrize(("name", "which"), sorted(TABLE))
def test_the_figures_of_real_judges(name, which):
    winners, human = {}, {}
    for row in votes(name, which):
        verdict = parse_verdict(row["text"], OUTPUTS).value
        human[row["comparison_id"]] = row["human_label"]
        turned = TURNED.get(verdict) if row["order"] == "BA" else verdict
        winners[row["comparison_id"], row["order"]] = turned
    right = {key: winner == human[key[0]] for key, winner in winners.items()}
    assert TABLE[name, which] == (
        sum(right[each, "AB"] for each in human),
        sum(right[each, "BA"] for each in human),
        sum(right[each, "AB"] and right[each, "BA"] for each in human),
        sum(
            winners[each, "AB"] in TURNED and winners[each, "AB"] == winners[each, "BA"]
            for each in human
        ),
    )


@pytest.mark.parametrize(
    ("labels", "written"),
    [
        (OUTPUTS, {"a": "Output (b)", "b": "Output (a)"}),
        (LETTERS, {"a": "Response A", "b": "Response B"}),
        (LETTERS, {"a": "Output (A)", "b": "Output (B)"}),
        (Labels.parse("1/2"), {"a": "Response 1", "b": "Response 2"}),
        (Labels.parse("Answer [x]/[y]"), {"a": "Answer [x]", "b": "Answer [y]"}),
        (Labels.parse("model_a/model_b"), {"a": "model_a", "b": "model_b"}),
    ],
    ids=["swapped", "A/B", "capitals", "1/2", "Answer [x]/[y]", "model_a/model_b"],
)
@pytest.mark.parametrize(("name", "which"), sorted(OTHERWISE))
def test_real_texts_say_the_same_in_other_labels(name, which, labels, written):
    for row in votes(name, which):
        verdict = parse_verdict(row["text"], OUTPUTS).value
        text = re.sub(r"Output \(([ab])\)", lambda match: written[match[1]], row["text"])
        text = re.sub(r"Assistant \(([ab])\)", r"Debater (\1)", text)
        expected = TURNED.get(verdict, verdict) if written["a"] == "Output (b)" else verdict
        assert parse_verdict(text, labels) == expected, text


@pytest.mark.parametrize("name", ["ChatGPT_Swap", "Falcon_Swap"])
def test_votes_in_labels_that_were_not_asked_for_are_no_votes(name):
    verdicts = {parse_verdict(row["text"]).value for row in votes(name, "first")}
    assert verdicts == {"UNPARSED"}
