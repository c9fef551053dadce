"""From the votes on a pair to its label, or to the reason why it has none.

The rule is that of the project's design, in this order: a pair needs a parsed vote in each order;
near 0.5 is a tie; then `keep` decides. Sums are exact, so that a label is the same to the last bit
whichever of the two candidates is called A.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, Literal

from charter.rows import Order, Reason, Verdict
from charter.steps.pairs import Pairing

__all__ = ["KeepRule", "Label", "Mode", "Orders", "label_votes"]

Mode = Literal["verdict", "logprob", "cot", "vote"]
Orders = Literal["both", "single"]


@dataclass(frozen=True, slots=True)
class KeepRule:
    """What a label needs; see `charter.recipes.PreferenceSettings` for the words."""

    keep: Literal["consistent", "margin"] = "consistent"
    min_margin: float = 0.0
    tie_band: float = 0.0
    mode: Mode = "verdict"
    pairs: Pairing = "all"
    orders: Orders = "both"
    min_order_consistency: float = 0.0
    near_equal: float = 0.98
    injections: Literal["reject", "ignore"] = "reject"

    @classmethod
    def of(cls, settings: Any) -> KeepRule:
        """The rule of an object with these names: a recipe's `preference`, or the task `Keep`."""
        return cls(**{each.name: getattr(settings, each.name) for each in fields(cls)})


@dataclass(frozen=True, slots=True)
class Label:
    """The aggregated result of a pair's votes.

    Attributes:
        winner: `A` or `B`; empty when there is a reason.
        reason: why there is no label; empty when there is one.
        detail: the figures behind the reason.
        p_a: probability that A is the better one; None when it could not be had.
        p_chosen: probability of the likelier one, the same to the last bit whichever is A.
        n_votes: parsed votes.
        order_consistent: the votes of each order alone have the winner of all of them.
    """

    winner: str = ""
    reason: str = ""
    detail: str = ""
    p_a: float | None = None
    p_chosen: float | None = None
    n_votes: int = 0
    order_consistent: bool = False


Vote = Mapping[str, Any]
# The votes of one order: principle -> its parsed votes.
_Seen = Mapping[str, Sequence[Vote]]
# Margins are compared with this much room; no one sets margins as fine as this.
_NOISE = 1e-9
# Probabilities are counted in units of 2^-53: what a float in [0.5, 1] has, and p + (1 - p) is 1.
_ONE = 1 << 53
_HALF = Fraction(1, 2)


def _units(p_a: float) -> int:
    """A probability in units, so that those of A and B are exactly complements."""
    return round(p_a * _ONE) if p_a >= 0.5 else _ONE - round((1 - p_a) * _ONE)


def _units_of_odds(odds: float) -> int:
    likelier = round(_ONE / (1 + math.exp(-abs(odds))))
    return likelier if odds >= 0 else _ONE - likelier


def _log_odds(vote: Vote) -> float:
    """Log-odds of A; of a vote that says certainty and no odds, those of the largest p below 1."""
    given: float | None = vote.get("log_odds")
    if given is not None:
        return given
    units = min(max(_units(vote["p_a"]), 1), _ONE - 1)
    # Written so that the odds of A and B are exactly each other's negative.
    high, low = max(units, _ONE - units), min(units, _ONE - units)
    odds = math.log(high / low)
    return odds if units * 2 >= _ONE else -odds


def _weighted(values: Mapping[str, Fraction], weights: Mapping[str, float]) -> Fraction:
    """Weighted mean over principles."""
    if len(values) == 1:  # the usual case, at half the time
        (only,) = values.values()
        return only
    shares = [(value, Fraction(weights.get(name, 1.0))) for name, value in values.items()]
    return sum((v * w for v, w in shares), Fraction()) / sum((w for _, w in shares), Fraction())


def _by_principle(seen: _Seen) -> dict[str, Fraction]:
    """p(A) under each principle: the mean over its votes."""
    return {
        name: Fraction(sum(_units(vote["p_a"]) for vote in votes), len(votes) * _ONE)
        for name, votes in seen.items()
    }


def _side(p_a: Fraction) -> str:
    if abs(float(p_a - _HALF)) <= _NOISE:
        return "TIE"
    return "A" if p_a > _HALF else "B"


def _p_of_pair(
    by_order: Mapping[str, _Seen], weights: Mapping[str, float], mode: str, orders: str
) -> Fraction:
    """p(A): over principles by weight, and over both orders.

    With log-probabilities, a principle seen in both orders has its log-odds averaged over them
    first, which cancels what the judge gives to a place (a position bias is an added constant).
    """
    ab, ba = by_order["AB"], by_order["BA"]
    if orders == "single":
        return _weighted(_by_principle({**ab, **ba}), weights)
    both = ab.keys() & ba.keys()
    if mode == "logprob" and both:
        merged = {}
        for name in both:
            odds = (_mean_odds(ab[name]) + _mean_odds(ba[name])) / 2
            merged[name] = Fraction(_units_of_odds(odds), _ONE)
        return _weighted(merged, weights)
    one, other = (_weighted(_by_principle(seen), weights) for seen in (ab, ba))
    return (one + other) / 2


