"""From votes to comparisons: what a judge's votes on one pair say together.

The rule is that of labels (`charter.steps.label`), in plain floats: the audit asks what the judge
says, not whether a recipe would keep it. Where it is not known how the judge was asked, votes with
probabilities are taken for log-odds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from charter.evals.judge_votes import JudgedVote
from charter.rows import Order, Verdict
from charter.steps.label import KeepRule

__all__ = [
    "LENGTH_BUCKETS",
    "Comparison",
    "comparisons",
    "length_bucket",
    "only_votes",
    "side",
]

_NOISE: Final = 1e-9  # as `charter.steps.label` has it
_P_OF: Final = {Verdict.A: 1.0, Verdict.B: 0.0, Verdict.TIE: 0.5}
_TINY: Final = 2.0**-53
_BUCKETS: Final = ((1.25, "up to 1.25 times"), (2.0, "1.25 to 2 times"), (4.0, "2 to 4 times"))
_MOST: Final = "over 4 times"
LENGTH_BUCKETS: Final = (*(name for _, name in _BUCKETS), _MOST)
"""How many times as long the longer candidate is, from the closest on."""


def side(p_a: float | None) -> Verdict:
    """The winner that a probability names."""
    if p_a is None:
        return Verdict.UNPARSED
    if abs(p_a - 0.5) <= _NOISE:
        return Verdict.TIE
    return Verdict.A if p_a > 0.5 else Verdict.B


@dataclass(frozen=True, slots=True)
class Comparison:
    """A pair with all votes of one judge on it.

    Attributes:
        id: the pair.
        judge: who voted.
        human: what people say; None where no one was asked.
        category: of the prompt.
        length_a: characters of A; None where not known.
        length_b: characters of B.
        votes: parsed or not.
        p_a: probability that A is better, over both orders; None without a parsed vote in each
            order that was asked, or without any where a single order was.
        by_order: the same for each order that was asked, alone.
    """

    id: str
    judge: str
    human: Verdict | None
    category: str
    length_a: int | None
    length_b: int | None
    votes: tuple[JudgedVote, ...]
    p_a: float | None
    by_order: Mapping[Order, float | None]

    @property
    def both_orders(self) -> bool:
        """Whether it was asked in both orders."""
        return len(self.by_order) == 2

    @property
    def label(self) -> Verdict:
        """A, B, TIE, or UNPARSED where there is no label."""
        return side(self.p_a)

    @property
    def decided(self) -> bool:
        """Whether people prefer one of the two."""
        return self.human in (Verdict.A, Verdict.B)

    @property
    def score(self) -> float:
        """1 for people's winner, half a point for a tie, 0 for the other one or no label."""
        return 1.0 if self.label is self.human else 0.5 if self.label is Verdict.TIE else 0.0

    @property
    def longer(self) -> Verdict | None:
        """The longer candidate; None where both are as long or a length is not known."""
        if self.length_a is None or self.length_b is None or self.length_a == self.length_b:
            return None
        return Verdict.A if self.length_a > self.length_b else Verdict.B


def comparisons(votes: Iterable[JudgedVote]) -> list[Comparison]:
    """Votes by judge and pair, in the order in which these first come."""
    groups: dict[tuple[str, str], list[JudgedVote]] = {}
    for vote in votes:
        groups.setdefault((vote.judge_model, vote.comparison_id), []).append(vote)
    return [_comparison(group) for group in groups.values()]


def only_votes(
    found: Sequence[Comparison], wanted: Callable[[JudgedVote], bool]
) -> list[Comparison]:
    """The comparisons with some of their votes alone; those without any such vote fall out."""
    parts = ([v for v in each.votes if wanted(v)] for each in found)
    return [_comparison(part) for part in parts if part]


def _comparison(votes: Sequence[JudgedVote]) -> Comparison:
    first = votes[0]
    asked = [order for order in Order if any(vote.order is order for vote in votes)]
    seen = {order: _by_principle([v for v in votes if v.order is order]) for order in asked}
    weights = {vote.principle_id: vote.weight for vote in votes}
    bare = Comparison(
        id=first.comparison_id,
        judge=first.judge_model,
        human=first.human,
        category=first.category,
        length_a=first.length_a,
        length_b=first.length_b,
        votes=tuple(votes),
        p_a=None,
        by_order={order: _mean(each, weights) for order, each in seen.items()},
    )
    return replace(bare, p_a=_p_of_pair(seen, weights, first.rule or _guessed(votes)))


def _p(vote: JudgedVote) -> float:
    return _P_OF[vote.verdict] if vote.p_a is None else vote.p_a


def _guessed(votes: Sequence[JudgedVote]) -> KeepRule:
    """How the judge may have been asked, by whether these are mere counts of verdicts."""
    soft = any(vote.p_a not in (None, 0.0, 0.5, 1.0) for vote in votes)
    return KeepRule(mode="logprob" if soft else "verdict")


def _by_principle(votes: Sequence[JudgedVote]) -> dict[str, list[float]]:
    seen: dict[str, list[float]] = {}
    for vote in votes:
        if vote.verdict is not Verdict.UNPARSED:
            seen.setdefault(vote.principle_id, []).append(_p(vote))
    return seen


def _weighted(values: Sequence[tuple[float, float]]) -> float:
    # fsum rounds once: the same to the last bit in whatever order the votes came.
    return math.fsum(p * w for p, w in values) / math.fsum(w for _, w in values)


def _mean(seen: Mapping[str, Sequence[float]], weights: Mapping[str, float]) -> float | None:
    if not seen:
        return None
    return _weighted([(math.fsum(p) / len(p), weights[name]) for name, p in seen.items()])


def _odds(p: float) -> float:
    held = min(max(p, _TINY), 1 - _TINY)
    return math.log(held / (1 - held))


def _p_of_pair(
    seen: Mapping[Order, Mapping[str, Sequence[float]]],
    weights: Mapping[str, float],
    rule: KeepRule,
) -> float | None:
    """p(A) over both orders; log-odds are averaged over the orders where there are any."""
    if rule.orders == "single":
        # Each principle was asked in the one order that was drawn for it.
        return _mean({name: p for each in seen.values() for name, p in each.items()}, weights)
    if not seen or not all(seen.values()):
        return None
    if len(seen) == 2 and rule.mode == "logprob":
        ab, ba = seen[Order.AB], seen[Order.BA]
        both = sorted(ab.keys() & ba.keys())
        if both:
            merged = []
            for name in both:
                odds = [math.fsum(map(_odds, p)) / len(p) for p in (ab[name], ba[name])]
                merged.append((1 / (1 + math.exp(-sum(odds) / 2)), weights[name]))
            return _weighted(merged)
    means = [_mean(each, weights) for each in seen.values()]
    return math.fsum(p for p in means if p is not None) / len(means)


def length_bucket(comparison: Comparison) -> str | None:
    """How many times as long the longer candidate is; None where a length is not known."""
    if comparison.length_a is None or comparison.length_b is None:
        return None
    short, long = sorted((comparison.length_a, comparison.length_b))
    if long == 0:
        return _BUCKETS[0][1]
    return next((name for most, name in _BUCKETS if long <= most * short), _MOST)
