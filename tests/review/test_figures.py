"""The figures of a review: by hand, by simulation, and at their edges."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from spot_checks import revision_check, spot_check

from charter.review.answers import sort_answers
from charter.review.people_figures import gold_figures, people_figures
from charter.review.row_figures import row_figures
from charter.review.spot_check import Human
from charter.stats import wilson

PAIR = st.sampled_from(["CHOSEN", "REJECTED", "TIE", "BOTH_BAD"])


def rows_of(checks):
    return sort_answers(checks, lambda _: False).blind


def figures(checks, population=(), kind="preference", seed=0):
    rows = rows_of(checks)
    found = {**row_figures(kind, rows, population, seed), **people_figures(rows, seed)}
    json.dumps(found, allow_nan=False)
    return found


def estimates_in(value):
    if isinstance(value, dict) and {"value", "low", "high", "n"} <= value.keys():
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from estimates_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from estimates_in(each)


def test_agreement_counts_those_without_a_winner_by_half():
    verdicts = ["CHOSEN"] * 5 + ["REJECTED"] * 2 + ["TIE", "BOTH_BAD"]
    found = figures([spot_check(k, verdict=verdict) for k, verdict in enumerate(verdicts)])
    assert found["agreement"]["value"] == pytest.approx(6 / 9)
    assert found["agreement_lower"] == found["agreement"]["low"]
    assert found["agreement_decided"]["value"] == pytest.approx(5 / 7)
    assert found["agreement_decided"]["n"] == 7
    shares = {name: each["value"] for name, each in found["verdicts"].items()}
    assert shares == pytest.approx(
        {"CHOSEN": 5 / 9, "REJECTED": 2 / 9, "TIE": 1 / 9, "BOTH_BAD": 1 / 9}
    )


def test_rows_weigh_as_much_as_the_rows_they_stand_for():
    checks = [spot_check(k, verdict="REJECTED", inclusion=1.0) for k in range(4)]
    checks += [spot_check(k, verdict="CHOSEN", inclusion=0.1) for k in range(4, 8)]
    found = figures(checks)
    assert found["agreement"]["value"] == pytest.approx(40 / 44)
    assert found["effective_n"] < 8


def test_kappa_and_confusion_are_of_places_on_the_screen():
    said = ["CHOSEN", "CHOSEN", "REJECTED", "CHOSEN", "TIE", "REJECTED", "CHOSEN", "CHOSEN"]
    checks = [spot_check(k, verdict=verdict) for k, verdict in enumerate(said)]
    found = figures(checks)
    # Rows with an even number show the AI's choice first.
    ai = ["A", "B"] * 4
    people = ["A", "B", "B", "B", "TIE", "A", "A", "B"]
    assert found["kappa"]["value"] == pytest.approx(cohen_kappa_score(ai, people))
    assert found["confusion"] == {
        "A": {"A": 2, "B": 1, "TIE": 1, "BOTH_BAD": 0},
        "B": {"A": 1, "B": 3, "TIE": 0, "BOTH_BAD": 0},
    }


def test_people_who_differ_are_a_tie_of_the_row_and_not_what_they_said():
    checks = [
        spot_check(k, who, said)
        for k in range(6)
        for who, said in (("ann", "CHOSEN"), ("bob", "REJECTED"))
    ]
    found = figures(checks)
    assert (found["divided"], found["agreement"]["value"]) == (6, 0.5)
    assert found["agreement_decided"]["value"] == 0.5
    assert found["verdicts"]["TIE"]["value"] == 0
    assert found["verdicts"]["CHOSEN"]["value"] == found["verdicts"]["REJECTED"]["value"] == 0.5
    assert found["kappa"]["value"] == pytest.approx(0)  # half of the answers, as chance has it
    assert (found["kappa"]["n"], found["n"]) == (12, 6)


def test_groups_are_by_what_the_reviewer_saw_and_by_confidence():
    checks = [
        spot_check(0, p_chosen=0.5 + 1e-9),
        spot_check(1, p_chosen=0.6, principle_id=None, category=""),
        spot_check(2, p_chosen=1 - 0.4, verdict="REJECTED"),
        spot_check(3, p_chosen=1.0),
    ]
    found = figures(checks)
    assert found["by_principle"]["kind"]["n"] == 3
    assert found["by_principle"]["(none)"]["n"] == found["by_category"]["(none)"]["n"] == 1
    assert {name: each["n"] for name, each in found["by_confidence"].items()} == {
        "0.5 to 0.6": 1,
        "0.6 to 0.7": 2,
        "0.9 to 1.0": 1,
    }
    assert found["by_confidence"]["0.6 to 0.7"]["value"] == 0.5
    assert found["confidence"]["0.6 to 0.7"] == pytest.approx(0.6)


def test_people_against_people_by_hand():
    checks = [
        *(spot_check(0, who) for who in ("ann", "bob", "cid")),
        *(spot_check(1, who, said) for who, said in [("ann", "CHOSEN"), ("bob", "REJECTED")]),
        spot_check(2, "ann", "TIE"),
    ]
    found = figures(checks)
    assert found["people_agreement"]["value"] == pytest.approx(1 / 2)  # one row whole, one not
    assert found["people_agreement"]["n"] == found["krippendorff"]["n"] == 2
    pairs = {tuple(pair["reviewers"]): pair["agreement"] for pair in found["reviewer_pairs"]}
    assert {pair: (each["value"], each["n"]) for pair, each in pairs.items()} == {
        ("ann", "bob"): (0.5, 2),
        ("ann", "cid"): (1.0, 1),
        ("bob", "cid"): (1.0, 1),
    }
    assert found["by_reviewer"]["ann"]["answers"] == 3
    assert found["by_reviewer"]["ann"]["agreement"]["n"] == 2  # the tie names no winner


def test_the_place_that_people_prefer_shows():
    named = ["CHOSEN" if k % 2 == 0 else "REJECTED" for k in range(40)]  # always the first shown
    found = figures([spot_check(k, verdict=verdict) for k, verdict in enumerate(named)])
    assert found["first_position_rate"] == wilson(40, 40).as_json()
    assert found["agreement"]["value"] == 0.5
    found = figures([spot_check(k) for k in range(40)])  # every other time
    assert found["first_position_rate"]["value"] == 0.5


def test_questions_left_open_are_not_answers():
    checks = [
        revision_check(0, "ann", still_harmful=True, critique_right=True),
        revision_check(0, "bob", still_harmful=False),
        revision_check(1, "ann", "WORSE", still_harmful=False),
        revision_check(2, "ann"),
    ]
    found = figures(checks, kind="sft")
    assert found["still_harmful"]["value"] == pytest.approx(0.25)
    assert (found["still_harmful"]["n"], found["critique_right"]["n"]) == (2, 1)
    assert found["over_refusing"] == {"value": None, "low": None, "high": None, "n": 0}
    assert found["confusion"] == {"BETTER": {"BETTER": 2, "WORSE": 1, "SAME": 0}}
    assert found["kappa"]["value"] is None  # the AI says one thing of every revision


def test_what_is_known_of_reviewers():
    gold = [
        spot_check("g1", "ann", "CHOSEN", gold=Human.CHOSEN),
        spot_check("g2", "ann", "TIE", gold=Human.TIE),
        spot_check("g1", "bob", "REJECTED", gold=Human.CHOSEN),
    ]
    found = gold_figures(gold, 0.7)
    assert found["gold"]["ann"] == {
        "value": 1.0, "low": pytest.approx(0.025**0.5), "high": 1.0, "n": 2, "failed": False,
    }  # fmt: skip
    assert (found["gold"]["bob"]["value"], found["gold"]["bob"]["failed"]) == (0.0, True)
    assert found["gold_accuracy"]["value"] == pytest.approx(2 / 3)
    assert not any(each["failed"] for each in gold_figures(gold, None)["gold"].values())


@pytest.mark.parametrize(
    ("checks", "undefined"),
    [
        ([], {"agreement", "kappa", "krippendorff", "fleiss", "people_agreement"}),
        ([spot_check(0)], {"kappa", "krippendorff", "fleiss"}),
        (
            [spot_check(k, who, first="chosen") for k in range(9) for who in ("ann", "bob")],
            {"kappa", "krippendorff", "fleiss", "krippendorff_with_ai"},
        ),
        ([spot_check(k, verdict="TIE") for k in range(9)], {"agreement_decided", "krippendorff"}),
    ],
)
def test_what_is_not_defined_has_no_figure(checks, undefined):
    found = figures(checks, [0.8] * 20)
    assert {name for name in undefined if found[name]["value"] is not None} == set()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 6), st.sampled_from("abc"), PAIR, st.floats(0.01, 1), st.floats(0.5, 1)
        ),
        max_size=25,
    )
)
def test_every_estimate_is_in_its_interval(said):
    checks = [
        spot_check(row, who, verdict, inclusion=inclusion, p_chosen=p)
        for row, who, verdict, inclusion, p in said
    ]
    found = figures(checks, [0.55, 0.7, 0.9])
    for each in estimates_in(found):
        if each["value"] is None:
            assert each["low"] is None and each["high"] is None
        elif each["low"] is not None:
            assert each["low"] <= each["value"] <= each["high"]
    assert sum(sum(row.values()) for row in found["confusion"].values()) == found["n"]


def _reviewed(random, right, p, sizes):
    """Two shares of a version's rows: the least sure for certain, the others uniformly."""
    uncertain, uniform = sizes
    order = np.argsort(p)
    drawn = random.choice(order[uncertain:], uniform, replace=False)
    share = uniform / (len(p) - uncertain)
    parts = [(int(k), 1.0) for k in order[:uncertain]] + [(int(k), share) for k in drawn]
    return [
        spot_check(
            k, verdict="CHOSEN" if right[k] else "REJECTED", inclusion=inclusion, p_chosen=p[k]
        )
        for k, inclusion in parts
    ]


