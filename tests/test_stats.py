"""Proportions and agreement, against published and hand-made figures and their own laws."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.stats import Estimate, cohen_kappa, holm, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(successes, n, low, high):
    found = wilson(successes, n)
    assert found.value == successes / n
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)
    assert found.n == n


samples = st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(samples, st.floats(0.01, 0.999))
def test_wilson_is_ordered_and_symmetric(sample, confidence):
    successes, n = sample
    found = wilson(successes, n, confidence)
    assert 0 <= found.low <= found.value <= found.high <= 1
    mirrored = wilson(n - successes, n, confidence)
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-12)
    assert found.high == pytest.approx(1 - mirrored.low, abs=1e-12)


@given(samples)
def test_more_confidence_is_a_wider_interval(sample):
    narrow, wide = wilson(*sample, 0.8), wilson(*sample, 0.99)
    assert wide.low <= narrow.low <= narrow.high <= wide.high


def test_nothing_observed_is_no_figure():
    assert wilson(0, 0) == Estimate(None, None, None, 0)
    assert wilson(0, 0).as_json() == {"value": None, "low": None, "high": None, "n": 0}
    assert str(wilson(0, 0)) == "no figure (n = 0)"
    assert str(wilson(1, 2)) == "0.500 [0.095, 0.905] (n = 2)"


@pytest.mark.parametrize("counts", [(3, 2), (-1, 2), (0, -1)])
def test_counts_that_are_no_proportion(counts):
    with pytest.raises(ValueError, match="is no proportion"):
        wilson(*counts)


@pytest.mark.parametrize("confidence", [0, 1, -1, 2])
def test_confidence_is_a_probability(confidence):
    with pytest.raises(ValueError, match="outside"):
        wilson(1, 2, confidence)


def test_kappa_of_a_known_table():
    # 20 both yes, 5 only a, 10 only b, 15 both no: 0.7 agreed, 0.5 by chance.
    a = ["y"] * 25 + ["n"] * 25
    b = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    assert cohen_kappa(a, b) == pytest.approx(0.4)


def test_kappa_is_none_where_it_is_not_defined():
    assert cohen_kappa([], []) is None
    assert cohen_kappa(["y", "y"], ["y", "y"]) is None
    with pytest.raises(ValueError, match="2 labels against 1"):
        cohen_kappa(["y", "n"], ["y"])


labels = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1)


@given(labels)
def test_kappa_has_its_bounds_and_does_not_care_who_is_who(pairs):
    a, b = zip(*pairs, strict=True)
    kappa = cohen_kappa(a, b)
    assert kappa is None or -1 <= kappa <= 1
    assert cohen_kappa(b, a) == kappa
    assert cohen_kappa(a, a) in (None, 1)
    renamed = {"a": 1, "b": 2, "c": 3}
    again = cohen_kappa([renamed[x] for x in a], [renamed[x] for x in b])
    assert again == kappa or math.isclose(again, kappa)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_makes_sure_and_keeps_the_order(values):
    found = holm(values)
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        assert min(1.0, (len(values) - rank) * values[place]) <= found[place] <= 1.0
        assert found[place] <= min(1.0, len(values) * values[place])  # no worse than Bonferroni
    pairs = sorted(zip(values, found, strict=True))
    assert [p for _, p in pairs] == sorted(found)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
