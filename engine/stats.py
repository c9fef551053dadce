"""Small statistics with their uncertainty: proportions and agreement. Standard library only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypedDict

__all__ = ["Estimate", "EstimateJson", "cohen_kappa", "holm", "wilson", "wilson_ends"]


class EstimateJson(TypedDict):
    """An estimate as every command prints it with `--json`."""

    value: float | None
    low: float | None
    high: float | None
    n: int | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval and the number of observations behind it.

    Attributes:
        value: the estimate, or None where there was nothing to estimate from.
        low: lower end of the interval.
        high: upper end of the interval.
        n: how many observations.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def as_json(self) -> EstimateJson:
        """`{"value", "low", "high", "n"}`, as the design asks of every command."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}

    def __str__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return f"no figure (n = {self.n})"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n = {self.n})"


def wilson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    """A proportion with its Wilson score interval.

    Chosen over the textbook (Wald) interval because it keeps its coverage for the small
    samples and extreme proportions that spot-checks and refusal counts have (Wilson 1927,
    JASA 22; Brown, Cai and DasGupta 2001, Statistical Science 16, section 3.1.1).

    Args:
        successes: how many of the observations are counted.
        n: how many observations; 0 gives an estimate without figures.
        confidence: two-sided coverage, in (0, 1).

    Raises:
        ValueError: when the counts are not of one sample, or the confidence is outside (0, 1).
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no proportion")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is outside (0, 1)")
    if n == 0:
        return Estimate(None, None, None, 0)
    p = successes / n
    return Estimate(p, *wilson_ends(p, n, confidence), n)


def wilson_ends(p: float, n: float, confidence: float) -> tuple[float, float]:
    """The ends of Wilson's interval for a share p of n observations; n may be an effective size."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    denominator = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / denominator
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / denominator
    # For p of 0 and 1 the ends are exactly these; rounding must not push them past the value.
    return min(max(0.0, centre - half), p), max(min(1.0, centre + half), p)


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> float | None:
    """Agreement of two raters beyond chance (Cohen 1960, Educ. Psychol. Meas. 20).

    Args:
        a: the labels of one rater.
        b: the labels of the other, for the same items in the same order.

    Returns:
        Kappa in [-1, 1], or None where it is not defined: no items, or both raters gave
        one and the same label to everything, so that chance alone explains full agreement.

    Raises:
        ValueError: when the two sequences differ in length.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} labels against {len(b)}")
    n = len(a)
    ours, theirs = Counter(a), Counter(b)
    agreed = sum(x == y for x, y in zip(a, b, strict=True))
    # In whole numbers, so that certain agreement by chance is found exactly.
    by_chance = sum(count * theirs[label] for label, count in ours.items())
    if by_chance == n * n:
        return None
    return (agreed * n - by_chance) / (n * n - by_chance)


def holm(values: Sequence[float]) -> list[float]:
    """Probabilities corrected for there being several, in their order.

    Holm 1979, Scandinavian Journal of Statistics 6: 65-70: the k-th smallest of m is multiplied by
    m - k + 1, and none is below a smaller one. Holds whatever the dependence between them.
    """
    corrected = [0.0] * len(values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = highest
    return corrected
