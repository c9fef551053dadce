"""Agreement and calibration against figures worked out by hand, and what holds of all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.agreement import (
    by_cluster,
    calibration,
    clustered,
    kappa_estimate,
    krippendorff_estimate,
    mean_score,
    resampled,
)
from charter.stats import cohen_kappa, wilson

LABELS = st.sampled_from(["A", "B", "TIE"])


def test_alpha_of_a_published_example():
    # Krippendorff 2011, section C: four observers, twelve units, nominal alpha 0.743.
    table = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    assert krippendorff_estimate(list(zip(*table, strict=True))).value == pytest.approx(
        0.743, abs=5e-4
    )


def test_alpha_of_two_raters_by_hand():
    # Coincidences: AA 2, BB 2, AB 2 of 6 values; 1 - 5 * 2 / (36 - 18).
    assert krippendorff_estimate([("A", "A"), ("B", "B"), ("A", "B")]).value == pytest.approx(4 / 9)


@pytest.mark.parametrize("units", [[], [("A", None)], [("A",)], [("A", "A"), ("A", "A")]])
def test_alpha_is_undefined_without_two_labels(units):
    assert krippendorff_estimate(units).value is None


@given(st.lists(st.tuples(LABELS, LABELS), max_size=40))
def test_kappa_is_that_of_the_statistics(pairs):
    plain = cohen_kappa([a for a, _ in pairs], [b for _, b in pairs])
    found = kappa_estimate(pairs)
    assert found.n == len(pairs)
    if plain is None:
        assert found.value is None
    else:
        assert found.value == pytest.approx(plain)
        if found.low is not None:
            assert found.low <= found.value <= found.high


@given(st.lists(st.lists(st.none() | LABELS, max_size=5), max_size=20), st.randoms())
def test_alpha_does_not_depend_on_the_order_of_units_raters_or_names(units, random):
    other = [random.sample(unit, len(unit)) for unit in units]
    random.shuffle(other)
    renamed = [[value and f"{value}!" for value in unit] for unit in other]
    one, two = (krippendorff_estimate(each).value for each in (units, renamed))
    assert (one is None) == (two is None)
    assert one is None or one == pytest.approx(two)


def test_an_interval_holds_what_it_should_and_is_the_same_for_the_same_seed():
    pairs = [("A", "A")] * 40 + [("B", "B")] * 40 + [("A", "B")] * 20
    one, two = kappa_estimate(pairs, seed=4), kappa_estimate(pairs, seed=4)
    assert one == two
    assert one.value == pytest.approx(0.6, abs=0.02)
    # The asymptotic standard error of this table is 0.078.
    assert one.high - one.low == pytest.approx(2 * 1.96 * 0.078, rel=0.15)
    assert kappa_estimate(pairs, seed=5) != one


def test_alpha_of_two_raters_has_the_interval_of_their_kappa():
    pairs = [("A", "A")] * 80 + [("B", "B")] * 80 + [("A", "B")] * 20 + [("B", "A")] * 20
    kappa, alpha = kappa_estimate(pairs), krippendorff_estimate(pairs)
    ends = (kappa.value, kappa.low, kappa.high)
    assert (alpha.value, alpha.low, alpha.high) == pytest.approx(ends, abs=0.02)


def test_no_interval_is_given_where_none_can_be_had():
    # Full agreement in all resamples, and too few items to resample.
    assert kappa_estimate([("A", "A"), ("B", "B")] * 20).low is None
    few = kappa_estimate([("A", "A"), ("B", "B"), ("A", "B")])
    assert few.value is not None and few.low is None


def test_resampling_a_mean_comes_to_its_standard_error():
    values = np.arange(200.0)
    parts = np.stack([values, np.ones(200)], axis=1)
    found = resampled(parts, lambda sums: sums[:, 0] / sums[:, 1], replicates=20_000)
    assert found.value == pytest.approx(99.5)
    error = values.std() / math.sqrt(200)
    ends = (found.low - 99.5, found.high - 99.5)
    assert ends == pytest.approx((-1.96 * error, 1.96 * error), rel=0.03)


@given(st.lists(st.booleans(), max_size=60))
def test_the_mean_of_zeros_and_ones_has_wilsons_interval(hits):
    mine, known = mean_score([float(hit) for hit in hits]), wilson(sum(hits), len(hits))
    assert mine.n == known.n
    if known.value is not None:
        got = (mine.value, mine.low, mine.high)
        assert got == pytest.approx((known.value, known.low, known.high), abs=1e-12)


def test_a_score_is_a_share():
    assert mean_score([0.5, 1]).value == 0.75
    with pytest.raises(ValueError, match="scores"):
        mean_score([2.0])


def test_votes_that_say_the_same_are_worth_one():
    alone = clustered([(1, 1)] * 30 + [(0, 1)] * 20)
    known = wilson(30, 50)
    ends = (alone.value, alone.low, alone.high)
    assert ends == pytest.approx((known.value, known.low, known.high), abs=0.004)
    # Ten votes each that all agree say no more than one, and count as ten all the same.
    tenfold = clustered([(10, 10)] * 30 + [(0, 10)] * 20)
    assert tenfold.n == 500
    assert (tenfold.low, tenfold.high) == pytest.approx((alone.low, alone.high), abs=1e-9)
    assert clustered([(0, 4)] * 10).high == pytest.approx(wilson(0, 10).high)
    assert clustered([(0, 0)]).value is None


def test_calibration_by_hand():
    found = calibration([0.95, 0.95, 0.55, 0.55], [1, 0, 1, 0])
    assert found.ece.value == pytest.approx(0.5 * 0.45 + 0.5 * 0.05)
    assert [b.low for b in found.bins] == pytest.approx([0.55, 0.95])
    assert [b.high for b in found.bins] == pytest.approx([0.6, 1.0])
    assert [b.right.value for b in found.bins] == [0.5, 0.5]
    assert calibration([], []).ece.value is None
    assert calibration([1.0] * 10, [1.0] * 10).ece.value == 0


@pytest.mark.parametrize(("sure", "right"), [([0.4], [1]), ([0.6], [])])
def test_calibration_of_what_is_no_confidence(sure, right):
    with pytest.raises(ValueError):
        calibration(sure, right)


@given(st.lists(st.tuples(st.floats(0.5, 1), st.sampled_from([0, 0.5, 1])), min_size=1))
def test_calibration_is_a_mean_distance(labels):
    found = calibration([p for p, _ in labels], [right for _, right in labels])
    assert 0 <= found.ece.value <= 1
    assert sum(b.right.n for b in found.bins) == len(labels)
    for each in found.bins:
        assert each.low - 1e-9 <= each.sure <= each.high + 1e-9


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.integers(0, 9)), max_size=20))
def test_clusters_add_up_to_the_same_sums(rows):
    parts = np.array([[value, 1.0] for _, value in rows]).reshape(-1, 2)
    found = by_cluster(parts, [name for name, _ in rows])
    assert len(found) == len({name for name, _ in rows})
    assert found.sum(axis=0).tolist() == parts.sum(axis=0).tolist()


def test_items_that_repeat_their_cluster_say_no_more_than_it_does():
    once = [("A", "A"), ("B", "B"), ("A", "B"), ("B", "A"), ("A", "A"), ("B", "B"), ("B", "B")]
    whole = kappa_estimate(once)
    many = kappa_estimate(once * 6, clusters=[at % 7 for at in range(42)])
    assert (many.value, many.n) == (pytest.approx(whole.value), 42)
    assert (many.low, many.high) == pytest.approx((whole.low, whole.high))
