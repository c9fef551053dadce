"""Draws of principles: fixed by seed and prompt, in proportion, and without favourites."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.constitutions import load_constitution, shipped_constitutions
from charter.steps.principles import comparison_principles, round_principle, rounds_of

CONCISE = load_constitution(shipped_constitutions()["concise"])
IDS = [p.id for p in CONCISE.principles]


def drawn(choice, prompts=1200, rounds=1, seed=0):
    return [
        [round_principle(CONCISE, choice, seed, f"p{i}", k).id for k in range(rounds)]
        for i in range(prompts)
    ]


def test_random_draws_are_uniform_and_anew_each_round():
    rows = drawn("random", rounds=2)
    for k in range(2):
        counts = Counter(row[k] for row in rows)
        assert set(counts) == set(IDS) and all(150 < n < 250 for n in counts.values())
    assert 150 < sum(one == two for one, two in rows) < 250  # one in six is drawn again


def test_round_robin_starts_anywhere_and_goes_on_in_order():
    rows = drawn("round-robin", rounds=8)
    for row in rows:
        start = IDS.index(row[0])
        assert row == [IDS[(start + k) % 6] for k in range(8)]
    assert all(150 < n < 250 for n in Counter(row[0] for row in rows).values())


def test_all_walks_every_principle_in_each_round():
    assert rounds_of(CONCISE, 2, "all") == 12
    assert rounds_of(CONCISE, 2, "random") == rounds_of(CONCISE, 2, {"brief": 1.0}) == 2
    assert drawn("all", prompts=1, rounds=12)[0] == IDS * 2


def test_weights_draw_in_proportion():
    counts = Counter(row[0] for row in drawn({"brief": 3.0, "concrete": 1.0, "no-filler": 0.0}))
    assert set(counts) == {"brief", "concrete"}
    assert 840 < counts["brief"] < 960
    assert {row[0] for row in drawn({"concrete": 1e-300}, prompts=50)} == {"concrete"}


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(IDS), st.floats(0, 1e6), min_size=1).filter(
        lambda weights: any(weights.values())
    ),
    st.integers(0, 2**40),
    st.text(),
    st.integers(0, 40),
)
def test_no_weights_draw_what_has_none(weights, seed, prompt_id, index):
    found = round_principle(CONCISE, weights, seed, prompt_id, index)
    assert weights.get(found.id, 0) > 0
    assert found == round_principle(
        CONCISE, dict(reversed(weights.items())), seed, prompt_id, index
    )


@pytest.mark.parametrize("choice", ["random", "round-robin", {"brief": 1.0, "concrete": 1.0}])
def test_draws_hang_on_seed_and_prompt(choice):
    assert drawn(choice, 50) == drawn(choice, 50)
    assert drawn(choice, 50) != drawn(choice, 50, seed=1)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("random", ["brief", "keep-what-matters", "brief", "keep-what-matters"]),
        ("round-robin", ["no-filler", "answer-first", "no-filler", "keep-what-matters"]),
        ({"brief": 1.0, "concrete": 1.0, "no-filler": 1.0}, ["concrete"] * 4),
    ],
    ids=["random", "round-robin", "weights"],
)
def test_draws_stay_what_they_are_from_release_to_release(choice, expected):
    """Another draw is another call to pay for, and another label."""
    found = [round_principle(CONCISE, choice, 7, f"p{k}", k).id for k in range(4)]
    assert found == expected
    pair = comparison_principles(CONCISE, 2, 7, "p#a~b")
    assert [p.id for p in pair] == ["plain-words", "no-filler"]


def test_comparison_principles_are_drawn_without_replacement_in_the_constitutions_order():
    counts: Counter[str] = Counter()
    for i in range(1200):
        found = [p.id for p in comparison_principles(CONCISE, 2, 0, f"p{i}#a~b")]
        assert len(set(found)) == 2 and found == sorted(found, key=IDS.index)
        counts.update(found)
    assert all(330 < n < 470 for n in counts.values())
    everything = list(CONCISE.principles)
    assert comparison_principles(CONCISE, "all", 0, "x") == everything
    assert comparison_principles(CONCISE, 6, 5, "y") == everything


def test_one_principle_more_keeps_those_drawn_before():
    for i in range(50):
        fewer = {p.id for p in comparison_principles(CONCISE, 2, 0, f"p{i}")}
        assert fewer < {p.id for p in comparison_principles(CONCISE, 3, 0, f"p{i}")}
