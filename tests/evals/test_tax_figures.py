"""The statistics of the alignment tax, against closed forms, scipy and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from charter.evals.tax import tax_report
from charter.evals.tax_figures import Leaf, Score, Tax, paired_tax, scored_tax


def _score(values: list[float] | np.ndarray, **fields: object) -> Score:
    items = {str(i): float(value) for i, value in enumerate(values)}
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1) / math.sqrt(len(items)))
    return Score(mean, error, len(items), {"t": Leaf(items, 1.0)}, **fields)  # type: ignore[arg-type]


def _paired(base: list[float] | np.ndarray, aligned: list[float] | np.ndarray) -> Tax:
    return paired_tax(_score(base), _score(aligned), name="t")


def _draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Right and wrong answers that hang together: 64 % right before, 58 % after."""
    random = np.random.default_rng(seed)
    base = random.random(n) < 0.64
    aligned = np.where(random.random(n) < 0.8, base, random.random(n) < 0.34)
    return base.astype(float), aligned.astype(float)


def _closed_error(base: np.ndarray, aligned: np.ndarray) -> float:
    """Standard error of 100 (1 - mean(a) / mean(b)) over pairs, by linearisation."""
    ratio = aligned.mean() / base.mean()
    return float(100 * np.std(aligned - ratio * base, ddof=1) / base.mean() / len(base) ** 0.5)


def test_the_paired_interval_is_that_of_the_linearised_ratio_and_of_scipys_bootstrap():
    base, aligned = _draw(1500, 1)
    found = _paired(base, aligned)
    closed = _closed_error(base, aligned)
    assert found.value == pytest.approx(100 * (1 - aligned.mean() / base.mean()))
    assert found.standard_error == pytest.approx(closed, rel=0.04)
    assert found.high - found.low == pytest.approx(2 * 1.96 * closed, rel=0.05)
    scipys = stats.bootstrap(
        (base, aligned),
        lambda b, a, axis: 100 * (1 - a.mean(axis=axis) / b.mean(axis=axis)),
        paired=True,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(0),
    )
    assert found.standard_error == pytest.approx(scipys.standard_error, rel=0.05)
    assert found.low == pytest.approx(scipys.confidence_interval.low, abs=0.1 * closed * 1.96)
    assert found.high == pytest.approx(scipys.confidence_interval.high, abs=0.1 * closed * 1.96)


def test_scores_that_are_no_right_or_wrong_have_the_same_interval():
    random = np.random.default_rng(3)
    base = random.beta(4, 3, 400)
    aligned = np.clip(base + random.normal(-0.02, 0.1, 400), 0, 1)
    found = _paired(base, aligned)
    assert found.standard_error == pytest.approx(_closed_error(base, aligned), rel=0.05)
    assert found.test == "permutation of signs"
    assert found.p == pytest.approx(stats.ttest_rel(base, aligned).pvalue, abs=0.01)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    truth = 100 * (1 - (0.8 * 0.64 + 0.2 * 0.34) / 0.64)
    held = 0
    for seed in range(300):
        found = _paired(*_draw(250, seed))
        held += found.low <= truth <= found.high
    assert 0.915 <= held / 300 <= 0.98


def test_mcnemar_is_the_binomial_of_the_items_that_changed():
    base = [1.0] * 11 + [0.0] * 3 + [1.0] * 6
    aligned = [0.0] * 11 + [1.0] * 3 + [1.0] * 6
    found = _paired(base, aligned)
    assert (found.lost, found.gained, found.test) == (11, 3, "McNemar, exact")
    tail = sum(math.comb(14, k) for k in range(4)) / 2**14
    assert found.p == pytest.approx(2 * tail)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_scipys_binomial_test(lost: int, gained: int):
    base = [1.0] * lost + [0.0] * gained + [1.0] * 2
    aligned = [0.0] * lost + [1.0] * gained + [1.0] * 2
    expected = stats.binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
    assert _paired(base, aligned).p == pytest.approx(expected)


def test_the_permutation_test_is_scipys():
    base = np.array([0.9, 0.4, 0.8, 0.7, 0.55, 0.6, 0.95, 0.3, 0.81, 0.66])
    aligned = np.array([0.7, 0.45, 0.6, 0.5, 0.5, 0.62, 0.7, 0.31, 0.6, 0.5])
    exact = stats.permutation_test(
        (base - aligned,), lambda x, axis: x.mean(axis=axis), permutation_type="samples"
    )
    assert _paired(base, aligned).p == pytest.approx(exact.pvalue, abs=0.008)


