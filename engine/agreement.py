"""Agreement of raters and calibration, each with its interval.

Figures that are sums over items (tables of two raters, coincidences, bins) are resampled as
sums, so that a bootstrap of 50,000 items takes a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from charter.stats import Estimate, wilson_ends

__all__ = [
    "Bin",
    "Calibration",
    "by_cluster",
    "calibration",
    "clustered",
    "kappa_estimate",
    "krippendorff_estimate",
    "mean_score",
    "resampled",
]

Numbers = NDArray[np.float64]
_FEWEST: Final = 5  # resampling fewer items than this says nothing
_DRAWN: Final = 4_000_000  # draws held at once


def mean_score(scores: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The mean of scores in [0, 1], with Wilson's interval for its value.

    Exact where all scores are 0 or 1. Of all scores with one mean those vary most, so with
    scores between (half a point for a tie) the interval is a little wider than it need be.

    Raises:
        ValueError: a score is outside [0, 1].
    """
    if any(not 0 <= score <= 1 for score in scores):
        raise ValueError("scores are in [0, 1]")
    if not scores:
        return Estimate(None, None, None, 0)
    p = math.fsum(scores) / len(scores)
    return Estimate(p, *wilson_ends(p, len(scores), confidence), len(scores))


def clustered(counts: Sequence[tuple[int, int]], confidence: float = 0.95) -> Estimate:
    """A proportion of observations that come in clusters, such as the votes on one pair.

    Wilson's interval for as many independent observations as the clusters are worth (the design
    effect of Kish 1965, from the variance between clusters; never counted below one).

    Args:
        counts: of each cluster (counted, observed).
        confidence: two-sided coverage.

    Returns:
        The share of all observations; `n` is their number.
    """
    used = [(hits, size) for hits, size in counts if size]
    total = sum(size for _, size in used)
    if not total:
        return Estimate(None, None, None, 0)
    p = sum(hits for hits, _ in used) / total
    worth = float(len(used))
    if 0 < p < 1 and len(used) > 1:
        spread = sum((hits - p * size) ** 2 for hits, size in used) / total**2
        effect = spread * len(used) / (len(used) - 1) / (p * (1 - p) / total)
        worth = total / max(effect, 1.0)
    return Estimate(p, *wilson_ends(p, worth, confidence), total)


