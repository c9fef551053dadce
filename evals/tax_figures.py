"""What alignment cost on one benchmark: the tax in percent of the base, with its uncertainty.

The tax is 100 (base - aligned) / base: positive where the aligned model does worse (for metrics
where less is better, the sign is turned). Where both models answered the same items, the items
are resampled in pairs; where only scores with standard errors are known, the delta method for a
ratio of independent means is used (Casella and Berger 2002, section 5.5.4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

from charter.rows import draw_int

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LEVEL", "Leaf", "Score", "Tax", "paired_tax", "scored_tax"]

LEVEL: Final = 0.95
_DRAWS: Final = 10_000
_MOST: Final = 20_000_000  # numbers drawn at once
_UNDEFINED: Final = 0.001  # share of resamples with a base of zero that still leaves an interval


@dataclass(frozen=True, slots=True)
class Leaf:
    """The items of one task of a benchmark, for one model.

    Attributes:
        values: the metric by the item's key.
        weight: of the task's mean in the benchmark's score; all weights sum to 1.
    """

    values: Mapping[str, float]
    weight: float


@dataclass(frozen=True, slots=True)
class Score:
    """What one model reached on one benchmark.

    Attributes:
        value: the score, in the scale it was given in; None where there is none.
        standard_error: of it, in the same scale.
        n: how many items.
        leaves: the items by task, where the score is a mean of them.
        reason: why there is no score, or why there are no items.
        higher_is_better: False for the likes of perplexity.
    """

    value: float | None
    standard_error: float | None = None
    n: int | None = None
    leaves: Mapping[str, Leaf] | None = None
    reason: str = ""
    higher_is_better: bool = True

    def as_json(self) -> dict[str, Any]:
        """`{"value", "low", "high", "n"}`, the interval from the standard error, and that error."""
        low = high = None
        if self.value is not None and self.standard_error is not None:
            half = NormalDist().inv_cdf((1 + LEVEL) / 2) * self.standard_error
            low, high = self.value - half, self.value + half
        found = {"value": self.value, "low": low, "high": high, "n": self.n}
        return {**found, "standard_error": self.standard_error}


@dataclass(frozen=True, slots=True)
class Tax:
    """The tax on one benchmark.

    Attributes:
        base: the base's score, on the items that count.
        aligned: the aligned model's, on the same.
        value: percent of the base; None where it is not defined.
        low: lower end of the 95 % interval.
        high: upper end.
        n: items that count (pairs), where known.
        standard_error: of the tax, in percent.
        p: probability of a difference as large where there is none.
        p_holm: the same, corrected for all benchmarks and models of the report (Holm 1979).
        method: how the interval was made.
        test: how `p` was.
        reason: why something is missing.
        unmatched: items that only one of the two models has.
        lost: items on which the aligned model does worse.
        gained: items on which it does better.
    """

    base: Score
    aligned: Score
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    standard_error: float | None = None
    p: float | None = None
    p_holm: float | None = None
    method: str = "none"
    test: str = "none"
    reason: str = ""
    unmatched: int = 0
    lost: int | None = None
    gained: int | None = None

    @property
    def beyond_noise(self) -> bool | None:
        """Whether the change is more than chance after correction; None where not tested."""
        return None if self.p_holm is None else self.p_holm < 1 - LEVEL

    def as_json(self) -> dict[str, Any]:
        """The estimate and all beside it."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "standard_error": self.standard_error,
            "base": self.base.as_json(),
            "aligned": self.aligned.as_json(),
            "p": self.p,
            "p_holm": self.p_holm,
            "beyond_noise": self.beyond_noise,
            "method": self.method,
            "test": self.test,
            "reason": self.reason or None,
            "unmatched": self.unmatched,
            "lost": self.lost,
            "gained": self.gained,
        }


def _undefined(base: Score, aligned: Score) -> Tax | None:
    """The tax where there is none, and why."""
    for score, whose in ((base, "the base"), (aligned, "the aligned model")):
        if score.value is None:
            reason = f"{whose} has no score" + (f": {score.reason}" if score.reason else "")
            return Tax(base, aligned, reason=reason)
        if not math.isfinite(score.value):
            return Tax(base, aligned, reason=f"the score of {whose} is {score.value}")
    assert base.value is not None
    if base.value <= 0:
        what = "zero" if base.value == 0 else "below zero"
        return Tax(base, aligned, reason=f"the base scores {what}: no percentage of it")
    return None