def test_a_benchmark_of_unequal_tasks_is_weighted_as_its_score():
    one = {str(i): float(i < 30) for i in range(40)}
    two = {str(i): float(i < 5) for i in range(10)}
    worse = {**two, "0": 0.0}
    base = Score((30 / 40 + 5 / 10) / 2, 0.1, 50, {"a": Leaf(one, 0.5), "b": Leaf(two, 0.5)})
    after = Score((30 / 40 + 4 / 10) / 2, 0.1, 50, {"a": Leaf(one, 0.5), "b": Leaf(worse, 0.5)})
    found = paired_tax(base, after, name="t")
    assert found.value == pytest.approx(100 * (1 - 0.575 / 0.625))
    assert found.test == "permutation of signs" and found.p == 1.0  # one item: either sign
    # Only the changed item moves the difference: 10 % of a task that is half of the score.
    assert found.low == 0.0 and found.high > found.value


def test_the_unpaired_interval_is_that_of_simulated_scores():
    base, aligned = Score(0.652, 0.012, 1000), Score(0.638, 0.015, 900)
    found = scored_tax(base, aligned)
    random = np.random.default_rng(0)
    b, a = random.normal(0.652, 0.012, 200_000), random.normal(0.638, 0.015, 200_000)
    assert found.standard_error == pytest.approx(np.std(100 * (1 - a / b)), rel=0.01)
    z = (0.652 - 0.638) / math.hypot(0.012, 0.015)
    assert found.p == pytest.approx(2 * stats.norm.sf(z)) and found.n == 900
    percent = scored_tax(Score(65.2, 1.2), Score(63.8, 1.5))
    assert percent.low == pytest.approx(found.low) and percent.p == pytest.approx(found.p)


def test_equal_models_cost_nothing_and_divide_by_nothing():
    base, _ = _draw(100, 0)
    found = _paired(base, base)
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert math.copysign(1, found.value) == math.copysign(1, found.low) == 1
    assert scored_tax(Score(0.5, 0.0), Score(0.5, 0.0)).p == 1.0
    rare = _paired([1.0] + [0.0] * 4, [1.0] + [0.0] * 4)
    assert (rare.value, rare.low, rare.high, rare.standard_error) == (0.0, 0.0, 0.0, 0.0)
    # As many right, of other items: no tax, but an interval.
    moved = _paired(base, base[::-1])
    assert moved.value == 0.0 and moved.low < 0 < moved.high


NONE = [
    (Score(0.0), Score(0.4), "the base scores zero"),
    (Score(-1.0), Score(0.4), "below zero"),
    (Score(None, reason="NaN in the file"), Score(0.4), "no score: NaN in the file"),
    (Score(0.4), Score(None), "the aligned model has no score"),
    (Score(float("nan")), Score(0.4), "is nan"),
    (Score(0.4), Score(float("inf")), "is inf"),
    (_score([0.0, 0.0]), _score([1.0, 0.0]), "the base scores zero"),
]


@pytest.mark.parametrize(("base", "aligned", "said"), NONE)
def test_what_has_no_percentage_says_why(base: Score, aligned: Score, said: str):
    found = paired_tax(base, aligned, name="t")
    assert found.value is found.low is found.high is found.beyond_noise is None
    assert said in found.reason


def test_a_base_near_zero_has_a_tax_but_no_interval():
    found = _paired([1.0] + [0.0] * 19, [1.0, 1.0] + [0.0] * 18)
    assert found.value == pytest.approx(-100) and found.low is None
    assert "too near zero" in found.reason and found.p == 1.0


