"""Shares and agreement of people's answers, each with its interval."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from charter.agreement import by_cluster, resampled
from charter.stats import Estimate

__all__ = ["Weighted", "exact_share", "fleiss", "weighted_mean"]

Numbers = NDArray[np.float64]
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Weighted:
    """A weighted share and how much the weights leave of the sample.

    Attributes:
        estimate: the share; `n` counts the rows.
        effective_n: as many independent, equally weighted rows would be worth the same.
    """

    estimate: Estimate
    effective_n: float


def exact_share(hits: int, n: int, confidence: float = 0.95) -> Estimate:
    """A proportion with its exact interval (Clopper and Pearson 1934, Biometrika 26).

    It never covers less than it says, for the few test rows that one reviewer sees.

    Args:
        hits: how many are counted.
        n: of how many; 0 gives an estimate without figures.
        confidence: two-sided coverage.

    Raises:
        ValueError: the counts are not of one sample.
    """
    from scipy.stats import beta

    if not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is no proportion")
    if n == 0:
        return Estimate(None, None, None, 0)
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return Estimate(hits / n, low, high, n)


def weighted_mean(
    scores: Sequence[float],
    weights: Sequence[float],
    clusters: Sequence[Hashable],
    confidence: float = 0.95,
) -> Weighted:
    """The mean of scores over all rows, from a sample drawn with known probabilities.

    The ratio estimator of Hajek (1971), the Horvitz-Thompson total of the scores over that of
    ones, with the linearised variance between clusters (Sarndal, Swensson and Wretman 1992,
    sections 5.7 and 5.8; no correction for a finite population, as people's answers vary too).
    The interval is Wilson's for as many rows as that variance is worth (Korn and Graubard 1998,
    Survey Methodology 24, with Student's quantile), never more than the weights leave of the
    clusters (Kish 1965): where all agree there is no variance to go by, and where the heavy rows
    agree there is too little.

    Args:
        scores: of each row, in [0, 1].
        weights: one over the probability with which each row was drawn.
        clusters: of each row, such as its prompt.
        confidence: two-sided coverage.

    Returns:
        The share. Without rows no figures; with one cluster no interval.

    Raises:
        ValueError: the sequences differ in length, a score is outside [0, 1], or a weight is
            not a finite number above 0.
    """
    y, w = np.asarray(scores, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    _check(y, w, clusters)
    n = len(y)
    if not n:
        return Weighted(Estimate(None, None, None, 0), 0.0)
    # Divided at the end: where all agree the share is exactly 1.
    p = min(max(float((w * y).sum() / w.sum()), 0.0), 1.0)
    w = w / w.sum()
    sums = by_cluster(np.column_stack([w * (y - p), w]), clusters)
    groups = len(sums)
    kish = float(1 / (sums[:, 1] ** 2).sum())
    if groups == 1:
        return Weighted(Estimate(p, None, None, n), 1.0)
    variance = float((sums[:, 0] ** 2).sum()) * groups / (groups - 1)
    worth = kish if variance < _TINY else min(p * (1 - p) / variance, kish)
    worth = max(worth, 1.0)
    low, high = _wilson(p, worth, _student(confidence, kish - 1))
    return Weighted(Estimate(p, low, high, n), worth)


def _check(y: Numbers, w: Numbers, clusters: Sequence[Hashable]) -> None:
    if not len(y) == len(w) == len(clusters):
        raise ValueError(f"{len(y)} scores, {len(w)} weights, {len(clusters)} clusters")
    if not ((y >= 0) & (y <= 1)).all():
        raise ValueError("scores are in [0, 1]")
    if not (np.isfinite(w) & (w > 0)).all():
        raise ValueError("weights are finite and above 0")


def _student(confidence: float, freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + confidence) / 2, max(freedom, 1.0)))


def _wilson(p: float, n: float, z: float) -> tuple[float, float]:
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if p == 0 else min(max(0.0, centre - half), p)
    high = 1.0 if p == 1 else max(min(1.0, centre + half), p)
    return low, high


def fleiss(
    units: Sequence[Sequence[Hashable]], clusters: Sequence[Hashable], seed: int = 0
) -> Estimate:
    """Fleiss' kappa (1971, Psychological Bulletin 76) over rows with as many labels each.

    It is defined for one number of labels a row: the rows with the number that most rows have
    count, two or more; the greater number where there are as many of both.

    Args:
        units: the labels that each row got.
        clusters: of each row; they are resampled for the interval.
        seed: of the bootstrap.

    Returns:
        The estimate; `n` counts the rows. No value where it is not defined.
    """
    sizes = Counter(len(unit) for unit in units if len(unit) > 1)
    if not sizes:
        return Estimate(None, None, None, 0)
    m = max(sizes, key=lambda size: (sizes[size], size))
    used = [at for at, unit in enumerate(units) if len(unit) == m]
    codes = {x: at for at, x in enumerate(dict.fromkeys(x for at in used for x in units[at]))}
    k = len(codes)
    parts = np.zeros((len(used), k + 2))
    for row, at in enumerate(used):
        for label in units[at]:
            parts[row, codes[label]] += 1
    parts[:, k] = ((parts[:, :k] ** 2).sum(axis=1) - m) / (m * (m - 1))
    parts[:, k + 1] = 1

    def kappa(sums: Numbers) -> Numbers:
        rows = sums[:, k + 1]
        chance = ((sums[:, :k] / (rows * m)[:, None]) ** 2).sum(axis=1)
        beyond = 1 - chance
        defined = beyond > 1e-9
        value: Numbers = np.where(
            defined, (sums[:, k] / rows - chance) / np.where(defined, beyond, 1), np.nan
        )
        return value

    found = resampled(by_cluster(parts, [clusters[at] for at in used]), kappa, seed=seed)
    return replace(found, n=len(used))
