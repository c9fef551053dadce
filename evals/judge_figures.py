"""The figures of a judge on a set of comparisons: right, consistent, biased, calibrated.

Each is an `Estimate`: Wilson's interval for shares (for shares of votes with the design effect of
several votes on one pair), a bootstrap over comparisons for kappa, alpha and calibration.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from charter.agreement import (
    Calibration,
    calibration,
    clustered,
    kappa_estimate,
    krippendorff_estimate,
    mean_score,
)
from charter.evals.judge_length import length_controlled
from charter.evals.judge_pairs import Comparison, side
from charter.evals.judge_votes import JudgedVote
from charter.rows import Order, Verdict
from charter.stats import Estimate, wilson

__all__ = ["FIGURES", "Figures", "figures_of", "rounded"]

FIGURES: Final[Mapping[str, str]] = {
    "accuracy": "the label of both orders is people's; a tie is half right, no label is wrong",
    "accuracy_decided": "the same where the judge names a winner",
    "accuracy_ab": "right when shown A first; a tie or an unread answer is not",
    "accuracy_ba": "right when shown B first",
    "accuracy_both": "right in both orders",
    "order_consistency": "both orders name the same winner",
    "first_position_rate": "votes for the response shown first, of votes with a winner",
    "tie_rate": "votes that say tie",
    "unparsed_rate": "votes that no one can read",
    "cohen_kappa": "judge and people, beyond chance; a tie is a label too",
    "krippendorff_alpha": "the same by Krippendorff",
    "votes_alpha": "the votes on a pair with each other, by Krippendorff; needs no people",
    "longer_wins": "labels for the longer response",
    "people_longer_wins": "people's labels for the longer response",
    "length_controlled_accuracy": "accuracy on two responses as long as each other",
    "ece": "distance between how sure labels are and how right",
}
"""The figures by their names in JSON, and what each one is."""

_A_OR_B: Final = (Verdict.A, Verdict.B)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a set of comparisons.

    Attributes:
        estimates: by the names of `FIGURES`, in their order.
        reliability: confidence against correctness, by bins.
        counts: how many comparisons and votes there were, and of what kind.
    """

    estimates: Mapping[str, Estimate]
    reliability: Calibration
    counts: Mapping[str, int]

    def __getitem__(self, name: str) -> Estimate:
        return self.estimates[name]

    def as_json(self) -> dict[str, Any]:
        """Estimates by name, and `reliability`, `counts`."""
        return {
            **{name: found.as_json() for name, found in self.estimates.items()},
            "reliability": [
                {"low": each.low, "high": each.high, "sure": each.sure} | each.right.as_json()
                for each in self.reliability.bins
            ],
            "counts": dict(self.counts),
        }


def figures_of(found: Sequence[Comparison], *, seed: int = 0) -> Figures:
    """All figures of a judge.

    A comparison that was asked in one order only, among others asked in both, has no label: it
    counts in `accuracy_ab` or `accuracy_ba`, in the rates of votes, and in `counts`. Where no
    comparison was asked in both, the one order makes the labels.

    Args:
        found: the comparisons.
        seed: of the bootstraps.
    """
    votes = [vote for each in found for vote in each.votes]
    both = [each for each in found if each.both_orders]
    whole = both or list(found)
    asked = [each for each in whole if each.human is not None]
    decided = [each for each in asked if each.decided]
    named = [each for each in decided if each.label in _A_OR_B]
    labelled = [each for each in asked if each.label is not Verdict.UNPARSED]
    reliability = _reliability(decided, seed)
    labels = [(each.label, each.human) for each in labelled]
    estimates = {
        "accuracy": mean_score([each.score for each in decided]),
        "accuracy_decided": _share(named, lambda each: each.label is each.human),
        "accuracy_ab": _in_order(found, Order.AB),
        "accuracy_ba": _in_order(found, Order.BA),
        "accuracy_both": _share([each for each in both if each.decided], _right_in_both),
        "order_consistency": _share(both, _consistent),
        "first_position_rate": _of_votes(found, _first, lambda vote: vote.verdict in _A_OR_B),
        "tie_rate": _of_votes(found, lambda vote: vote.verdict is Verdict.TIE),
        "unparsed_rate": _of_votes(found, lambda vote: vote.verdict is Verdict.UNPARSED),
        "cohen_kappa": kappa_estimate(labels, seed=seed),
        "krippendorff_alpha": krippendorff_estimate(labels, seed=seed),
        "votes_alpha": krippendorff_estimate([_ballot(each) for each in found], seed=seed),
        "longer_wins": _longer(whole, lambda each: each.label),
        "people_longer_wins": _longer(whole, lambda each: each.human),
        "length_controlled_accuracy": length_controlled(decided),
        "ece": reliability.ece,
    }
    assert list(estimates) == list(FIGURES)
    return Figures(estimates, reliability, _counts(found, votes, both, whole))