def test_only_items_that_both_answered_count():
    base = Score(0.5, 0.2, 4, {"t": Leaf({"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0}, 1.0)})
    other = Score(2 / 3, 0.3, 3, {"t": Leaf({"b": 1.0, "c": 1.0, "e": 0.0}, 1.0)})
    found = paired_tax(base, other, name="t")
    assert (found.n, found.unmatched) == (2, 3)
    assert (found.base.value, found.aligned.value, found.value) == (0.5, 1.0, -100.0)
    apart = paired_tax(base, _score([1.0, 0.0]), name="t")
    assert apart.method.startswith("delta") and "no item" in apart.reason


def test_one_item_that_both_answered_has_no_spread():
    base = Score(0.5, 0.2, 2, {"t": Leaf({"a": 1.0, "b": 0.0}, 1.0)})
    found = paired_tax(base, Score(1.0, None, 1, {"t": Leaf({"a": 1.0}, 1.0)}), name="t")
    assert (found.n, found.base.standard_error, found.value) == (1, 0.0, 0.0)


def test_a_score_in_json_has_the_interval_of_its_error():
    assert Score(60.0, 2.0, 600).as_json() == {
        "value": 60.0,
        "low": pytest.approx(60 - 1.96 * 2, abs=1e-3),
        "high": pytest.approx(60 + 1.96 * 2, abs=1e-3),
        "n": 600,
        "standard_error": 2.0,
    }
    assert Score(60.0).as_json()["low"] is None


def test_without_errors_each_score_stands_in_its_place():
    found = scored_tax(Score(0.5), Score(0.4, 0.1))
    assert (found.base.value, found.aligned.value, found.low) == (0.5, 0.4, None)


def test_less_is_better_for_perplexity():
    base = Score(10.0, 0.1, higher_is_better=False)
    assert scored_tax(base, Score(12.0, 0.1, higher_is_better=False)).value == pytest.approx(20)
    items = _score([2.0, 4.0, 6.0], higher_is_better=False)
    found = paired_tax(items, _score([3.0, 5.0, 6.0], higher_is_better=False), name="t")
    assert found.value == pytest.approx(100 * 2 / 12) and (found.lost, found.gained) == (2, 0)
    assert found.low <= found.value <= found.high


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40), st.randoms())
def test_the_order_of_items_does_not_matter(pairs: list[tuple[bool, bool]], random: object):
    one = {str(i): float(b) for i, (b, _) in enumerate(pairs)}
    two = {str(i): float(a) for i, (_, a) in enumerate(pairs)}
    keys = list(two)
    random.shuffle(keys)  # type: ignore[attr-defined]
    base = Score(sum(one.values()) / len(one), None, len(one), {"t": Leaf(one, 1.0)})
    aligned = Score(sum(two.values()) / len(two), None, len(two), {"t": Leaf(two, 1.0)})
    shuffled = Score(aligned.value, None, aligned.n, {"t": Leaf({k: two[k] for k in keys}, 1.0)})
    found = paired_tax(base, aligned, name="t")
    assert found.as_json() == paired_tax(base, shuffled, name="t").as_json()
    if found.low is not None:
        assert found.low <= found.high <= 100 and found.lost + found.gained <= found.n


PUBLISHED = {"MMLU": 65.2, "HumanEval": 42.1, "GSM8K": 56.8, "TruthfulQA": 38.5, "HellaSwag": 78.3}
AFTER = {"MMLU": 63.8, "HumanEval": 40.5, "GSM8K": 58.2, "TruthfulQA": 52.1, "HellaSwag": 76.9}


def test_the_published_numbers():
    base = {name: Score(value) for name, value in PUBLISHED.items()}
    after = {name: Score(value) for name, value in AFTER.items()}
    found = tax_report(("base", base), [("aligned", after)])
    model = found.models[0]
    shown = {name: round(each.value, 1) for name, each in model.taxes.items()}
    assert list(shown.values()) == [2.1, 3.8, -2.5, -35.3, 1.8] and list(shown) == list(PUBLISHED)
    assert round(model.average.value, 1) == -6.0 and model.average.n == 5
    assert model.average.low is None
    assert any("hides a trade" in note and "TruthfulQA" in note for note in found.notes)


def test_the_average_has_the_error_of_independent_benchmarks_and_leaves_out_what_has_none():
    base = {"a": Score(0.5, 0.02), "b": Score(0.8, 0.01), "c": Score(0.0)}
    after = {"a": Score(0.4, 0.02), "b": Score(0.8, 0.01), "d": Score(0.3)}
    found = tax_report(("base", base), [("m", after), ("n", base)])
    first = found.models[0]
    errors = [first.taxes[name].standard_error for name in "ab"]
    half = 1.959964 * math.hypot(*errors) / 2
    assert first.average.value == pytest.approx(10) and first.average.n == 2
    assert first.average.high - first.average.value == pytest.approx(half)
    assert "not in what was given" in first.taxes["c"].reason + first.taxes["d"].reason
    assert any("2 of 4" in note for note in found.notes)
    # One family over both models: four tests, of which three find nothing.
    assert first.taxes["a"].p_holm == pytest.approx(4 * first.taxes["a"].p)
    assert first.taxes["a"].beyond_noise and first.taxes["b"].beyond_noise is False
    assert [each.average.value for each in found.models][1] == 0.0
