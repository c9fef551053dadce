"""A release is refused below what its own recipe asks of people, and says what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drafts import RECIPE, draft
from hypothesis import given
from hypothesis import strategies as st

from charter.errors import Failure
from charter.hub import open_version, publish_local
from charter.hub.promote import promote_local
from charter.hub.review_gate import review_gate
from charter.recipes.review import ReviewSettings

FIGURES: dict[str, Any] = {
    "n": 58,
    "reviewers": 2,
    "agreement": {"value": 0.8, "low": 0.71, "high": 0.9, "n": 58},
    "agreement_lower": 0.71,
    "gold_accuracy": {"value": 0.9, "low": None, "high": None, "n": 10},
    "sft": {"still_harmful": {"value": 0.1, "low": 0.05, "high": 0.2, "n": 40}},
}


def lacks(figures: Any = FIGURES, **settings: Any) -> dict[str, str]:
    found = review_gate(ReviewSettings(**settings), figures, "me/small@v0.1.0-rc.1")
    return {name: what for name, what, _ in found}


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"min_reviews": 100}, "42 more reviews: 58 of 100"),
        ({"min_reviews": 59}, "1 more review: 58 of 59"),
        ({"min_reviewers": 3}, "1 more reviewer: 2 of 3"),
        ({"min_agreement_lower": 0.75}, "agreement's lower bound 0.71 < 0.75"),
        ({"min_agreement_lower": 0.7101}, "agreement's lower bound 0.7100 < 0.7101"),
        ({"min_gold_accuracy": 1.0}, "the share of right answers on gold rows 0.90 < 1.00"),
        ({"max_still_harmful": 0.1}, "the upper bound of still harmful revisions 0.20 > 0.10"),
        ({"max_over_refusing": 0.9}, "the upper bound of over-refusing revisions was not measured"),
    ],
)
def test_what_is_missing_is_named(settings: dict[str, Any], what: str) -> None:
    assert lacks(**settings) == {next(iter(settings)): what}


def test_what_is_reached_exactly_is_enough() -> None:
    reached = {"min_reviews": 58, "min_reviewers": 2, "min_agreement_lower": 0.71}
    assert lacks(**reached, min_gold_accuracy=0.9, max_still_harmful=0.2) == {}
    assert lacks() == lacks(None) == {}


def test_nothing_measured_is_not_enough() -> None:
    settings = {"min_reviews": 1, "min_agreement_lower": 0.1, "min_gold_accuracy": 0.0}
    for nothing in (None, {}, {"agreement_lower": None}, {"carried": {"answers": 9}}):
        assert lacks(nothing, **settings) == {
            "min_reviews": "1 more review: 0 of 1",
            "min_agreement_lower": "agreement's lower bound was not measured",
            "min_gold_accuracy": "the share of right answers on gold rows was not measured",
        }


@given(st.floats(0, 1), st.floats(0, 1, exclude_max=True))
def test_a_bound_is_kept_and_the_two_numbers_are_told_apart(low: float, bound: float) -> None:
    found = lacks({"agreement_lower": low}, min_agreement_lower=bound)
    assert bool(found) is (low < bound)
    for what in found.values():
        one, _, other = what.removeprefix("agreement's lower bound ").partition(" < ")
        assert one != other


def candidate(store: Path, review: str, reviews: dict[str, Any] | None) -> Any:
    sound = draft()
    lineage = {**sound.lineage, "reviews": reviews}
    made = draft(recipe_yaml=RECIPE + review, lineage=lineage, version="rc")
    return open_version(publish_local(made, store).path)


def test_promotion_is_refused_below_the_gate_and_done_above_it(tmp_path: Path) -> None:
    gate = "review: {min_reviews: 100, min_agreement_lower: 0.75}\n"
    low = candidate(tmp_path / "low", gate, FIGURES)
    with pytest.raises(Failure) as caught:
        promote_local(low, tmp_path / "low")
    assert [f.path for f in caught.value.faults] == [
        "review.min_reviews",
        "review.min_agreement_lower",
    ]
    assert "charter review publish me/small@v0.1.0-rc.1" in caught.value.faults[0].fix
    enough = {**FIGURES, "n": 100, "agreement_lower": 0.75}
    high = candidate(tmp_path / "high", gate, enough)
    assert promote_local(high, tmp_path / "high").tag == "v0.1.0"
    free = candidate(tmp_path / "free", "review: {n: 5}\n", None)
    assert promote_local(free, tmp_path / "free").tag == "v0.1.0"


def test_a_gate_that_cannot_be_read_lets_nothing_through(tmp_path: Path) -> None:
    for block in ("{min_reviews: many}", "{min_revews: 3}"):
        store = tmp_path / str(len(block))
        with pytest.raises(Failure, match="`review` cannot be read"):
            promote_local(candidate(store, f"review: {block}\n", FIGURES), store)
