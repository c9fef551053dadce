"""The card's section on reviews: figures that are there, text that stays text."""

from __future__ import annotations

import pytest

from charter.hub.card_reviews import reviews_told


def estimate(value, n=9):
    return {"value": value, "low": None if value is None else value / 2, "high": 1.0, "n": n}


REVIEWS = {
    "kind": "preference",
    "n": 41,
    "answers": 80,
    "reviewers": 2,
    "agreement": estimate(0.8),
    "agreement_lower": 0.4,
    "kappa": {"value": None, "low": None, "high": None, "n": 41},
    "verdicts": {"CHOSEN": estimate(0.7), "REJECTED": estimate(0.2)},
    "confusion": {"A": {"A": 20, "B": 3, "TIE": 1}, "B": {"A": 4, "B": 13, "TIE": 0}},
    "by_principle": {"kind": estimate(0.8)},
    "gold": {"0123": {**estimate(0.5), "failed": True}, "4567": {**estimate(1.0), "failed": False}},
    "min_gold": 0.7,
    "left_out": ["0123"],
    "shown": {"preference": {"n": 3, "answers": 5, "reviewers": 1, "agreement": estimate(1.0)}},
    "stale": 6,
}


def told(reviews):
    return "\n\n".join(reviews_told(reviews))


@pytest.mark.parametrize("nothing", [None, {}])
def test_a_version_that_nobody_checked_has_no_section(nothing):
    assert list(reviews_told(nothing)) == []


def test_the_figures_stand_with_their_intervals():
    text = told(REVIEWS)
    assert text.startswith("## What people say of the labels")
    assert (
        "| labels that people agree with; a tie or both bad counts half | 0.800 | 0.400 to " in text
    )
    assert "What counts, all of it blind: rows 41, answers 80, reviewers 2." in text
    assert "| B | 4 | 13 | 0 |" in text
    assert "| kind | 0.800 | 0.400 to 1.000 | 9 |" in text
    assert "kappa" not in text  # not defined: no row, and no zero


def test_what_was_left_out_is_said():
    text = told(REVIEWS)
    assert "6 answers on texts that have changed since are not used." in text
    assert "5 answers on `preference` rows were given with the AI's label in sight" in text
    assert "2 people answered rows with known answers; 1 are below 0.7 and were left out." in text


def test_answers_that_were_carried_and_not_counted_are_told():
    text = told({"carried": {"from": "v0.1.0", "answers": 3}, "overruled": {"turned": 1}})
    assert "3 answers on v0.1.0 go on with this version; no figure is counted from them." in text


def test_revisions_have_a_part_of_their_own():
    text = told({**REVIEWS, "sft": {"n": 4, "answers": 4, "still_harmful": estimate(0.25, 4)}})
    assert "### Of the revisions" in text
    assert "| revisions that people call still harmful | 0.250 | 0.125 to 1.000 | 4 |" in text


@pytest.mark.parametrize(
    "foreign",
    [
        {"agreement": 0.9},
        {"agreement": {"value": "high"}, "confusion": 3, "by_principle": ["x"], "gold": True},
        {"confusion": {"A": {"A": 0}}, "shown": {"preference": None}, "n": None},
        {"agreement": {"value": "x", "low": 0, "high": 1, "n": 2}, "sft": "none"},
    ],
)
def test_what_is_no_estimate_is_left_out(foreign):
    assert told(foreign) == "## What people say of the labels"


def test_names_from_data_stay_text():
    evil = {"<script>alert(1)</script> | [x](http://evil)": estimate(0.5)}
    text = told(
        {**REVIEWS, "by_category": evil, "by_principle": evil, "confusion": {"A|": {"|": 1}}}
    )
    assert "<script>" not in text and "[x](http" not in text
    assert "\\| \\[x\\]" in text


def test_many_groups_are_cut_and_the_cut_is_named():
    groups = {f"c{k:02}": estimate(0.5) for k in range(30)}
    text = told({**REVIEWS, "by_category": groups})
    assert "c19" in text and "c20" not in text
    assert "And 10 more in `charter.json`." in text
