"""Estimates of people's answers: against kept libraries, closed forms, and by simulation."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from charter.agreement import kappa_estimate, krippendorff_estimate
from charter.review.estimates import exact_share, fleiss, weighted_mean
from charter.stats import wilson


def alpha(units, clusters, seed=0):
    return krippendorff_estimate(units, clusters=list(clusters), seed=seed)


LABELS = st.sampled_from(["A", "B", "TIE", "BOTH_BAD"])
UNITS = st.lists(st.lists(LABELS, min_size=1, max_size=4), max_size=30)


def test_the_interval_of_the_contrary_is_mirrored():
    scores, weights = [1, 0, 1, 0.5, 1, 1], [1, 2, 4, 8, 2, 1]
    found = weighted_mean(scores, weights, range(6)).estimate
    other = weighted_mean([1 - score for score in scores], weights, range(6)).estimate
    assert 0 < found.low < found.value < found.high < 1
    assert (other.low, other.high) == pytest.approx((1 - found.high, 1 - found.low))


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_the_exact_interval_is_that_of_scipy(hits, misses):
    found = exact_share(hits, hits + misses)
    if not hits + misses:
        assert (found.value, found.low, found.high, found.n) == (None, None, None, 0)
        return
    kept = binomtest(hits, hits + misses).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((kept.low, kept.high), abs=1e-9)
    assert found.low <= found.value <= found.high


def test_counts_that_are_no_proportion_are_refused():
    with pytest.raises(ValueError, match="5 of 4 is no proportion"):
        exact_share(5, 4)


@settings(deadline=None)
@given(UNITS)
def test_alpha_is_that_of_the_kept_package(units):
    found = alpha(units, list(range(len(units))))
    names = sorted({label for unit in units for label in unit})
    table = np.full((4, max(len(units), 1)), np.nan)
    for column, unit in enumerate(units):
        table[: len(unit), column] = [names.index(label) for label in unit]
    paired = {label for unit in units if len(unit) > 1 for label in unit}
    assert found.n == sum(len(unit) > 1 for unit in units)
    if len(paired) < 2:
        assert found.value is None
        return
    assert found.value == pytest.approx(krippendorff.alpha(table, level_of_measurement="nominal"))
    assert found.value == pytest.approx(krippendorff_estimate(units).value)


@settings(deadline=None)
@given(st.lists(st.tuples(LABELS, LABELS, st.floats(0.1, 50)), min_size=1, max_size=40))
def test_weighted_kappa_is_that_of_the_kept_package(rows):
    ours, theirs = [row[0] for row in rows], [row[1] for row in rows]
    found = kappa_estimate([row[:2] for row in rows], weights=[row[2] for row in rows])
    if len({*ours, *theirs}) == 1:
        assert found.value is None
        return
    kept = cohen_kappa_score(ours, theirs, sample_weight=[row[2] for row in rows])
    assert found.value == pytest.approx(kept)


def test_fleiss_of_a_published_example():
    # Fleiss 1971, table 1, as often printed: 14 raters, 10 subjects, kappa 0.210.
    counts = [
        *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
        *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
    ]
    units = [[k for k, n in enumerate(row) for _ in range(n)] for row in counts]
    found = fleiss(units, list(range(10)))
    assert found.value == pytest.approx(0.210, abs=5e-4)
    assert found.low < found.value < found.high


@settings(deadline=None)
@given(st.integers(2, 4).flatmap(lambda m: st.lists(st.lists(LABELS, min_size=m, max_size=m))))
def test_fleiss_and_krippendorff_differ_by_the_size_of_the_sample_alone(units):
    clusters = list(range(len(units)))
    one, other = fleiss(units, clusters), alpha(units, clusters)
    if other.value is None:
        assert one.value is None
    else:
        values = sum(map(len, units))
        assert other.value == pytest.approx(one.value + (1 - one.value) / values)


def test_fleiss_takes_the_rows_with_the_most_common_number_of_labels():
    pairs = [["A", "A"], ["B", "B"], ["A", "B"]]
    units = [*pairs, ["A"], ["A", "B", "B"], ["A", "A", "B"]]
    found = fleiss(units, list(range(6)))
    assert found.n == 3
    assert found.value == fleiss(pairs, [0, 1, 2]).value == pytest.approx(1 / 3)


@pytest.mark.parametrize("units", [[], [["A"]], [["A", "A"], ["A", "A"]]])
def test_what_chance_alone_explains_has_no_figure(units):
    clusters = list(range(len(units)))
    assert fleiss(units, clusters).value is None
    assert alpha(units, clusters).value is None


def test_a_bootstrap_over_prompts_is_wider_where_rows_repeat_their_prompt():
    once = [["A", "A"], ["B", "B"], ["A", "B"], ["B", "A"], ["A", "A"], ["B", "B"], ["B", "B"]]
    units = once * 8
    alone = alpha(units, list(range(len(units))))
    together = alpha(units, [at % len(once) for at in range(len(units))])
    assert together.value == alone.value and together.n == alone.n
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=80), st.floats(0.1, 20))
def test_with_equal_weights_it_is_the_plain_share(hits, weight):
    found = weighted_mean([float(hit) for hit in hits], [weight] * len(hits), range(len(hits)))
    plain = wilson(sum(hits), len(hits))
    assert found.estimate.value == pytest.approx(plain.value)
    # Student's quantile and one degree of freedom less make it a little wider than Wilson's.
    assert found.estimate.low <= plain.low + 1e-9
    assert found.estimate.high >= plain.high - 1e-9
    assert found.effective_n <= len(hits) + 1e-9


def test_the_weighted_share_is_that_of_horvitz_thompson_totals():
    found = weighted_mean([1, 0, 1, 0.5], [1, 2, 4, 8], ["a", "b", "c", "d"])
    assert found.estimate.value == pytest.approx((1 + 4 + 4) / 15)
    assert found.estimate.n == 4


def test_where_all_agree_the_weights_still_leave_doubt():
    even = weighted_mean([1.0] * 40, [1.0] * 40, range(40))
    uneven = weighted_mean([1.0] * 40, [1.0] * 30 + [50.0] * 10, range(40))
    assert even.effective_n == pytest.approx(40)
    assert uneven.effective_n == pytest.approx(530**2 / (30 + 10 * 2500))
    assert uneven.estimate.high == even.estimate.high == 1
    assert uneven.estimate.low < even.estimate.low - 0.1


@pytest.mark.parametrize(("clusters", "n"), [([], 0), (["p"], 1), (["p", "p", "p"], 3)])
def test_one_prompt_has_no_interval(clusters, n):
    found = weighted_mean([1.0] * n, [2.0] * n, clusters).estimate
    assert (found.value, found.low, found.high, found.n) == (1.0 if n else None, None, None, n)


@pytest.mark.parametrize(
    ("scores", "weights", "what"),
    [
        ([1.5], [1], r"in \[0, 1\]"),
        ([1], [0], "above 0"),
        ([1], [np.inf], "finite"),
        ([1], [], "1 sc"),
    ],
)
def test_what_is_no_sample_is_refused(scores, weights, what):
    with pytest.raises(ValueError, match=what):
        weighted_mean(scores, weights, ["p"] * len(scores))


def _drawn(random, right, doubt, sizes):
    """A sample of two shares: the least sure rows for certain, the rest uniformly."""
    uncertain, uniform = sizes
    order = np.argsort(-doubt)
    sure = order[uncertain:]
    taken = np.concatenate([order[:uncertain], random.choice(sure, uniform, replace=False)])
    weights = np.where(np.isin(taken, order[:uncertain]), 1.0, len(sure) / uniform)
    return right[taken], weights, taken


@pytest.mark.parametrize("base", [0.6, 0.85, 0.97])
def test_intervals_cover_and_estimates_are_unbiased_under_two_shares(base):
    random = np.random.default_rng(11)
    doubt = random.random(2000)
    right = (random.random(2000) < base + (1 - base) * 0.8 - 0.5 * base * doubt).astype(float)
    values, covered, naive, rounds = [], 0, [], 600
    for _ in range(rounds):
        scores, weights, taken = _drawn(random, right, doubt, (60, 90))
        found = weighted_mean(scores, weights, taken).estimate
        values.append(found.value)
        naive.append(scores.mean())
        covered += found.low <= right.mean() <= found.high
    spread = np.std(values) / np.sqrt(rounds)
    assert abs(np.mean(values) - right.mean()) < 3.5 * spread
    assert abs(np.mean(naive) - right.mean()) > 5 * spread  # what the weights are there for
    assert covered / rounds >= 0.93


def test_intervals_cover_where_rows_of_a_prompt_go_together():
    random = np.random.default_rng(5)
    covered, alone, rounds = 0, 0, 500
    for _ in range(rounds):
        easy = random.beta(2, 1, size=30)  # thirty prompts drawn anew, six rows each
        prompts = np.repeat(np.arange(30), 6)
        scores = (random.random(180) < easy[prompts]).astype(float)
        found = weighted_mean(scores, np.ones(180), prompts).estimate
        plain = weighted_mean(scores, np.ones(180), np.arange(180)).estimate
        covered += found.low <= 2 / 3 <= found.high
        alone += plain.low <= 2 / 3 <= plain.high
    assert covered / rounds >= 0.92
    assert alone / rounds < covered / rounds - 0.05


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_seed_fixes_the_interval(seed):
    units = [["A", "A"], ["B", "B"], ["A", "B"], ["A", "A"], ["B", "B"], ["B", "A"]]
    assert alpha(units, range(6), seed) == alpha(units, range(6), seed)