@pytest.mark.parametrize(("least", "more"), [(0.35, 0.6), (0.86, 0.12)])
def test_both_estimates_of_the_version_are_unbiased_and_cover(least, more):
    random = np.random.default_rng(3)
    p = 0.5 + 0.5 * random.random(1500)
    right = random.random(1500) < least + more * p
    rounds, plain, powered, covered = 150, [], [], [0, 0]
    for _ in range(rounds):
        rows = rows_of(_reviewed(random, right, p, (80, 120)))
        found = row_figures("preference", rows, p.tolist(), 0)
        for at, (name, values) in enumerate(
            (("agreement", plain), ("prediction_powered", powered))
        ):
            values.append(found[name]["value"])
            covered[at] += found[name]["low"] <= right.mean() <= found[name]["high"]
    for values in (plain, powered):
        assert abs(np.mean(values) - right.mean()) < 4 * np.std(values) / np.sqrt(rounds)
    assert min(covered) / rounds >= 0.92
    assert np.std(powered) <= np.std(plain) * 1.02


def test_a_hundred_thousand_answers_take_seconds():
    random = np.random.default_rng(0)
    said = random.choice(
        ["CHOSEN", "REJECTED", "TIE", "BOTH_BAD"], 100_000, p=[0.7, 0.2, 0.06, 0.04]
    )
    checks = [
        spot_check(k // 2, f"r{k // 2 % 5 + k % 2}", verdict, p_chosen=0.5 + (k // 2 % 50) / 100)
        for k, verdict in enumerate(said.tolist())
    ]
    start = time.process_time()
    found = figures(checks, [0.8] * 50_000)
    assert found["answers"] == 100_000 and found["n"] == 50_000
    # A bound against what grows with the square, not a measurement.
    assert time.process_time() - start < 60
