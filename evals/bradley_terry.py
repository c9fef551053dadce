"""Strengths of several models from games between them, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from charter.stats import Estimate

__all__ = ["ELO_BASE", "elo_ratings", "points"]

Numbers = NDArray[np.float64]

ELO_BASE: Final = 1000.0
"""Rating of the model that is named first; all others are told against it."""

_POINTS: Final = 400 / math.log(10)
# A drawn game that every two models are taken to have played: it keeps one that won all finite.
_DRAWN: Final = 1.0
_FEWEST: Final = 5  # resampling fewer prompts than this says nothing
_SAME: Final = 1e-6  # points: ratings so near are one, but for rounding


def elo_ratings(
    models: Sequence[str],
    prompts: Sequence[Mapping[tuple[str, str], float]],
    *,
    seed: int = 0,
    replicates: int = 300,
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """Elo ratings by the model of Bradley and Terry (1952), the first model held at 1000.

    Fitted to all games at once (I-LSR, Maystre and Grossglauser 2015, `choix`), so that the order
    of games does not matter, as it does in Elo's own updates. A tie is half a win for each, and
    every two models have one drawn game more than they played. 400 points are odds of 10 to 1. The
    intervals are percentiles over prompts drawn anew, so games on one prompt stay together; they
    are of the difference to the first model, whose own rating has none. Nor has that of a model
    with the same score on every prompt: it would be no wider than the rating itself.

    Args:
        models: names, the first one the anchor.
        prompts: of each prompt the scores by (model, other model), 1 where the former won.
        seed: of the draws.
        replicates: how many times prompts are drawn.
        confidence: two-sided coverage.

    Returns:
        The rating of each model; `n` is the number of its games. A model without games has none.
    """
    place = {name: index for index, name in enumerate(models)}
    k = len(models)
    wins = np.zeros((len(prompts), k, k))
    for row, games in enumerate(prompts):
        for (one, other), score in games.items():
            wins[row, place[one], place[other]] += score
            wins[row, place[other], place[one]] += 1 - score
    total = wins.sum(axis=0)
    played = total.sum(axis=0) + total.sum(axis=1)
    nothing = Estimate(None, None, None, 0)
    if not played[0]:
        return dict.fromkeys(models, nothing)
    value = _ratings(total)
    low, high = _interval(wins, seed, replicates, confidence)
    found = {}
    for name, at in place.items():
        n = int(played[at])
        if not n:
            found[name] = nothing
        elif at == 0 or low is None or high is None or high[at] - low[at] < _SAME:
            found[name] = Estimate(float(value[at]), None, None, n)
        else:
            found[name] = Estimate(float(value[at]), float(low[at]), float(high[at]), n)
    return found


def points(found: Estimate) -> str:
    """A rating for people: `1043 [1002, 1090]`."""
    if found.value is None:
        return "no figure"
    if found.low is None or found.high is None:
        return f"{found.value:.0f}"
    return f"{found.value:.0f} [{found.low:.0f}, {found.high:.0f}]"


def _ratings(wins: Numbers) -> Numbers:
    """Elo points from a table of wins, row over column."""
    import choix

    prior = np.full_like(wins, _DRAWN / 2)
    np.fill_diagonal(prior, 0.0)
    strengths: Numbers = choix.ilsr_pairwise_dense(wins + prior, max_iter=1000)
    rated: Numbers = ELO_BASE + _POINTS * (strengths - strengths[0])
    return rated


def _interval(
    wins: Numbers, seed: int, replicates: int, confidence: float
) -> tuple[Numbers | None, Numbers | None]:
    n = len(wins)
    if n < _FEWEST:
        return None, None
    random = np.random.default_rng(seed)
    flat = wins.reshape(n, -1)
    share = np.full(n, 1 / n)
    drawn = [
        _ratings((random.multinomial(n, share) @ flat).reshape(wins.shape[1:]))
        for _ in range(replicates)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.stack(drawn), [tail, 1 - tail], axis=0)
    return low, high
