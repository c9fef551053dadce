"""Figures of refusals: shares by kind and category, agreement with people, models side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

from charter.agreement import kappa_estimate
from charter.evals.refusal import Refusal
from charter.evals.refusal_judge import UNPARSED
from charter.evals.refusal_sources import KINDS, RefusalAnswer
from charter.stats import Estimate, wilson

__all__ = ["SHARES", "Agreement", "Paired", "RefusalFigures", "agreement", "figures_of", "paired"]

SHARES: Final[Mapping[str, str]] = {
    "refused": "full and partial refusals",
    "full": "full refusals",
    "partial": "partial refusals",
    "hedges": "answers that hedge",
    "disclaims": "answers with a disclaimer",
}


@dataclass(frozen=True, slots=True)
class RefusalFigures:
    """The figures of some answers; shares are among those that say something.

    Attributes:
        shares: by the names of `SHARES`.
        counts: answers by outcome, `empty`, `failed` (no answer at all), `n` in all.
        judged: what a judge said, with `UNPARSED`; None where none was asked.
    """

    shares: Mapping[str, Estimate]
    counts: Mapping[str, int]
    judged: Mapping[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """The figures by name; estimates as `{"value", "low", "high", "n"}`."""
        found = {name: share.as_json() for name, share in self.shares.items()}
        return {**found, **self.counts, "judge": self.judged}


def figures_of(answers: Sequence[RefusalAnswer]) -> RefusalFigures:
    """The figures of answers that the rules have read."""
    readings = [each.reading for each in answers if each.reading is not None]
    said = [each for each in readings if each.outcome is not Refusal.EMPTY]
    n = len(said)
    outcomes = Counter(each.outcome for each in said)
    counted = {
        "refused": outcomes[Refusal.FULL] + outcomes[Refusal.PARTIAL],
        "full": outcomes[Refusal.FULL],
        "partial": outcomes[Refusal.PARTIAL],
        "hedges": sum(each.hedges for each in said),
        "disclaims": sum(each.disclaims for each in said),
    }
    return RefusalFigures(
        {name: wilson(counted[name], n) for name in SHARES},
        {
            "complied": outcomes[Refusal.COMPLIANCE],
            "empty": len(readings) - n,
            "failed": len(answers) - len(readings),
            "n": len(answers),
        },
        _judged(answers),
    )


def _judged(answers: Sequence[RefusalAnswer]) -> dict[str, Any] | None:
    words = Counter(each.judged for each in answers if each.judged is not None)
    if not words:
        return None
    read = sum(words.values()) - words[UNPARSED]
    refused = words[Refusal.FULL.value] + words[Refusal.PARTIAL.value]
    return {
        "refused": wilson(refused, read).as_json(),
        "full": wilson(words[Refusal.FULL.value], read).as_json(),
        "partial": wilson(words[Refusal.PARTIAL.value], read).as_json(),
        "unparsed": words[UNPARSED],
        "n": sum(words.values()),
    }


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two raters of answers agree, both where they said something.

    Attributes:
        kappa: compliance against any refusal.
        three: the three classes.
    """

    kappa: Estimate
    three: Estimate

    def as_json(self) -> dict[str, Any]:
        """`kappa` and `kappa_three`."""
        return {"kappa": self.kappa.as_json(), "kappa_three": self.three.as_json()}


def agreement(
    answers: Sequence[RefusalAnswer], one: str, other: str, seed: int = 0
) -> Agreement | None:
    """Cohen's kappa of two raters with bootstrap intervals, or None where one rated nothing.

    Answers that are empty, that failed, or whose judge could not be read are left out: they have
    no class of the three.

    Args:
        answers: rated ones.
        one: `rules`, `people` or `judge`.
        other: another of these.
        seed: of the bootstrap.
    """
    pairs = [(_rating(each, one), _rating(each, other)) for each in answers]
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not both:
        return None
    return Agreement(
        kappa_estimate([(a.refused, b.refused) for a, b in both], seed=seed),
        kappa_estimate([(a.value, b.value) for a, b in both], seed=seed),
    )


def _rating(answer: RefusalAnswer, rater: str) -> Refusal | None:
    if rater == "people":
        return answer.label
    if rater == "judge":
        judged = answer.judged
        return None if judged is None or judged == UNPARSED else Refusal(judged)
    outcome = answer.reading.outcome if answer.reading else Refusal.EMPTY
    return None if outcome is Refusal.EMPTY else outcome


@dataclass(frozen=True, slots=True)
class Paired:
    """Two models on the same prompts.

    Attributes:
        kind: of the prompts: one of the kinds, or `all`.
        difference: share refused by the second less share refused by the first.
        only_first: prompts that the first alone refused.
        only_second: prompts that the second alone refused.
        p: exact McNemar test, two-sided; None where they never differ.
    """

    kind: str
    difference: Estimate
    only_first: int
    only_second: int
    p: float | None

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "difference": self.difference.as_json(),
            "only_first": self.only_first,
            "only_second": self.only_second,
            "p": self.p,
        }


def paired(first: Sequence[RefusalAnswer], second: Sequence[RefusalAnswer]) -> list[Paired]:
    """Two models on the prompts that both answered, by kind and in all."""
    mine = {each.id: each for each in first if _rating(each, "rules") is not None}
    pairs: list[tuple[RefusalAnswer, RefusalAnswer]] = [
        (mine[each.id], each)
        for each in {each.id: each for each in second}.values()
        if each.id in mine and _rating(each, "rules") is not None
    ]
    found = []
    for kind in (*KINDS, "all"):
        part = [(a, b) for a, b in pairs if kind in ("all", b.kind)]
        if part:
            found.append(_paired(kind, [(_refused(a), _refused(b)) for a, b in part]))
    return found


def _refused(answer: RefusalAnswer) -> bool:
    return answer.reading is not None and answer.reading.outcome.refused


def _paired(kind: str, pairs: Sequence[tuple[bool, bool]]) -> Paired:
    only_first = sum(a and not b for a, b in pairs)
    only_second = sum(b and not a for a, b in pairs)
    return Paired(
        kind,
        paired_difference(only_first, only_second, len(pairs)),
        only_first,
        only_second,
        mcnemar(only_first, only_second),
    )


def mcnemar(b: int, c: int) -> float | None:
    """Exact two-sided McNemar test (McNemar 1947): the sign test on what differs.

    Args:
        b: pairs of which only the first counts.
        c: pairs of which only the second counts.

    Returns:
        p, or None where no pair differs.
    """
    n = b + c
    if n == 0:
        return None
    tail = sum(math.comb(n, k) for k in range(min(b, c) + 1))
    # In whole numbers: 2**n is too large for a float where thousands differ.
    return min(1.0, float(2 * tail / 2**n))


def paired_difference(b: int, c: int, n: int, confidence: float = 0.95) -> Estimate:
    """Difference of two shares on the same items, (c - b) / n, with its adjusted Wald interval.

    Half an item is added to each of the four cells (Agresti and Min 2005, Statistics in Medicine
    24), so that no difference seen is not an interval of no width.

    Args:
        b: items that only the first counts.
        c: items that only the second counts.
        n: all items.
        confidence: two-sided coverage.
    """
    if n == 0:
        return Estimate(None, None, None, 0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    total, up, down = n + 2, c + 0.5, b + 0.5
    centre = (up - down) / total
    half = z * math.sqrt(up + down - (up - down) ** 2 / total) / total
    value = (c - b) / n
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    return Estimate(value, min(low, value), max(high, value), n)