def resampled(
    parts: Numbers,
    statistic: Callable[[Numbers], Numbers],
    *,
    seed: int = 0,
    replicates: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """A figure of sums over items, with its percentile bootstrap interval over the items.

    Args:
        parts: what each item adds to the sums, items x sums.
        statistic: the figures of several sums, R x sums to R; NaN where there is none.
        seed: of the draws; the same seed gives the same interval.
        replicates: how many resamples.
        confidence: two-sided coverage.

    Returns:
        The estimate; without an interval where the items are too few, where most resamples
        have no figure, or where all have the same one: certainty that comes of a lack of cases.
    """
    n = len(parts)
    if not n:
        return Estimate(None, None, None, 0)
    value = float(statistic(parts.sum(axis=0)[None])[0])
    if math.isnan(value):
        return Estimate(None, None, None, n)
    if n < _FEWEST:
        return Estimate(value, None, None, n)
    # Items that add the same are drawn together: a table of nine cells is nine draws, not n.
    kinds, inverse = np.unique(parts, axis=0, return_inverse=True)
    share = np.bincount(inverse.ravel(), minlength=len(kinds)) / n
    random = np.random.default_rng(seed)
    found: list[Numbers] = []
    step = max(1, _DRAWN // len(kinds))
    for start in range(0, replicates, step):
        drawn = random.multinomial(n, share, size=min(step, replicates - start))
        found.append(statistic(drawn @ kinds))
    values = np.concatenate(found)
    values = values[~np.isnan(values)]
    if len(values) < replicates / 2 or np.ptp(values) < 1e-12:
        return Estimate(value, None, None, n)
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, min(float(low), value), max(float(high), value), n)


def _codes(labels: Sequence[Hashable]) -> dict[Hashable, int]:
    """A number for each label, in the order in which they first come."""
    return {label: code for code, label in enumerate(dict.fromkeys(labels))}


def by_cluster(parts: Numbers, clusters: Sequence[Hashable] | None) -> Numbers:
    """What each cluster of items adds to the sums, for a bootstrap over clusters.

    Args:
        parts: what each item adds, items x sums.
        clusters: of each item; None where each stands alone.
    """
    if clusters is None:
        return parts
    codes = _codes(clusters)
    order = np.array([codes[cluster] for cluster in clusters], dtype=np.intp)
    sums = np.zeros((len(codes), parts.shape[1]))
    np.add.at(sums, order, parts)
    return sums


def kappa_estimate(
    pairs: Sequence[tuple[Hashable, Hashable]],
    *,
    weights: Sequence[float] | None = None,
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """Cohen's kappa of two raters (see `charter.stats.cohen_kappa`) with a bootstrap interval.

    Args:
        pairs: both labels of each item.
        weights: of each item; None where all count the same.
        clusters: of each item, such as its prompt: clusters are resampled, not items.
        seed: of the bootstrap.
        confidence: two-sided coverage.

    Returns:
        The estimate; `n` counts the items.
    """
    codes = _codes([label for pair in pairs for label in pair])
    k = len(codes)
    cells = np.zeros((len(pairs), k * k))
    for row, (one, other) in enumerate(pairs):
        cells[row, codes[one] * k + codes[other]] = 1 if weights is None else weights[row]

    def kappa(sums: Numbers) -> Numbers:
        # In shares: with weights, whole numbers no longer tell certain agreement by chance.
        table = sums.reshape(-1, k, k) / sums.sum(axis=1)[:, None, None]
        agreed = np.trace(table, axis1=1, axis2=2)
        chance = (table.sum(axis=1) * table.sum(axis=2)).sum(axis=1)
        return _ratio(agreed - chance, 1 - chance)

    parts = by_cluster(cells, clusters)
    return replace(resampled(parts, kappa, seed=seed, confidence=confidence), n=len(pairs))


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    """The quotient; NaN where there is nothing to divide by."""
    defined = np.abs(below) > 1e-9
    return np.where(defined, above / np.where(defined, below, 1), np.nan)


def _pairable(units: Sequence[Sequence[Hashable | None]]) -> dict[int, list[Hashable]]:
    """The values of each unit that has two or more, by its place."""
    found = {at: [value for value in unit if value is not None] for at, unit in enumerate(units)}
    return {at: values for at, values in found.items() if len(values) > 1}


def _coincidences(pairable: Sequence[Sequence[Hashable]]) -> tuple[Numbers, int]:
    """What each unit adds to the coincidence matrix."""
    codes = _codes([value for unit in pairable for value in unit])
    k = len(codes)
    parts = np.zeros((len(pairable), k * k))
    for row, unit in enumerate(pairable):
        counts = np.bincount([codes[value] for value in unit], minlength=k)
        matrix = np.outer(counts, counts) - np.diag(counts)
        parts[row] = matrix.ravel() / (len(unit) - 1)
    return parts, k


def _alpha(sums: Numbers, k: int) -> Numbers:
    matrix = sums.reshape(-1, k, k)
    totals = matrix.sum(axis=2)
    n = totals.sum(axis=1)
    apart = n - np.trace(matrix, axis1=1, axis2=2)
    expected = n * n - (totals * totals).sum(axis=1)
    return 1 - _ratio((n - 1) * apart, expected)


def krippendorff_estimate(
    units: Sequence[Sequence[Hashable | None]],
    *,
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """Krippendorff's alpha for nominal labels, with a bootstrap interval.

    Any number of raters, any values missing (Krippendorff 2011, "Computing Krippendorff's
    Alpha-Reliability", section C). It is not defined without a unit of two labels, or where all
    labels are the same.

    Args:
        units: the labels that each unit got, None where a rater gave none. A unit with fewer
            than two labels cannot agree or disagree and does not count.
        clusters: of each unit, such as its prompt: clusters are resampled, not units.
        seed: of the bootstrap.
        confidence: two-sided coverage.

    Returns:
        The estimate; `n` counts the units with two labels.
    """
    used = _pairable(units)
    parts, k = _coincidences(list(used.values()))
    over = None if clusters is None else [clusters[at] for at in used]
    estimate = resampled(
        by_cluster(parts, over), lambda sums: _alpha(sums, k), seed=seed, confidence=confidence
    )
    return replace(estimate, n=len(parts))


@dataclass(frozen=True, slots=True)
class Bin:
    """The labels of one range of confidence.

    Attributes:
        low: lower edge, inclusive.
        high: upper edge, inclusive in the last bin alone.
        sure: mean confidence in the bin.
        right: share that was right.
    """

    low: float
    high: float
    sure: float
    right: Estimate


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far confidence and correctness are apart.

    Attributes:
        ece: expected calibration error: the mean distance of the two over bins, by their size.
        bins: those with labels in them, ascending.
    """

    ece: Estimate
    bins: tuple[Bin, ...]


def calibration(
    sure: Sequence[float], right: Sequence[float], *, bins: int = 10, seed: int = 0
) -> Calibration:
    """Expected calibration error over bins of equal width from 0.5 to 1 (Guo et al. 2017, 3).

    A few labels in many bins look ill calibrated by chance alone: read it with its `n`.

    Args:
        sure: confidence in each label, the probability of its winner, in [0.5, 1].
        right: 1 where the label was right, 0 where it was wrong, 0.5 for a tie.
        bins: how many.
        seed: of the bootstrap.

    Raises:
        ValueError: a confidence is outside [0.5, 1], or the sequences differ in length.
    """
    if len(sure) != len(right):
        raise ValueError(f"{len(sure)} confidences for {len(right)} labels")
    if any(not 0.5 <= p <= 1 for p in sure):
        raise ValueError("the winner's probability is in [0.5, 1]")
    n = len(sure)
    # A hair below an edge counts as on it: 0.6 and 1 - 0.4 fall into the same bin.
    place = [min(int((p - 0.5) * 2 * bins + 1e-9), bins - 1) for p in sure]
    parts = np.zeros((n, bins + 1))
    for row, (at, p, hit) in enumerate(zip(place, sure, right, strict=True)):
        parts[row, at] = p - hit
        parts[row, bins] = 1

    def ece(sums: Numbers) -> Numbers:
        gaps: Numbers = np.abs(sums[:, :bins]).sum(axis=1)
        return gaps / sums[:, bins]

    found = []
    for at in sorted(set(place)):
        inside = [i for i in range(n) if place[i] == at]
        found.append(
            Bin(
                low=0.5 + at / (2 * bins),
                high=0.5 + (at + 1) / (2 * bins),
                sure=math.fsum(sure[i] for i in inside) / len(inside),
                right=mean_score([right[i] for i in inside]),
            )
        )
    return Calibration(resampled(parts, ece, seed=seed), tuple(found))