def _percent(base: float, aligned: float, higher_is_better: bool) -> float:
    tax = 100 * (1 - aligned / base)
    return (tax if higher_is_better else -tax) + 0.0  # no minus zero


def scored_tax(base: Score, aligned: Score) -> Tax:
    """The tax from two scores alone, as of different items; an interval where both have errors.

    With b and a the scores and s their standard errors, the variance of 100 (1 - a/b) is
    100^2 ((s_a / b)^2 + (a s_b / b^2)^2). Models that answered the same items make errors on
    the same ones: this interval is then too wide. The test is z on the difference.
    """
    undefined = _undefined(base, aligned)
    if undefined is not None:
        return undefined
    assert base.value is not None and aligned.value is not None
    value = _percent(base.value, aligned.value, base.higher_is_better)
    counts = [each.n for each in (base, aligned) if each.n is not None]
    n = min(counts) if len(counts) == 2 else None
    if base.standard_error is None or aligned.standard_error is None:
        reason = "no standard errors given: no interval"
        return Tax(base, aligned, value, n=n, reason=base.reason or aligned.reason or reason)
    ratio = aligned.value / base.value
    error = 100 * math.hypot(aligned.standard_error, ratio * base.standard_error) / base.value
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
    spread = math.hypot(base.standard_error, aligned.standard_error)
    difference = abs(base.value - aligned.value)
    # Two scores without any error are equal or they are not.
    p = 2 * NormalDist().cdf(-difference / spread) if spread else float(difference == 0)
    return Tax(
        base,
        aligned,
        value,
        value - half,
        value + half,
        n,
        error,
        p,
        method="delta method, unpaired",
        test="z of the difference, unpaired",
        reason=base.reason or aligned.reason,
    )


def paired_tax(base: Score, aligned: Score, *, name: str, seed: int = 0) -> Tax:
    """The tax from the items that both models answered.

    The interval is a percentile bootstrap over items (Efron and Tibshirani 1993, chapter 13),
    drawn within each task of a benchmark, base and aligned together. The test is McNemar's, exact
    (Edwards 1948 without its approximation), where items are right or wrong and weigh the same;
    else a permutation of signs of the items' differences.

    Args:
        base: of the base; falls back to `scored_tax` where it has no items.
        aligned: of the aligned model.
        name: of the benchmark, for the draws.
        seed: of the draws.
    """
    undefined = _undefined(base, aligned)
    if undefined is not None:
        return undefined
    if base.leaves is None or aligned.leaves is None:
        return scored_tax(base, aligned)
    pairs, unmatched = _matched(base.leaves, aligned.leaves)
    if not pairs:
        found = scored_tax(base, aligned)
        return replace(found, reason="no item was answered by both", unmatched=unmatched)
    import numpy as np

    random = np.random.default_rng(draw_int(seed, name, "tax", 0))
    both = [_Pairs.of(values, weight) for values, weight in pairs]
    scale = sum(each.weight for each in both)
    means = sum(each.weight / scale * each.values.mean(axis=0) for each in both)
    n = sum(len(each.values) for each in both)
    # With items left out, the scores are those of the items that both have.
    if unmatched:
        base, aligned = _on_pairs(base, both, scale, 0), _on_pairs(aligned, both, scale, 1)
    else:
        # Rounding apart these are the scores; the ratio is taken of what is resampled.
        base, aligned = replace(base, n=n), replace(aligned, n=n)
    found = Tax(base, aligned, n=n, unmatched=unmatched)
    found = replace(found, **_changes(both, scale, base.higher_is_better, random))
    if means[0] <= 0:
        return replace(found, reason="the base scores zero on the items both have")
    value = _percent(float(means[0]), float(means[1]), base.higher_is_better)
    found = replace(found, value=value, method="paired bootstrap over items")
    if not found.lost and not found.gained:
        # No resample differs either, even where its base is zero.
        return replace(found, low=0.0, high=0.0, standard_error=0.0)
    return replace(found, **_resampled(both, scale, base.higher_is_better, random))


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The pairs of one task: (n, 2), base and aligned, and the task's weight."""

    values: np.ndarray[Any, Any]
    weight: float

    @classmethod
    def of(cls, values: Sequence[tuple[float, float]], weight: float) -> _Pairs:
        import numpy as np

        return cls(np.asarray(values, dtype=float), weight)


