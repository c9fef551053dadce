"""Prediction-powered means: against the authors' package, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from charter.agreement import mean_score
from charter.ppi import ppi_mean, tuned_power
from charter.stats import wilson

Y = [float(i * 7919 % 11 < 8) for i in range(60)]
GUESS = [0.8 * (0.5 + i * 104729 % 50 / 100) + 0.2 * y for i, y in enumerate(Y)]
OTHER = [0.5 + i * 1299709 % 47 / 94 for i in range(700)]
REAL = [i * 37 % 23 / 5 - 1 for i in range(60)]
REAL_GUESS = [y + i * 17 % 7 / 10 for i, y in enumerate(REAL)]
REAL_OTHER = [i * 41 % 23 / 5 - 0.6 for i in range(700)]
WEIGHTS = [1.0 + i % 4 for i in range(60)]


# What ppi-python 0.2.3 says of these numbers (ppi_mean_pointestimate, ppi_mean_ci).
@pytest.mark.parametrize(
    ("data", "value", "low", "high"),
    [
        ((Y, GUESS, OTHER), 0.71415096, 0.61487954, 0.81342239),
        ((REAL, REAL_GUESS, REAL_OTHER), 1.29014589, 1.18431592, 1.39597585),
    ],
    ids=["shares", "numbers"],
)
def test_the_authors_package_says_the_same(data, value, low, high):
    found = ppi_mean(*data)
    assert found.value == pytest.approx(value, abs=1e-7)
    # They take normal quantiles and divide by n; the difference is that and no more.
    ours = (found.high - found.low) / student.ppf(0.975, 59)
    theirs = (high - low) / 1.959964
    assert theirs <= ours <= theirs * math.sqrt(60 / 59)


def test_the_authors_package_says_the_same_with_weights():
    assert ppi_mean(Y, GUESS, OTHER, WEIGHTS).value == pytest.approx(0.7154843, abs=1e-7)


def test_weights_that_are_all_the_same_are_none():
    assert ppi_mean(Y, GUESS, OTHER, [3.0] * 60) == ppi_mean(Y, GUESS, OTHER)


def test_without_predictions_it_is_the_mean_of_the_labels():
    found = ppi_mean(Y, GUESS, [])
    known = wilson(int(sum(Y)), 60)
    assert found.value == pytest.approx(known.value)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=0.02)
    assert tuned_power(np.array(Y), np.array(GUESS), np.array([])) == 0


def test_useless_predictions_are_not_used():
    noise = [float(i * 7919 % 13) for i in range(60)]
    assert tuned_power(np.array(Y), -np.array(GUESS), -np.array(OTHER)) == 0
    narrow = ppi_mean(Y, GUESS, OTHER)
    wide = ppi_mean(Y, noise, [6.0 + i % 7 for i in range(700)])
    plain = ppi_mean(Y, GUESS, [])
    assert narrow.high - narrow.low < plain.high - plain.low
    assert wide.high - wide.low < 1.05 * (plain.high - plain.low)


@pytest.mark.parametrize("right", [30, 27, 3, 0])
def test_too_few_of_one_outcome_make_no_narrow_interval(right):
    truth = [1.0] * right + [0.0] * (30 - right)
    found = ppi_mean(truth, [0.9] * 30, [0.9] * 5000)
    known = wilson(right, 30)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))
    weighted = ppi_mean(truth, [0.9] * 30, [0.9] * 5000, [1.0] * 15 + [9.0] * 15)
    assert weighted.low <= weighted.value <= weighted.high
    if right in (0, 30):  # the same value, of fewer labels in effect
        assert weighted.high - weighted.low > known.high - known.low


def test_few_labels():
    assert ppi_mean([], [], [0.5]).value is None
    one = ppi_mean([7.0], [6.0], [5.0, 6.0])
    assert (one.value, one.low, one.n) == (7.0, None, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ([1.0], [], [1.0]),
        ([1.0], [1.0], [math.nan]),
        ([1.0], [1.0], [1.0], [0.0]),
        ([1.0], [1.0], [1.0], [1.0, 2.0]),
    ],
    ids=["lengths", "nan", "weight", "weights"],
)
def test_what_is_no_sample_is_refused(arguments):
    with pytest.raises(ValueError):
        ppi_mean(*arguments)


SHARES = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.5, 1)), min_size=2)


@given(SHARES, st.lists(st.floats(0.5, 1), max_size=30))
def test_an_estimate_of_shares_is_a_share_inside_its_interval(labelled, other):
    found = ppi_mean([y for y, _ in labelled], [p for _, p in labelled], other)
    assert 0 <= found.low <= found.value <= found.high <= 1


def _coverage(draw, truth: float, times: int = 400) -> tuple[float, float]:
    """Share of intervals that hold the truth, and their width against the labels' alone."""
    random = np.random.default_rng(11)
    held, width, plain = 0, 0.0, 0.0
    for _ in range(times):
        y, guess, other, weights = draw(random)
        found = ppi_mean(y, guess, other, weights)
        held += found.low <= truth <= found.high
        width += found.high - found.low
        alone = mean_score(list(y))
        plain += alone.high - alone.low
    return held / times, width / plain


def _labels(random, n):
    """A judge whose confidence says something, and people who agree with 0.76 of its labels."""
    sure = random.uniform(0.5, 1, n)
    return (random.uniform(size=n) < 0.01 + sure).astype(float), sure


def test_intervals_hold_the_truth_as_often_as_they_say():
    def draw(random):
        y, guess = _labels(random, 100)
        _, other = _labels(random, 3000)
        return y, guess, other, None

    held, width = _coverage(draw, 0.76 - 0.01**2)
    assert 0.92 <= held <= 0.985
    assert width < 1


@pytest.mark.parametrize("times", [2, 6, 20])
def test_intervals_hold_with_a_biased_sample_and_its_weights(times):
    def draw(random):
        y, guess = _labels(random, 2000)
        # So many times as likely to be looked at where the judge was less sure.
        chance = np.where(guess < 0.75, 0.1, 0.1 / times)
        seen = random.uniform(size=2000) < chance
        return y[seen], guess[seen], guess, 1 / chance[seen]

    held, _ = _coverage(draw, 0.76 - 0.01**2)
    assert held >= 0.92


def test_labels_that_stand_for_many_and_agree_are_no_certainty():
    """Three labels of weight 30 that are all right say little of the rows that they stand for."""
    truth = [1.0, 1, 1] + [1.0, 0] * 15
    found = ppi_mean(truth, [0.5] * 33, [], [30.0] * 3 + [1.0] * 30)
    assert found.value == pytest.approx((90 + 15) / 120)
    assert found.low < 0.75