def _mean_odds(votes: Sequence[Vote]) -> float:
    # fsum rounds once, so the sum does not hang on the order of the votes.
    return math.fsum(_log_odds(vote) for vote in votes) / len(votes)


def label_votes(votes: Sequence[Vote], rule: KeepRule, weights: Mapping[str, float]) -> Label:
    """The label of one pair.

    Args:
        votes: all votes on the pair, parsed or not: `principle_id`, `order`, `verdict`, `p_a`,
            and `log_odds` where there are log-probabilities.
        rule: what a label needs.
        weights: weight of each principle; 1 where there is none.
    """
    by_order: dict[str, dict[str, list[Vote]]] = {order.value: {} for order in Order}
    n_votes = 0
    for vote in votes:
        if vote["verdict"] != Verdict.UNPARSED and vote["p_a"] is not None:
            by_order[vote["order"]].setdefault(vote["principle_id"], []).append(vote)
            n_votes += 1
    needed = any if rule.orders == "single" else all
    if not needed(by_order.values()):
        reason, detail = _unlabelled(votes, n_votes, rule)
        return Label(reason=reason.value, detail=detail, n_votes=n_votes)
    return _judged(by_order, n_votes, rule, weights)


def _judged(
    by_order: Mapping[str, _Seen], n_votes: int, rule: KeepRule, weights: Mapping[str, float]
) -> Label:
    """The label of a pair that has the votes it needs."""
    p_a = _p_of_pair(by_order, weights, rule.mode, rule.orders)
    side = _side(p_a)
    consistent = rule.orders == "both" and _consistent(by_order, weights, side)
    p_chosen = float(max(p_a, 1 - p_a))
    found = Label("", "", "", float(p_a), p_chosen, n_votes, consistent)
    shown = f"p(A) {float(p_a):.4f}, " + _said(rule, consistent)
    margin = p_chosen - 0.5
    if side == "TIE" or margin <= rule.tie_band + _NOISE:
        return _rejected(found, Reason.TIE, f"{shown}, tie_band {rule.tie_band}")
    if rule.keep == "consistent" and not consistent:
        return _rejected(found, Reason.INCONSISTENT, shown)
    if rule.min_order_consistency:
        agreed = _agreement(by_order, weights)
        if agreed < rule.min_order_consistency - _NOISE:
            least = f"min_order_consistency {rule.min_order_consistency}"
            share = f"orders agree under {agreed:.2f} of the weight"
            detail = f"p(A) {float(p_a):.4f}, {share}, {least}"
            return _rejected(found, Reason.INCONSISTENT, detail)
    if rule.keep == "margin" and margin < rule.min_margin - _NOISE:
        return _rejected(found, Reason.BELOW_MARGIN, f"{shown}, min_margin {rule.min_margin}")
    return replace(found, winner=side)


def _said(rule: KeepRule, consistent: bool) -> str:
    if rule.orders == "single":
        return "one order asked"
    return f"orders {'agree' if consistent else 'disagree'}"


def _consistent(by_order: Mapping[str, _Seen], weights: Mapping[str, float], side: str) -> bool:
    """Whether each order alone has the winner of both.

    With log-odds both orders can name one candidate and their merger the other.
    """
    winners = {_side(_weighted(_by_principle(seen), weights)) for seen in by_order.values()}
    return winners == {side} and side != "TIE"


def _agreement(by_order: Mapping[str, _Seen], weights: Mapping[str, float]) -> float:
    """Share, by weight, of the principles seen in both orders under which these agree."""
    ab, ba = (_by_principle(seen) for seen in (by_order["AB"], by_order["BA"]))
    both = ab.keys() & ba.keys()
    if not both:
        return 0.0
    total = sum(Fraction(weights.get(name, 1.0)) for name in both)
    agreed = sum(
        Fraction(weights.get(name, 1.0))
        for name in both
        if _side(ab[name]) == _side(ba[name]) != "TIE"
    )
    return float(agreed / total)


def _unlabelled(votes: Sequence[Vote], n_votes: int, rule: KeepRule) -> tuple[Reason, str]:
    """Why there is no parsed vote in each order: a call that failed, or answers nobody can read."""
    parsed = f"{n_votes} of {len(votes)} votes parsed"
    if rule.orders == "both":
        parsed += ", and not one in each order"
    failed = next((vote for vote in votes if vote.get("error")), None)
    if failed is None:
        return Reason.UNPARSED, parsed
    reason = Reason.CONTEXT_OVERFLOW if failed.get("overflow") else Reason.CALL_FAILED
    return reason, f"{failed['error']}; {parsed}"


def _rejected(found: Label, reason: Reason, detail: str) -> Label:
    return replace(found, reason=reason.value, detail=detail)
