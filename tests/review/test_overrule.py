"""What answers make of a label: laws that hold for every vote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spot_checks import revision_check, spot_check

from charter.review.overrule import Outcome, p_of_votes, ruling_of, rulings
from charter.review.spot_check import Human

WORDS = [Human.CHOSEN, Human.REJECTED, Human.TIE, Human.BOTH_BAD]
SAID = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9)


def ruled(said, rule="majority", overruled=False):
    return ruling_of("p1#a~b", "p1", [Human(each) for each in said], overruled, rule)


@pytest.mark.parametrize(
    ("said", "majority", "unanimous"),
    [
        (["CHOSEN"], "KEPT", "KEPT"),
        (["REJECTED"], "TURNED", "TURNED"),
        (["REJECTED", "CHOSEN"], "KEPT", "KEPT"),
        (["REJECTED", "REJECTED", "CHOSEN"], "TURNED", "KEPT"),
        (["REJECTED", "REJECTED", "TIE"], "TURNED", "KEPT"),
        (["TIE"], "REMOVED", "REMOVED"),
        (["TIE", "BOTH_BAD"], "REMOVED", "REMOVED"),
        (["TIE", "CHOSEN"], "KEPT", "KEPT"),
        (["TIE", "BOTH_BAD", "CHOSEN"], "REMOVED", "KEPT"),
    ],
)
def test_outcomes(said, majority, unanimous):
    assert ruled(said).outcome == majority
    assert ruled(said, "unanimous").outcome == unanimous
    assert ruled(said, "none").outcome == "KEPT"


def test_both_bad_is_named_where_more_say_so_than_tie():
    assert ruled(["BOTH_BAD", "BOTH_BAD", "TIE"]).reject()[1] == "BOTH_BAD"
    assert ruled(["BOTH_BAD", "TIE"]).reject() == (
        "p1",
        "TIE",
        "2 of 2 reviewers name no winner: no response is better",
    )


@given(SAID, st.sampled_from(["majority", "unanimous"]), st.booleans())
def test_laws_of_a_ruling(said, rule, overruled):
    found = ruled(said, rule, overruled)
    turned = [{Human.CHOSEN: "REJECTED", Human.REJECTED: "CHOSEN"}.get(w, w) for w in said]
    if found.outcome in (Outcome.TURNED, Outcome.RECOUNTED):
        # A label that changes sides is one that people's words support, and never certain.
        assert 0.5 < found.p < 1
        assert ruled(turned, rule).outcome is Outcome.KEPT
    if found.outcome is Outcome.REMOVED:
        assert ruled(turned, rule).outcome is Outcome.REMOVED
    if ruled(said, "unanimous").outcome in (Outcome.TURNED, Outcome.REMOVED):
        assert ruled(said, "majority").outcome is not Outcome.KEPT
    assert (found.outcome in (Outcome.RECOUNTED, Outcome.RESTORED)) <= overruled
    assert (found.outcome is Outcome.TURNED) <= (not overruled)


@given(st.integers(0, 50), st.integers(1, 50))
def test_p_grows_with_votes_and_is_above_one_half_with_most(votes, of):
    votes = min(votes, of)
    assert (p_of_votes(votes, of) > 0.5) is (2 * votes > of)
    assert 0 < p_of_votes(votes, of) < 1
    assert p_of_votes(votes, of) < p_of_votes(votes + 1, of)
    assert p_of_votes(of, of) < p_of_votes(of + 1, of + 1)


def test_which_answers_count():
    checks = [
        spot_check(1, "ann", "CHOSEN", submitted="2026-01-01T00:00:00Z"),
        # The last word of Ann's, on the row with the label shown: correction is what that is for.
        spot_check(1, "ann", "REJECTED", id="x", saw_ai=True, submitted="2026-01-02T00:00:00Z"),
        spot_check(2, "bob", "REJECTED", gold=Human.CHOSEN),
        spot_check(3, "cyd", "REJECTED"),
        revision_check(4, "ann", "WORSE"),
        spot_check(5, "dan", "REJECTED"),
        spot_check(6, "eve", "REJECTED"),
    ]

    def turn(each):
        return {"p5#a~b": None, "p6#a~b": True}.get(each.row_id, False)

    found = rulings(checks, turn, (), "majority", frozenset({"cyd"}))
    assert [(each.row_id, each.outcome) for each in found] == [
        ("p1#a~b", Outcome.TURNED),
        ("p6#a~b", Outcome.KEPT),
    ]
