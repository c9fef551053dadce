"""Which answers count, and what they come to by row."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spot_checks import revision_check, spot_check

from charter.review.answers import SCORES, sort_answers, turned
from charter.review.spot_check import Human

PAIR = st.sampled_from(["CHOSEN", "REJECTED", "TIE", "BOTH_BAD"])


def same(_):
    return False


def by_people(*verdicts, **changes):
    names = (f"r{k}" for k in itertools.count())
    return [spot_check(0, who, said, **changes) for who, said in zip(names, verdicts, strict=False)]


@pytest.mark.parametrize(
    ("said", "verdict", "divided"),
    [
        (["REJECTED"], "REJECTED", False),
        (["CHOSEN", "CHOSEN", "REJECTED"], "CHOSEN", False),
        (["CHOSEN", "REJECTED"], "TIE", True),
        (["CHOSEN", "TIE"], "TIE", True),
        (["BOTH_BAD", "BOTH_BAD", "CHOSEN"], "BOTH_BAD", False),
        (["CHOSEN", "REJECTED", "BOTH_BAD"], "TIE", True),
        (["TIE", "TIE"], "TIE", False),
    ],
)
def test_a_row_says_what_most_of_its_reviewers_say(said, verdict, divided):
    (row,) = sort_answers(by_people(*said), same).blind
    assert (row.verdict, row.divided) == (verdict, divided)
    assert row.score == {"CHOSEN": 1, "REJECTED": 0}.get(verdict, 0.5)


def test_revisions_that_divide_people_are_the_same():
    checks = [revision_check(0, "ann", "BETTER"), revision_check(0, "bob", "WORSE")]
    (row,) = sort_answers(checks, same).blind
    assert (row.verdict, row.divided, row.ai, row.score) == (Human.SAME, True, "BETTER", 0.5)


def test_what_is_known_or_stale_takes_no_other_answer_with_it():
    gold = spot_check("g", gold=Human.CHOSEN, submitted="2025-01-01T00:00:00Z")
    stale = spot_check(1, submitted="2025-01-02T00:00:00Z")
    found = sort_answers([gold, stale, spot_check(2)], lambda one: None if one is stale else False)
    assert ([row.row_id for row in found.blind], len(found.gold), found.stale) == (["p2#a~b"], 1, 1)


@given(st.lists(PAIR, min_size=1, max_size=7), st.randoms())
def test_no_order_of_answers_changes_a_row(said, random):
    checks = by_people(*said)
    mixed = list(checks)
    random.shuffle(mixed)
    assert sort_answers(checks, same) == sort_answers(mixed, same)


@pytest.mark.parametrize(
    ("first", "verdict", "ai", "label"),
    [
        ("chosen", "CHOSEN", "A", "A"),
        ("chosen", "REJECTED", "A", "B"),
        ("rejected", "CHOSEN", "B", "B"),
        ("rejected", "REJECTED", "B", "A"),
        ("rejected", "BOTH_BAD", "B", "BOTH_BAD"),
    ],
)
def test_labels_are_places_on_the_screen(first, verdict, ai, label):
    (row,) = sort_answers([spot_check(verdict=verdict, first=first)], same).blind
    assert (row.ai, row.label, row.said) == (ai, label, (("ann", label),))


def test_reviewers_of_one_row_are_compared_by_candidate_whatever_they_saw_first():
    checks = [
        spot_check(0, "ann", "CHOSEN", first="chosen"),
        spot_check(0, "bob", "CHOSEN", first="rejected"),
    ]
    (row,) = sort_answers(checks, same).blind
    assert row.said == (("ann", "A"), ("bob", "A"))


def test_answers_that_saw_the_label_are_never_with_the_others():
    checks = [spot_check(0, "ann"), spot_check(0, "bob", "REJECTED", saw_ai=True)]
    found = sort_answers(checks, same)
    assert [row.verdict for row in found.blind] == [Human.CHOSEN]
    assert [row.verdict for row in found.shown] == [Human.REJECTED]


def test_gold_rows_are_in_no_row_and_need_not_be_in_the_version():
    checks = [
        spot_check("g", "ann", gold=Human.CHOSEN),
        spot_check("g", "bob", gold=Human.CHOSEN, saw_ai=True),  # nobody is tested by what is shown
    ]
    found = sort_answers(checks, lambda _: None)
    assert (found.blind, found.shown, found.stale) == ((), (), 0)
    assert [each.reviewer for each in found.gold] == ["ann"]


def test_answers_on_other_texts_are_counted_and_not_used():
    checks = [spot_check(0), spot_check(1, texts="old"), spot_check(2, texts="old")]
    found = sort_answers(checks, lambda each: None if each.texts == "old" else False)
    assert [row.row_id for row in found.blind] == ["p0#a~b"]
    assert found.stale == 2


def test_of_a_reviewers_answers_on_a_row_the_last_counts():
    checks = [
        spot_check(0, "ann", "REJECTED", id="x", submitted="2026-01-02T00:00:00Z"),
        spot_check(0, "ann", "CHOSEN", id="y", submitted="2026-01-01T00:00:00Z"),
    ]
    (row,) = sort_answers(checks, same).blind
    assert row.verdict is Human.REJECTED and len(row.answers) == 1


def test_a_label_that_changed_sides_turns_what_was_said_of_it():
    (row,) = sort_answers([spot_check(0, verdict="REJECTED", first="chosen")], lambda _: True).blind
    assert (row.verdict, row.ai, row.label) == (Human.CHOSEN, "B", "B")  # the same response


@given(PAIR, st.sampled_from(["chosen", "rejected"]))
def test_turning_twice_is_nothing(verdict, first):
    answer = spot_check(verdict=verdict, first=first)
    assert turned(turned(answer)) == answer
    assert SCORES[turned(answer).verdict] == 1 - SCORES[answer.verdict]


def test_reviewers_who_are_left_out_are_so_but_on_gold_rows():
    checks = [
        spot_check(0, "ann"),
        spot_check(0, "bob", "REJECTED"),
        spot_check("g", "bob", gold=Human.TIE),
    ]
    found = sort_answers(checks, same, frozenset({"bob"}))
    assert [who for who, _ in found.blind[0].said] == ["ann"]
    assert [each.reviewer for each in found.gold] == ["bob"]
