"""The audit of a judge: its figures on all comparisons and on each part of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from charter.evals.judge_figures import Figures, figures_of
from charter.evals.judge_pairs import (
    LENGTH_BUCKETS,
    Comparison,
    comparisons,
    length_bucket,
    only_votes,
)
from charter.evals.judge_votes import JudgedVote
from charter.ppi import ppi_mean
from charter.rows import Order, Verdict
from charter.stats import Estimate, wilson

__all__ = ["GROUPS", "Disagreement", "JudgeAudit", "Powered", "Recorded", "audit_judge"]

GROUPS: Final = ("by_principle", "by_category", "by_length", "by_judge")
"""What comparisons are looked at by, besides all together."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A vote in which our parser and the source's record read different winners.

    Attributes:
        comparison_id: the pair.
        order: of the vote.
        judge: who voted.
        parsed: the verdict that we read, in terms of the candidates.
        recorded: what the source says.
    """

    comparison_id: str
    order: Order
    judge: str
    parsed: Verdict
    recorded: Verdict


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a source's own reading of its votes comes to.

    Attributes:
        agreement: share of the votes with a recorded winner that we read the same way.
        figures: of the comparisons by the recorded winners.
        disagreements: each vote read differently.
    """

    agreement: Estimate
    figures: Figures
    disagreements: tuple[Disagreement, ...]

    def as_json(self) -> dict[str, Any]:
        """`agreement`, `figures`, `disagreements`."""
        return {
            "agreement": self.agreement.as_json(),
            "figures": self.figures.as_json(),
            "disagreements": [
                {
                    "comparison_id": each.comparison_id,
                    "order": each.order.value,
                    "judge": each.judge,
                    "parsed": each.parsed.value,
                    "recorded": each.recorded.value,
                }
                for each in self.disagreements
            ],
        }


@dataclass(frozen=True, slots=True)
class Powered:
    """What people's labels on a part say of all labels (`charter.ppi`).

    Attributes:
        ppi_accuracy: share of all labels that are people's winner, with the judge's confidence
            as the prediction.
        classical_accuracy: the same from the labels alone that people saw.
        ppi_win_rate: how often people prefer the chosen response; a tie is half a win.
        classical_win_rate: the same from the labels alone that people saw.
    """

    ppi_accuracy: Estimate
    classical_accuracy: Estimate
    ppi_win_rate: Estimate
    classical_win_rate: Estimate

    def items(self) -> dict[str, Estimate]:
        """The four by name."""
        return {
            "ppi_accuracy": self.ppi_accuracy,
            "classical_accuracy": self.classical_accuracy,
            "ppi_win_rate": self.ppi_win_rate,
            "classical_win_rate": self.classical_win_rate,
        }


@dataclass(frozen=True, slots=True)
class JudgeAudit:
    """An audit.

    Attributes:
        figures: of all comparisons.
        groups: by the names of `GROUPS`, then by the group's own name. What is the same for all
            comparisons, or known of none, is no group.
        powered: estimates for all labels from people's labels on a part.
        recorded: the source's own reading, where it has one.
        warnings: what a reader must know before using the figures.
    """

    figures: Figures
    groups: Mapping[str, Mapping[str, Figures]]
    powered: Powered
    recorded: Recorded | None
    warnings: tuple[str, ...]

    @property
    def partly_seen(self) -> bool:
        """Whether people labelled a part of the comparisons."""
        counts = self.figures.counts
        return 0 < counts["people_not_asked"] < counts["comparisons"]

    def as_json(self) -> dict[str, Any]:
        """Every figure by name, the groups, `recorded`, `warnings`."""
        return {
            **self.figures.as_json(),
            **{name: found.as_json() for name, found in self.powered.items().items()},
            **{
                name: {key: found.as_json() for key, found in groups.items()}
                for name, groups in self.groups.items()
            },
            "recorded": None if self.recorded is None else self.recorded.as_json(),
            "warnings": list(self.warnings),
        }


def audit_judge(
    votes: Sequence[JudgedVote],
    *,
    sampling: Mapping[str, float] | None = None,
    published: Collection[str] | None = None,
    seed: int = 0,
) -> JudgeAudit:
    """The audit of a judge's votes.

    Args:
        votes: parsed or not, of one judge or several.
        sampling: by comparison, one over the probability with which it was shown to people;
            None where all were as likely.
        published: the pairs whose labels the estimates for all labels are about; None for each
            pair of which the judge names a winner.
        seed: of the bootstraps.

    Raises:
        ValueError: people's label is not the same in all votes on a pair, or `sampling` lacks a
            pair that people labelled.
    """
    if len({(v.comparison_id, v.human) for v in votes}) != len({v.comparison_id for v in votes}):
        raise ValueError("people's label is not the same in all votes on a pair")
    found = comparisons(votes)
    figures = figures_of(found, seed=seed)
    return JudgeAudit(
        figures=figures,
        groups={
            "by_principle": _by_vote(found, lambda vote: vote.principle_id, seed),
            "by_category": _by(found, lambda each: each.category, seed),
            "by_length": _by_length(found, seed),
            "by_judge": _by_judge(found, seed),
        },
        powered=_powered(found, sampling, published),
        recorded=_recorded(votes, seed),
        warnings=tuple(_warnings(found, figures)),
    )


