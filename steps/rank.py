"""Rank: the strengths of a prompt's candidates, and which pairs to ask the judge about next.

The model is that of Bradley and Terry (1952): i beats j with probability
sigmoid(strength i - strength j). A judge's p(A) of a pair counts as that part of one win, so that
soft answers are used as they are. When every pair was asked once, the order of the strengths is
the order of the summed p, as in a league table; `next_pairs` is built on that.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["best_and_worst", "most_rounds", "next_pairs", "round_pairs", "strengths"]

Pair = tuple[int, int]

# Drawn games that each candidate is taken to have played, spread over all others.
_DRAWN = 0.2  # in what is reported: next to nothing, yet it keeps the undefeated finite
_DRAWN_AHEAD = 3.0  # in what is foreseen: three wins of three do not make a sure fourth one
# Strengths closer than this differ by the fit's rounding only.
_SAME = 1e-8
# Votes a pair up to which answers that are whole numbers of votes are told from soft ones.
_MOST_VOTES = 8
# Noise of a soft answer, as a share of that of one vote, until the answers tell more.
_SOFT_NOISE = 0.15
_NOISE_WEIGHT = 5.0


def strengths(n: int, results: Mapping[Pair, float]) -> list[float | None]:
    """The Bradley-Terry log-strengths of n candidates, None for one that was never compared.

    They are centred on 0 over the compared ones; times 400 / ln 10 (about 173.7) they are Elo
    points. The fit is I-LSR (Maystre and Grossglauser 2015, `choix`) on the results and a
    fifth of a drawn game a candidate, spread evenly over the others, which keeps the undefeated
    finite and groups that never met comparable. Another numbering of the candidates gives the
    same strengths to within 1e-9, and p turned into 1 - p turns their signs.

    Args:
        n: the number of candidates.
        results: p(i beats j) in [0, 1] by (i, j) with i < j; a pair without a result is left out.

    Raises:
        ValueError: a pair that is not i < j of n, or a p outside of [0, 1].
    """
    _check(n, results, ())
    ranked = sorted({i for pair in results for i in pair})
    found: list[float | None] = [None] * n
    if len(ranked) == 2:
        # What the fit comes to for one pair; most runs have two candidates, and need no library.
        (p,) = results.values()
        half = math.log((p + _DRAWN / 2) / (1 - p + _DRAWN / 2)) / 2
        found[ranked[0]], found[ranked[1]] = half, -half
    elif ranked:
        place = {i: k for k, i in enumerate(ranked)}
        wins = _wins(len(ranked), {(place[i], place[j]): p for (i, j), p in results.items()})
        for i, strength in zip(ranked, _fit(wins, _DRAWN, 1e-11).tolist(), strict=True):
            found[i] = strength
    return found


def best_and_worst(strengths: Sequence[float | None]) -> Pair | None:
    """The indices of the strongest and the weakest candidate; None with fewer than two ranked.

    Of equal ones the first is the best and the last the worst, so that the two always differ.
    """
    ranked = [(s, i) for i, s in enumerate(strengths) if s is not None]
    if len(ranked) < 2:
        return None
    high = max(ranked)[0]
    best = next(i for s, i in ranked if s >= high - _SAME)
    others = [(s, i) for s, i in ranked if i != best]
    low = min(others)[0]
    worst = next(i for s, i in reversed(others) if s <= low + _SAME)
    return best, worst


def most_rounds(n: int) -> int:
    """The most rounds until `next_pairs` returns no pairs (1, 3, 5, 9, 7, 10, 7 for n = 2 to 8).

    The first round has n // 2 pairs, each later one `_later_pairs(n)`; only the last is smaller.
    """
    pairs, opening = math.comb(n, 2), n // 2
    if pairs <= opening:
        return min(pairs, 1)
    return 1 + math.ceil((pairs - opening) / _later_pairs(n))


def round_pairs(n: int, number: int) -> int:
    """The most pairs that the round of this number, from 1, asks about n candidates."""
    opening, later = n // 2, _later_pairs(n)
    if number == 1:
        return opening
    return max(0, min(later, math.comb(n, 2) - opening - (number - 2) * later))


def next_pairs(
    n: int,
    results: Mapping[Pair, float],
    asked: Collection[Pair] = (),
    *,
    confidence: float = 0.8,
) -> list[Pair]:
    """The pairs to ask in the next round, given the results so far; none when it is settled.

    What is looked for is the candidate that would be on top had all pairs been asked. The first
    round is as a Swiss tournament's: every candidate meets one other. After each round a
    Bradley-Terry fit foresees the final table (summed p): means, and a Gaussian error made of the
    fit's own (Laplace, with MacKay's moderation of the probabilities) and of the noise of the
    answers to come, which is told from the answers seen: whole votes are noisy, soft ones less.
    A rival is out when it cannot reach what another has won even by winning all it has left. It
    ends when the chances of all others to finish above the leader add up to at most
    1 - `confidence` (Boole's inequality, so that the leader stays on top more often than that:
    with the default in 95 to 99 % of simulated prompts of six, from 45 to 60 % of the pairs; equal
    candidates take up to nine tenths). Else the pairs are asked whose answers take most away from
    the uncertain leads (the expected reduction of their variance): those of the leader and its
    close rivals.
    Eliminating by bounds on summed wins follows Heckel et al. (2019, Active ranking from pairwise
    comparisons), choosing by expected information the active Bradley-Terry of Chen et al. (2013,
    Pairwise ranking aggregation in a crowdsourced setting).

    It is a function of its arguments alone; what is equal is decided by the lower index.

    Args:
        n: the number of candidates.
        results: p(i beats j) in [0, 1] by (i, j) with i < j.
        asked: pairs that were asked, with a result or without (the call failed); none of them is
            asked again.
        confidence: see above; 1 goes on until the top candidate is certain.

    Raises:
        ValueError: a pair that is not i < j of n, or a p or confidence outside of [0, 1].
    """
    _check(n, results, asked)
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence must be in [0, 1], not {confidence}")
    known = {*results, *asked}
    opening = n // 2
    if len(known) == math.comb(n, 2):
        return []
    if len(known) < opening:
        first = [(i, i + opening) for i in range(opening)]
        return [pair for pair in first if pair not in known]
    ahead = _Ahead.seen(n, results, known)
    if sum(ahead.risks) <= 1 - confidence:
        return []
    # A round short of useful pairs is the last one, also if some of it fail: it had all pairs of
    # all who can still win, and nobody else ever can again. So `most_rounds` holds.
    return ahead.useful()[: _later_pairs(n)]


def _later_pairs(n: int) -> int:
    """Pairs a round after the first: fewer ask less in all, more wait less."""
    return n // 2 if n >= 8 else max(1, n // 3)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The final table as it can be foreseen.

    Attributes:
        risks: by candidate, the chance to finish above the leader (the leader's own is 0).
        pairs: the pairs not asked yet, in order.
        touches: whether a pair's answer moves the lead over a candidate that can still win.
        gains: what a pair's answer is expected to take from the uncertain leads.
    """

    risks: list[float]
    pairs: list[Pair]
    touches: list[bool]
    gains: list[float]

    def useful(self) -> list[Pair]:
        """The pairs that matter for the lead, the most useful first."""
        order = sorted(range(len(self.pairs)), key=lambda k: (-round(self.gains[k], 9), k))
        return [self.pairs[k] for k in order if self.touches[k]]

    @classmethod
    def seen(cls, n: int, results: Mapping[Pair, float], known: Collection[Pair]) -> _Ahead:
        """What the results let foresee; pairs in `known` without a result never get one."""
        import numpy as np

        fitted = _Fitted.of(n, results)
        everything = [(i, j) for i in range(n) for j in range(i + 1, n)]
        is_open = np.array([pair not in results for pair in everything])
        pending = np.array([pair not in known for pair in everything])
        sums = fitted.final_sums(results, everything)
        leader = int(np.argmax(np.round(sums, 9)))
        sides = fitted.sides[is_open]
        # How far the lead over each candidate moves with p of each open pair: by one, or by
        # two where they meet each other. Noise comes with those that will still be answered.
        moves = sides[:, leader][None, :] - sides.T
        moves[leader] = 0
        slope = fitted.slope[is_open]
        through_fit = (moves * slope) @ sides
        noise = fitted.noise * slope * pending[is_open]
        variance = np.einsum("rn,nm,rm->r", through_fit, fitted.error, through_fit)
        variance += moves**2 @ noise
        out = _is_out(leader, n, results)
        step = fitted.step / 2
        risks = [
            0.0 if out[r] else _below(sums[leader] - sums[r] + (step if leader < r else -step), v)
            for r, v in enumerate(variance.tolist())
        ]
        # Linear-Gaussian: what an answer takes from a lead's variance is its squared covariance
        # with the lead, over its own variance.
        asking = pending[is_open]
        spread = fitted.error @ sides.T
        own = noise + slope**2 * np.einsum("kn,nk->k", sides, spread)
        common = moves * noise + (through_fit @ spread) * slope
        share = common**2 / np.maximum(own, 1e-12) / np.maximum(variance, 1e-12)[:, None]
        gains = (np.array(risks) @ share)[asking]
        alive = np.array([not gone for gone in out])
        touches = (moves[alive] != 0).any(axis=0)[asking]
        pairs = [pair for pair, waits in zip(everything, pending, strict=True) if waits]
        return cls(risks, pairs, touches.tolist(), gains.tolist())


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A fit that knows its error.

    Attributes:
        sides: a row a pair of all: 1 at its first candidate, -1 at its second.
        expected: p of each pair, moderated: drawn to 0.5 by what is not known of the strengths.
        slope: by how much that p changes with the difference in strength.
        error: the covariance of the strengths.
        noise: the variance of an answer, as a share of p (1 - p): 1 for a single vote.
        step: what the summed p go up by: 1 / votes, or 0 with soft answers.
    """

    sides: Floats
    expected: Floats
    slope: Floats
    error: Floats
    noise: float
    step: float

    @classmethod
    def of(cls, n: int, results: Mapping[Pair, float]) -> _Fitted:
        """Fit the results, with a prior as `_DRAWN_AHEAD` says."""
        import numpy as np

        first, second = np.triu_indices(n, 1)
        k = np.arange(len(first))
        sides = np.zeros((len(first), n))
        sides[k, first], sides[k, second] = 1.0, -1.0
        lead = sides @ _fit(_wins(n, results), _DRAWN_AHEAD, 1e-8)
        p = 1 / (1 + np.exp(-lead))
        nan = math.nan
        answers = np.array(
            [results.get(pair, nan) for pair in zip(first.tolist(), second.tolist(), strict=True)]
        )
        seen = ~np.isnan(answers)
        slope = (p * (1 - p))[seen]
        noise, step = _noise(n, answers[seen], p[seen])
        prior = _DRAWN_AHEAD / 4 * n / (n - 1) * np.eye(n)
        error = np.linalg.inv((sides[seen].T * (slope / noise)) @ sides[seen] + prior)
        unsure = np.einsum("kn,nm,km->k", sides, error, sides)
        expected = 1 / (1 + np.exp(-lead / np.sqrt(1 + math.pi / 8 * unsure)))
        return cls(sides, expected, expected * (1 - expected), error, noise, step)

    def final_sums(self, results: Mapping[Pair, float], pairs: Sequence[Pair]) -> Floats:
        """The summed p of each candidate over all pairs, as far as known or else as expected."""
        import numpy as np

        final = [results.get(pair, e) for pair, e in zip(pairs, self.expected, strict=True)]
        sums: Floats = (np.array(final) - 0.5) @ self.sides
        return sums


def _noise(n: int, answers: Floats, p: Floats) -> tuple[float, float]:
    """The noise of the answers and their step (see `_Fitted`).

    The noise starts from the number of votes that the answers look made of, and learns from how
    far they are off the fit (Pearson's chi-squared) where there are more of them than strengths.
    """
    import numpy as np

    step = 0.0
    for votes in range(1, _MOST_VOTES + 1):
        if np.allclose(answers * votes, np.round(answers * votes), rtol=0, atol=1e-9):
            step = 1 / votes
            break
    start = step or _SOFT_NOISE
    spare = len(answers) - (n - 1)
    if spare <= 0:
        return start, step
    off = float(((answers - p) ** 2 / np.maximum(p * (1 - p), 0.02)).sum())
    noise = (_NOISE_WEIGHT * start + off) / (_NOISE_WEIGHT + spare)
    return min(max(noise, 0.02), 1.0), step


def _is_out(leader: int, n: int, results: Mapping[Pair, float]) -> list[bool]:
    """The leader, and who cannot be on top even if they won, and all others lost, what is open."""
    won, played = [0.0] * n, [0] * n
    for (i, j), p in results.items():
        won[i] += p
        won[j] += 1 - p
        played[i] += 1
        played[j] += 1
    # Of equal ones the lower index is on top; sums that differ by rounding are equal.
    reach = [won[r] + n - 1 - played[r] for r in range(n)]
    return [
        r == leader or any(reach[r] < won[s] + (1e-9 if s < r else -1e-9) for s in range(n))
        for r in range(n)
    ]


def _below(mean: float, variance: float) -> float:
    """The chance of a Gaussian to be below 0."""
    if variance < 1e-18:
        return float(mean < 0)
    return 0.5 * math.erfc(mean / math.sqrt(2 * variance))


def _wins(n: int, results: Mapping[Pair, float]) -> Floats:
    """The matrix of wins, [i, j] of i over j, as `choix` takes it."""
    import numpy as np

    wins = np.zeros((n, n))
    for (i, j), p in results.items():
        wins[i, j], wins[j, i] = p, 1 - p
    return wins


def _fit(wins: Floats, drawn: float, tolerance: float) -> Floats:
    """The strengths, centred, with `drawn` games a candidate added as draws."""
    import choix
    import numpy as np

    n = len(wins)
    draws = drawn / 2 / (n - 1) * (1 - np.eye(n))
    found: Floats = choix.ilsr_pairwise_dense(wins + draws, max_iter=10_000, tol=tolerance)
    found -= found.mean()
    return found


def _check(n: int, results: Mapping[Pair, float], asked: Collection[Pair]) -> None:
    """Refuse what can only be a fault of the caller."""
    for i, j in (*results, *asked):
        if not 0 <= i < j < n:
            raise ValueError(f"({i}, {j}) is no pair i < j of {n} candidates")
    for pair, p in results.items():
        if not 0 <= p <= 1:
            raise ValueError(f"p of {pair} must be in [0, 1], not {p}")
