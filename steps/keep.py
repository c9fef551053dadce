"""Keep: from the votes on a pair to its label, or to the reason why it has none.

The rule is that of the project's design, in this order: equal candidates are never judged;
a pair needs a parsed vote in each order; near 0.5 is a tie; then `keep` decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from charter.constitutions import Constitution
from charter.rows import Order, Reason, Row, Verdict
from charter.steps.asking import prepared
from charter.steps.judge import pairs_of

__all__ = ["KeepRule", "Label", "kept", "label_votes"]


@dataclass(frozen=True, slots=True)
class KeepRule:
    """What a label needs; see `charter.recipes.PreferenceSettings` for the words."""

    keep: Literal["consistent", "margin"] = "consistent"
    min_margin: float = 0.0
    tie_band: float = 0.0
    mode: Literal["verdict", "logprob"] = "verdict"
    pairs: Literal["all", "revised-vs-initial"] = "all"


@dataclass(frozen=True, slots=True)
class Label:
    """The aggregated result of a pair's votes.

    Attributes:
        winner: `A` or `B`; empty when there is a reason.
        reason: why there is no label; empty when there is one.
        detail: the figures behind the reason.
        p_a: probability that A is the better one; None when it could not be had.
        n_votes: parsed votes.
        order_consistent: the votes of each order alone have the winner of all of them.
    """

    winner: str = ""
    reason: str = ""
    detail: str = ""
    p_a: float | None = None
    n_votes: int = 0
    order_consistent: bool = False

    @property
    def p_chosen(self) -> float:
        """Probability of the winner, in (0.5, 1]."""
        assert self.p_a is not None
        return max(self.p_a, 1 - self.p_a)


Vote = Mapping[str, Any]
# Sums of the same votes in another order differ by less; no one sets margins as fine as this.
_NOISE = 1e-9


def _mean(values: Sequence[tuple[float, float]]) -> float:
    """Weighted mean of (value, weight) pairs."""
    return sum(v * w for v, w in values) / sum(w for _, w in values)


def _side(p_a: float) -> str:
    return "TIE" if abs(p_a - 0.5) <= _NOISE else "A" if p_a > 0.5 else "B"


def _log_odds(vote: Vote) -> float:
    """Log-odds of A; of a vote that says certainty and no odds, those of the largest p below 1."""
    given: float | None = vote.get("log_odds")
    if given is not None:
        return given
    tiny = 2.0**-53
    p = min(max(vote["p_a"], tiny), 1 - tiny)
    return math.log(p / (1 - p))


def _mean_p(votes: Mapping[str, Vote], weights: Mapping[str, float]) -> float:
    """p(A) over the principles of one order."""
    return _mean([(vote["p_a"], weights.get(name, 1.0)) for name, vote in votes.items()])


def _p_of_pair(
    by_order: Mapping[str, Mapping[str, Vote]], weights: Mapping[str, float], mode: str
) -> float:
    """p(A): over principles by weight, and over both orders.

    With log-probabilities, a principle seen in both orders has its log-odds averaged over them
    first, which cancels what the judge gives to a place (a position bias is an added constant).
    """
    ab, ba = by_order["AB"], by_order["BA"]
    both = sorted(ab.keys() & ba.keys())
    if mode == "logprob" and both:
        merged = []
        for principle in both:
            odds = (_log_odds(ab[principle]) + _log_odds(ba[principle])) / 2
            merged.append((1 / (1 + math.exp(-odds)), weights.get(principle, 1.0)))
        return _mean(merged)
    return (_mean_p(ab, weights) + _mean_p(ba, weights)) / 2


def label_votes(votes: Sequence[Vote], rule: KeepRule, weights: Mapping[str, float]) -> Label:
    """The label of one pair.

    Args:
        votes: all votes on the pair, parsed or not: `principle_id`, `order`, `verdict`, `p_a`,
            and `log_odds` where there are log-probabilities.
        rule: what a label needs.
        weights: weight of each principle.
    """
    by_order: dict[str, dict[str, Vote]] = {order.value: {} for order in Order}
    for vote in votes:
        if vote["verdict"] != Verdict.UNPARSED and vote["p_a"] is not None:
            by_order[vote["order"]][vote["principle_id"]] = vote
    n_votes = sum(len(seen) for seen in by_order.values())
    if not all(by_order.values()):
        reason, detail = _unlabelled(votes, n_votes)
        return Label(reason=reason.value, detail=detail, n_votes=n_votes)
    p_a = _p_of_pair(by_order, weights, rule.mode)
    winners = {_side(_mean_p(seen, weights)) for seen in by_order.values()}
    # With log-odds both orders can name one candidate and their merger the other.
    consistent = winners == {_side(p_a)} and winners != {"TIE"}
    found = Label(p_a=p_a, n_votes=n_votes, order_consistent=consistent)
    margin = abs(p_a - 0.5)
    shown = f"p(A) {p_a:.4f}, orders {'agree' if consistent else 'disagree'}"
    if margin <= rule.tie_band + _NOISE:
        return _rejected(found, Reason.TIE, f"{shown}, tie_band {rule.tie_band}")
    if rule.keep == "consistent" and not consistent:
        return _rejected(found, Reason.INCONSISTENT, shown)
    if rule.keep == "margin" and margin < rule.min_margin - _NOISE:
        return _rejected(found, Reason.BELOW_MARGIN, f"{shown}, min_margin {rule.min_margin}")
    return Label(
        winner=_side(p_a), p_a=p_a, n_votes=n_votes, order_consistent=consistent, detail=""
    )


def _unlabelled(votes: Sequence[Vote], n_votes: int) -> tuple[Reason, str]:
    """Why there is no parsed vote in each order: a call that failed, or answers nobody can read."""
    parsed = f"{n_votes} of {len(votes)} votes parsed, and not one in each order"
    failed = next((vote for vote in votes if vote.get("error")), None)
    if failed is None:
        return Reason.UNPARSED, parsed
    reason = Reason.CONTEXT_OVERFLOW if failed.get("overflow") else Reason.CALL_FAILED
    return reason, f"{failed['error']}; {parsed}"


def _rejected(found: Label, reason: Reason, detail: str) -> Label:
    fields = {**asdict(found), "reason": reason.value, "detail": detail}
    return Label(**fields)


def kept(row: Row, rule: KeepRule, constitution: Constitution) -> Row:
    """The row with `labels`: one for each pair formed, in order."""
    row = prepared(row)
    weights = {p.id: p.weight for p in constitution.principles}
    labels = []
    for pair in pairs_of(row, rule.pairs):
        if pair.identical:
            detail = "the two responses are the same after normalising"
            label = Label(reason=Reason.IDENTICAL.value, detail=detail)
            votes = []
        else:
            votes = [v for v in row["votes"] if v["comparison_id"] == pair.id]
            label = label_votes(votes, rule, weights)
        read = [v for v in votes if v["verdict"] != Verdict.UNPARSED]
        principles = list(dict.fromkeys(v["principle_id"] for v in read))
        labels.append(
            {
                "pair_id": pair.id,
                "a": pair.a["slot"],
                "b": pair.b["slot"],
                "principle_ids": principles,
                **asdict(label),
            }
        )
    return {**row, "labels": labels}