def _matched(
    base: Mapping[str, Leaf], aligned: Mapping[str, Leaf]
) -> tuple[list[tuple[list[tuple[float, float]], float]], int]:
    """The pairs of each task that has any, with its weight; and how many items have no partner."""
    pairs, unmatched = [], 0
    empty = Leaf({}, 0.0)
    for task in dict.fromkeys((*base, *aligned)):
        one, other = base.get(task, empty), aligned.get(task, empty)
        keys = [key for key in one.values if key in other.values]
        unmatched += len(one.values) + len(other.values) - 2 * len(keys)
        if keys:
            pairs.append(([(one.values[key], other.values[key]) for key in keys], one.weight))
    return pairs, unmatched


def _on_pairs(score: Score, both: Sequence[_Pairs], scale: float, side: int) -> Score:
    value = variance = 0.0
    for each in both:
        share = each.weight / scale
        value += share * float(each.values[:, side].mean())
        if len(each.values) > 1:
            variance += share**2 * float(each.values[:, side].var(ddof=1)) / len(each.values)
    n = sum(len(each.values) for each in both)
    return replace(score, value=value, standard_error=math.sqrt(variance), n=n)


def _changes(
    both: Sequence[_Pairs], scale: float, higher_is_better: bool, random: np.random.Generator
) -> dict[str, Any]:
    """Items lost and gained, and the test whether there are more of one."""
    import numpy as np
    from scipy.special import bdtr

    worse = np.concatenate([each.values[:, 0] - each.values[:, 1] for each in both])
    worse = worse if higher_is_better else -worse
    lost, gained = int((worse > 0).sum()), int((worse < 0).sum())
    counts = {"lost": lost, "gained": gained}
    if not lost + gained:
        return {**counts, "p": 1.0, "test": "no item differs"}
    # What one item adds to the score; the same for all in most benchmarks.
    adds = np.concatenate(
        [np.full(len(each.values), each.weight / scale / len(each.values)) for each in both]
    )
    binary = all(bool(np.isin(each.values, (0.0, 1.0)).all()) for each in both)
    if binary and np.allclose(adds, adds[0], rtol=1e-9):
        # Both tails of a binomial of a half; scipy.stats says the same and takes 2 s to import.
        p = min(1.0, 2 * float(bdtr(min(lost, gained), lost + gained, 0.5)))
        return {**counts, "p": p, "test": "McNemar, exact"}
    differences = (worse * adds)[worse != 0]
    seen = abs(differences.sum()) * (1 - 1e-12)
    size = max(1, _MOST // len(differences))
    beyond = done = 0
    while done < _DRAWS:
        rows = min(size, _DRAWS - done)
        signs = random.integers(0, 2, (rows, len(differences)), dtype=np.int8) * 2.0 - 1
        beyond += int((np.abs(signs @ differences) >= seen).sum())
        done += rows
    return {**counts, "p": (1 + beyond) / (1 + _DRAWS), "test": "permutation of signs"}


def _resampled(
    both: Sequence[_Pairs], scale: float, higher_is_better: bool, random: np.random.Generator
) -> dict[str, Any]:
    """Interval and standard error of the tax."""
    import numpy as np

    means = np.zeros((_DRAWS, 2))
    for each in both:
        cells, counts = np.unique(each.values, axis=0, return_counts=True)
        n, size = len(each.values), max(1, _MOST // len(cells))
        for start in range(0, _DRAWS, size):
            part = means[start : start + size]
            drawn = random.multinomial(n, counts / n, size=len(part))
            part += each.weight / scale * (drawn @ cells) / n
    defined = means[means[:, 0] > 0]
    if len(defined) < (1 - _UNDEFINED) * _DRAWS:
        reason = "the base is too near zero: resamples of it without any score, no interval"
        return {"reason": reason}
    taxes = 100 * (1 - defined[:, 1] / defined[:, 0])
    taxes = taxes if higher_is_better else -taxes
    low, high = np.quantile(taxes, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return {
        "low": float(low) + 0.0,
        "high": float(high) + 0.0,
        "standard_error": float(taxes.std(ddof=1)),
    }
