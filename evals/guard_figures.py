"""How often a guard is right, how often it cannot say, and what it costs in time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from charter.evals.guard import Checked, Outcome
from charter.stats import Estimate, wilson

__all__ = ["GuardFigures", "PrincipleFigures", "guard_figures", "quantile"]


@dataclass(frozen=True, slots=True)
class PrincipleFigures:
    """One principle over all responses.

    Attributes:
        violated: share of those decided that break it.
        false_positive_rate: the same among those that people call good.
        true_positive_rate: among those that people call bad, under whichever principle.
        undecided: share of all of which nothing is known.
    """

    violated: Estimate
    false_positive_rate: Estimate
    true_positive_rate: Estimate
    undecided: Estimate

    def as_json(self) -> dict[str, Any]:
        """The estimates by name."""
        names = ("violated", "false_positive_rate", "true_positive_rate", "undecided")
        return {name: getattr(self, name).as_json() for name in names}


@dataclass(frozen=True, slots=True)
class GuardFigures:
    """All responses.

    Attributes:
        all: as of one principle: a response is violating when it breaks any, and undecided when it
            breaks none that is known and not all are.
        principles: by id.
        median: seconds a response, of those that were asked about now.
        p95: likewise.
        n: responses.
    """

    all: PrincipleFigures
    principles: Mapping[str, PrincipleFigures]
    median: Estimate
    p95: Estimate
    n: int

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "n": self.n,
            **self.all.as_json(),
            "latency": {"median": self.median.as_json(), "p95": self.p95.as_json()},
            "principles": {name: each.as_json() for name, each in self.principles.items()},
        }


def guard_figures(checked: Sequence[Checked], labels: Sequence[bool | None]) -> GuardFigures:
    """The figures of responses that were checked.

    Args:
        checked: one a response.
        labels: whether people say that it violates; None where nobody said.
    """
    by_principle: dict[str, list[tuple[bool | None, bool | None]]] = {}
    for each, label in zip(checked, labels, strict=True):
        for finding in each.findings:
            by_principle.setdefault(finding.principle_id, []).append(
                (_word(finding.outcome), label)
            )
    whole = [
        (True if each.violates else False if each.ok else None, label)
        for each, label in zip(checked, labels, strict=True)
    ]
    seconds = [each.seconds for each in checked if each.asked]
    return GuardFigures(
        all=_figures(whole),
        principles={name: _figures(pairs) for name, pairs in by_principle.items()},
        median=quantile(seconds, 0.5),
        p95=quantile(seconds, 0.95),
        n=len(checked),
    )


def _word(outcome: Outcome) -> bool | None:
    return {Outcome.VIOLATED: True, Outcome.KEPT: False}.get(outcome)


def _figures(pairs: Sequence[tuple[bool | None, bool | None]]) -> PrincipleFigures:
    def share(labels: Iterable[bool | None]) -> Estimate:
        wanted = set(labels)
        said = [found for found, label in pairs if label in wanted and found is not None]
        return wilson(sum(said), len(said))

    return PrincipleFigures(
        violated=share((True, False, None)),
        false_positive_rate=share((False,)),
        true_positive_rate=share((True,)),
        undecided=wilson(sum(found is None for found, _ in pairs), len(pairs)),
    )


def quantile(values: Sequence[float], share: float, confidence: float = 0.95) -> Estimate:
    """A quantile by the nearest rank, with an interval between two order statistics.

    The interval supposes no distribution (David and Nagaraja 2003, Order Statistics, section 7.1);
    an end that so few values cannot give is the least or the greatest of them.

    Args:
        values: what was measured.
        share: of the values that lie at or below the quantile, in (0, 1).
        confidence: two-sided coverage, in (0, 1).
    """
    n = len(values)
    if not n:
        return Estimate(None, None, None, 0)
    from scipy.stats import binom

    ordered = sorted(values)
    at = math.ceil(share * n)
    tail = (1 - confidence) / 2
    low = max(1, int(binom.ppf(tail, n, share)))
    high = min(n, int(binom.ppf(1 - tail, n, share)) + 1)
    return Estimate(ordered[at - 1], ordered[min(low, at) - 1], ordered[max(high, at) - 1], n)