def _by(
    found: Sequence[Comparison], key: Callable[[Comparison], str | None], seed: int
) -> dict[str, Figures]:
    groups: dict[str, list[Comparison]] = {}
    for each in found:
        name = key(each)
        if name:
            groups.setdefault(name, []).append(each)
    return {name: figures_of(groups[name], seed=seed) for name in sorted(groups)}


def _by_length(found: Sequence[Comparison], seed: int) -> dict[str, Figures]:
    groups = _by(found, length_bucket, seed)
    return {name: groups[name] for name in LENGTH_BUCKETS if name in groups}


def _by_judge(found: Sequence[Comparison], seed: int) -> dict[str, Figures]:
    several = len({each.judge for each in found}) > 1
    return _by(found, lambda each: each.judge or "not named", seed) if several else {}


def _by_vote(
    found: Sequence[Comparison], key: Callable[[JudgedVote], str], seed: int
) -> dict[str, Figures]:
    groups: dict[str, Figures] = {}
    for name in sorted({key(vote) for each in found for vote in each.votes} - {""}):
        groups[name] = figures_of(only_votes(found, partial(_named, key, name)), seed=seed)
    return groups


def _named(key: Callable[[JudgedVote], str], name: str, vote: JudgedVote) -> bool:
    return key(vote) == name


def _powered(
    found: Sequence[Comparison],
    sampling: Mapping[str, float] | None,
    published: Collection[str] | None,
) -> Powered:
    named = [
        each
        for each in found
        if each.label in (Verdict.A, Verdict.B) and (published is None or each.id in published)
    ]
    seen = [each for each in named if each.human is not None]
    decided = [each for each in seen if each.decided]
    # People's ties are known on a part only, so they leave the accuracy's other part as it is.
    other = named if sampling is not None else [each for each in named if each.human is None]
    return Powered(
        ppi_accuracy=_estimate(decided, other, sampling),
        classical_accuracy=_estimate(decided, (), sampling),
        ppi_win_rate=_estimate(seen, other, sampling),
        classical_win_rate=_estimate(seen, (), sampling),
    )


def _sure(each: Comparison) -> float:
    assert each.p_a is not None
    return max(each.p_a, 1 - each.p_a)


def _estimate(
    seen: Sequence[Comparison],
    other: Sequence[Comparison],
    sampling: Mapping[str, float] | None,
) -> Estimate:
    if sampling is not None and any(each.id not in sampling for each in seen):
        raise ValueError("`sampling` lacks a pair that people labelled")
    return ppi_mean(
        [0.5 if not each.decided else float(each.label is each.human) for each in seen],
        [_sure(each) for each in seen],
        [_sure(each) for each in other],
        None if sampling is None else [sampling[each.id] for each in seen],
    )


def _recorded(votes: Sequence[JudgedVote], seed: int) -> Recorded | None:
    known = [vote for vote in votes if vote.recorded is not None]
    if not known:
        return None
    apart = [vote for vote in known if vote.recorded is not vote.verdict]
    theirs = [
        replace(vote, verdict=vote.recorded, p_a=None)
        for vote in known
        if vote.recorded is not None
    ]
    return Recorded(
        agreement=wilson(len(known) - len(apart), len(known)),
        figures=figures_of(comparisons(theirs), seed=seed),
        disagreements=tuple(
            Disagreement(v.comparison_id, v.order, v.judge_model, v.verdict, v.recorded)
            for v in apart
            if v.recorded is not None
        ),
    )


def _warnings(found: Sequence[Comparison], figures: Figures) -> list[str]:
    counts = figures.counts
    said = []
    single = counts["one_order"]
    if single == counts["comparisons"]:
        said.append(
            "no comparison was asked in both orders: labels are those of the one order, with "
            "whatever the judge gives to a place"
        )
    elif single:
        said.append(f"{single} comparisons were asked in one order only and have no label")
    judges = {each.judge for each in found}
    if len(judges) > 1:
        said.append(
            f"votes of {len(judges)} judges together, as if each had its own pairs: intervals are "
            "too narrow; each judge alone is under by_judge"
        )
    if counts["people_not_asked"] == counts["comparisons"]:
        said.append("no labels of people: there is no figure of agreement with them")
    if counts["unparsed_votes"]:
        said.append(f"{counts['unparsed_votes']} of {counts['votes']} votes cannot be read")
    return said