def _counts(
    found: Sequence[Comparison],
    votes: Sequence[JudgedVote],
    both: Sequence[Comparison],
    whole: Sequence[Comparison],
) -> dict[str, int]:
    return {
        "comparisons": len(found),
        "votes": len(votes),
        "unparsed_votes": sum(vote.verdict is Verdict.UNPARSED for vote in votes),
        "one_order": len(found) - len(both),
        "ties": sum(each.label is Verdict.TIE for each in whole),
        "without_label": sum(each.label is Verdict.UNPARSED for each in whole),
        "people_decided": sum(each.decided for each in found),
        "people_ties": sum(each.human is Verdict.TIE for each in found),
        "people_not_asked": sum(each.human is None for each in found),
    }


def _share(found: Iterable[Comparison], counted: Callable[[Comparison], bool]) -> Estimate:
    hits = [counted(each) for each in found]
    return wilson(sum(hits), len(hits))


def _of_votes(
    found: Iterable[Comparison],
    counted: Callable[[JudgedVote], bool],
    among: Callable[[JudgedVote], bool] = lambda _: True,
) -> Estimate:
    parts = []
    for each in found:
        used = [vote for vote in each.votes if among(vote)]
        parts.append((sum(map(counted, used)), len(used)))
    return clustered(parts)


def _first(vote: JudgedVote) -> bool:
    return (vote.verdict is Verdict.A) == (vote.order is Order.AB)


def _in_order(found: Iterable[Comparison], order: Order) -> Estimate:
    asked = [each for each in found if each.decided and order in each.by_order]
    return _share(asked, lambda each: side(each.by_order[order]) is each.human)


def _right_in_both(each: Comparison) -> bool:
    return all(side(p) is each.human for p in each.by_order.values())


def _consistent(each: Comparison) -> bool:
    winners = {side(p) for p in each.by_order.values()}
    return len(winners) == 1 and winners <= set(_A_OR_B)


def _ballot(each: Comparison) -> list[Verdict | None]:
    return [None if vote.verdict is Verdict.UNPARSED else vote.verdict for vote in each.votes]


def _longer(found: Iterable[Comparison], label: Callable[[Comparison], Verdict | None]) -> Estimate:
    asked = [each for each in found if each.longer is not None and label(each) in _A_OR_B]
    return _share(asked, lambda each: label(each) is each.longer)


def _reliability(decided: Iterable[Comparison], seed: int) -> Calibration:
    sure, right = [], []
    for each in decided:
        if each.p_a is not None:
            sure.append(max(each.p_a, 1 - each.p_a))
            right.append(each.score)
    return calibration(sure, right, seed=seed)


def rounded(found: Estimate) -> str:
    """An estimate for people: `0.770 [0.678, 0.842]`."""
    if found.value is None or math.isnan(found.value):
        return "no figure"
    if found.low is None or found.high is None:
        return f"{found.value:.3f} (no interval)"
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
