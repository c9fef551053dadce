"""Accuracies and win rates with the length of responses taken out of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from charter.evals.judge_pairs import Comparison
from charter.rows import Verdict
from charter.stats import Estimate

__all__ = ["at_equal_length", "length_controlled", "length_lead"]

Numbers = NDArray[np.float64]
_FEWEST: Final = 10  # two parameters from fewer comparisons are no finding


def length_controlled(decided: Sequence[Comparison], confidence: float = 0.95) -> Estimate:
    """How often the judge would be right if both responses were as long as each other.

    After the length-controlled win rate of Dubois et al. 2024 (arXiv 2404.04475, section 3): a
    logistic regression of being right on the difference in length, read off at no difference.
    The difference is the logarithm of the lengths' ratio, people's winner over the other one, in
    units of its own spread and bounded by tanh as theirs is. Firth's penalty (1993, Biometrika
    80; Heinze and Schemper 2002 on separation) keeps the fit finite where all are right, or all
    longer ones win. A tie counts half; the interval is Wald's on the log-odds.

    Args:
        decided: comparisons that people decided.
        confidence: two-sided coverage.

    Returns:
        The estimate; no figures for fewer than ten comparisons whose lengths are known.
    """
    used = [c for c in decided if c.length_a is not None and c.length_b is not None]
    return at_equal_length([c.score for c in used], [_lead(c) for c in used], confidence)


def length_lead(ours: int, theirs: int) -> float:
    """How much longer a text of so many characters is than the other: the log of the ratio."""
    return math.log((ours + 1) / (theirs + 1))


def at_equal_length(
    scores: Sequence[float], leads: Sequence[float], confidence: float = 0.95
) -> Estimate:
    """The mean score where no side is longer, by the regression of `length_controlled`.

    Args:
        scores: in [0, 1], half a point for a tie.
        leads: how much longer the side that scores is, of each; see `length_lead`.
        confidence: two-sided coverage.

    Returns:
        The estimate; no figures for fewer than ten scores.
    """
    if len(scores) < _FEWEST:
        return Estimate(None, None, None, len(scores))
    right, lead = np.array(scores, float), np.array(leads, float)
    spread = math.sqrt(float((lead**2).mean()))
    columns = [np.ones(len(scores))]
    if spread > 0:
        columns.append(np.tanh(lead / spread))
    fitted = _firth(np.stack(columns, axis=1), right)
    if fitted is None:
        return Estimate(None, None, None, len(scores))
    at, error = fitted
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    value, low, high = (1 / (1 + math.exp(-x)) for x in (at, at - z * error, at + z * error))
    return Estimate(value, low, high, len(scores))


def _lead(comparison: Comparison) -> float:
    """Log-ratio of the lengths, people's winner over the other one."""
    assert comparison.length_a is not None and comparison.length_b is not None
    lead = length_lead(comparison.length_a, comparison.length_b)
    return lead if comparison.human is Verdict.A else -lead


def _firth(x: Numbers, y: Numbers) -> tuple[float, float] | None:
    """Intercept and its standard error; None where the columns tell nothing apart."""
    from scipy.optimize import minimize
    from scipy.special import expit

    def information(beta: Numbers) -> Numbers:
        p = expit(x @ beta)
        found: Numbers = (x * (p * (1 - p))[:, None]).T @ x
        return found

    def loss(beta: Numbers) -> float:
        odds = x @ beta
        # log(1 + e^odds) without overflow.
        likelihood = (y * odds - np.logaddexp(0, odds)).sum()
        sign, log_det = np.linalg.slogdet(information(beta))
        return float(-(likelihood + 0.5 * log_det)) if sign > 0 else math.inf

    if np.linalg.matrix_rank(x) < x.shape[1]:
        x = x[:, :1]
    start = np.zeros(x.shape[1])
    done: Any = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
    if not done.success:
        return None
    variance = np.linalg.inv(information(done.x))[0, 0]
    return float(done.x[0]), math.sqrt(float(variance))
