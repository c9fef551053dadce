"""How consistently a judge reads each principle: figures from votes on the same pairs.

Every pair is judged under every principle, in both orders, and at least twice (`sample` 0, 1).
What is said about labels comes from sample 0 alone, as in a run; the later samples only say how
far a vote can be had again.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from charter.agreement import clustered
from charter.rows import Order, Verdict
from charter.stats import Estimate, cohen_kappa, holm, wilson
from charter.steps.label import KeepRule, label_votes

__all__ = [
    "Agreement",
    "ConstitutionFigures",
    "Flips",
    "PrincipleFigures",
    "Vote",
    "measure_constitution",
]

Vote = Mapping[str, Any]
# Two principles contradict when they agree on fewer pairs than a coin would make them.
CONTRADICTS_BELOW = 0.5
# They are redundant when they agree on more than this share.
REDUNDANT_ABOVE = 0.9
# Chance that any contradiction at all is found among principles that do not contradict.
LEVEL = 0.05
# A judge that reads a principle by chance gives the same verdict half of the time.
CHANCE = 0.5
_TALKATIVE = 10  # pairs before a principle is called unreliable


@dataclass(frozen=True, slots=True)
class PrincipleFigures:
    """How one principle is read.

    Attributes:
        principle_id: which.
        pairs: how many pairs were judged under it.
        applies: share of the pairs to which it alone gives a label, by the rule of the recipe.
        bears: share of the conversations on which the judge says that it bears; n is 0 where
            the judge was not asked.
        order_consistency: share of the pairs, read in both orders, with one verdict in both.
        retest: share of the votes of later samples that repeat the verdict of sample 0 in the
            same order; its interval counts the votes of one pair as the few that they are worth.
        first_position: share of the votes with a winner that name the one shown first.
        ties: share of ties among the votes of sample 0.
        unparsed: share of the votes, of all samples, that cannot be read.
        failed: how many of these are calls that failed.
    """

    principle_id: str
    pairs: int
    applies: Estimate
    bears: Estimate
    order_consistency: Estimate
    retest: Estimate
    first_position: Estimate
    ties: Estimate
    unparsed: Estimate
    failed: int

    @property
    def unreliable(self) -> str:
        """Which figure cannot be told from chance: `orders`, `retest`; `place`; or empty.

        The lower end of the interval is not above one half, with at least ten pairs. `place`:
        the two orders part because the judge leans to the response shown first, which says
        nothing against the principle.
        """
        if self.pairs < _TALKATIVE:
            return ""
        leans = self.first_position.low is not None and self.first_position.low > CHANCE
        by_chance = [
            name
            for name, found in (("orders", self.order_consistency), ("retest", self.retest))
            if found.low is not None and found.low <= CHANCE
        ]
        if leans and "orders" in by_chance:
            by_chance = [*by_chance[1:], "place"]
        return by_chance[0] if by_chance else ""

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        shares = {
            "applies": self.applies,
            "bears": self.bears,
            "order_consistency": self.order_consistency,
            "retest": self.retest,
            "first_position_rate": self.first_position,
            "tie_rate": self.ties,
            "unparsed_rate": self.unparsed,
        }
        found: dict[str, Any] = {name: share.as_json() for name, share in shares.items()}
        return {"pairs": self.pairs, **found, "failed": self.failed, "unreliable": self.unreliable}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two principles on the pairs that both decide.

    Attributes:
        principles: their ids, in the order of the constitution.
        share: of those pairs to which both give the same winner.
        kappa: agreement beyond chance, or None where it is not defined.
        p: probability of so few agreements if both were coins.
        contradicts: the interval is wholly below one half, and `p` holds after Holm's
            correction for all pairs of principles.
        redundant: the interval is wholly above 0.9. Not corrected: it is a hint to look, and
            on other pairs the two may part.
    """

    principles: tuple[str, str]
    share: Estimate
    kappa: float | None
    p: float
    contradicts: bool
    redundant: bool

    def as_json(self) -> dict[str, Any]:
        """The estimate, with kappa and p beside it."""
        return {**self.share.as_json(), "kappa": self.kappa, "p": self.p}


@dataclass(frozen=True, slots=True)
class Flips:
    """What leaving out one principle does to the labels of all principles together.

    Attributes:
        principle_id: which one is left out.
        changed: share of the pairs whose label changes: another winner, a label lost or won.
        reversed: share of the pairs whose winner becomes the other one.
    """

    principle_id: str
    changed: Estimate
    reversed: Estimate

    def as_json(self) -> dict[str, Any]:
        """Both estimates."""
        return {"changed": self.changed.as_json(), "reversed": self.reversed.as_json()}


@dataclass(frozen=True, slots=True)
class ConstitutionFigures:
    """The whole audit.

    Attributes:
        pairs: how many pairs have votes.
        principles: figures, in the order of the constitution.
        agreement: of every two principles.
        flips: of every principle; empty where there is only one.
        again: share of the labels, of all principles together, that change from sample 0 to
            sample 1: what flips without any principle being left out.
    """

    pairs: int
    principles: tuple[PrincipleFigures, ...]
    agreement: tuple[Agreement, ...]
    flips: tuple[Flips, ...]
    again: Estimate

    @property
    def contradictions(self) -> list[Agreement]:
        """The two that contradict most come first."""
        found = [a for a in self.agreement if a.contradicts]
        return sorted(found, key=lambda a: (a.share.value or 0.0, a.principles))

    @property
    def redundant(self) -> list[Agreement]:
        """The two that agree most come first."""
        found = [a for a in self.agreement if a.redundant]
        return sorted(found, key=lambda a: (-(a.share.value or 0.0), a.principles))

    def matrix(self) -> list[list[float | None]]:
        """Shares of agreement, one row and one column a principle; None where there is none."""
        ids = [p.principle_id for p in self.principles]
        known = {a.principles: a.share.value for a in self.agreement}
        return [[1.0 if x == y else known.get((x, y), known.get((y, x))) for y in ids] for x in ids]

    def as_json(self) -> dict[str, Any]:
        """The object of `charter audit constitution --json`, without the warnings."""
        matrix: dict[str, dict[str, Any]] = {p.principle_id: {} for p in self.principles}
        for pair in self.agreement:
            one, other = pair.principles
            matrix[one][other] = matrix[other][one] = pair.as_json()
        return {
            "pairs": self.pairs,
            "principles": {p.principle_id: p.as_json() for p in self.principles},
            "agreement": matrix,
            "contradictions": [_named(pair) for pair in self.contradictions],
            "redundant": [_named(pair) for pair in self.redundant],
            "flips": {f.principle_id: f.as_json() for f in self.flips},
            "flips_again": self.again.as_json(),
        }


def _named(pair: Agreement) -> dict[str, Any]:
    return {"principles": list(pair.principles), **pair.as_json()}


def _below_half(agreed: int, n: int) -> float:
    """P(X <= agreed) of n fair coins, exactly."""
    return sum(math.comb(n, k) for k in range(agreed + 1)) / (1 << n)


@dataclass(slots=True)
class _Judged:
    """The votes of one principle on one pair, by sample and order."""

    votes: dict[tuple[int, str], Vote] = field(default_factory=dict)

    def verdict(self, sample: int, order: Order) -> str:
        """What was said, or UNPARSED."""
        vote = self.votes.get((sample, order.value))
        return Verdict.UNPARSED if vote is None else str(vote["verdict"])

    def of_sample(self, sample: int) -> list[Vote]:
        """The votes of one sample."""
        return [vote for (number, _), vote in self.votes.items() if number == sample]


_Table = dict[str, dict[str, _Judged]]  # principle -> pair -> votes


def measure_constitution(
    principles: Sequence[str],
    votes: Sequence[Sequence[Vote]],
    rule: KeepRule,
    weights: Mapping[str, float],
    bears: Mapping[str, Estimate] | None = None,
) -> ConstitutionFigures:
    """Every figure of the audit.

    Args:
        principles: ids, in the order of the constitution.
        votes: of each pair, all its votes: `comparison_id`, `principle_id`, `order`, `sample`,
            `verdict`, `p_a`, and `log_odds` where there are log-probabilities.
        rule: what makes votes a label; that of the recipe.
        weights: weight of each principle.
        bears: what the judge said when asked on which conversations a principle bears.

    Raises:
        ValueError: a vote is of a principle that is not among `principles`, or one order of a
            sample has two votes.
    """
    table = _tabled(principles, votes)
    pairs = list(dict.fromkeys(pair for judged in table.values() for pair in judged))

    def label(chosen: Sequence[str], pair: str, sample: int = 0) -> str:
        """The winner by the votes of some principles; the one place where votes become one."""
        used = [v for name in chosen if (j := table[name].get(pair)) for v in j.of_sample(sample)]
        return label_votes(used, rule, weights).winner

    winners = {name: {pair: label([name], pair) for pair in table[name]} for name in principles}
    found = tuple(
        _figures(name, table[name], winners[name], (bears or {}).get(name)) for name in principles
    )
    flips, again = _flips(list(principles), pairs, label, _has_retest(table))
    return ConstitutionFigures(len(pairs), found, tuple(_agreements(winners)), flips, again)


def _tabled(principles: Sequence[str], votes: Sequence[Sequence[Vote]]) -> _Table:
    table: _Table = {name: {} for name in principles}
    for vote in itertools.chain.from_iterable(votes):
        if vote["principle_id"] not in table:
            raise ValueError(f"a vote under {vote['principle_id']!r}, which is no principle here")
        judged = table[vote["principle_id"]].setdefault(vote["comparison_id"], _Judged())
        place = (int(vote.get("sample", 0)), str(vote["order"]))
        if place in judged.votes:
            raise ValueError(f"two votes on {vote['comparison_id']!r} in one order and sample")
        judged.votes[place] = vote
    return table


def _has_retest(table: _Table) -> bool:
    every = (judged for pairs in table.values() for judged in pairs.values())
    return any(sample for judged in every for sample, _ in judged.votes)


def _figures(
    name: str, judged: Mapping[str, _Judged], winners: Mapping[str, str], bears: Estimate | None
) -> PrincipleFigures:
    read = [[one.verdict(0, order) for order in Order] for one in judged.values()]
    whole = [verdicts for verdicts in read if Verdict.UNPARSED not in verdicts]
    every = [list(one.votes.values()) for one in judged.values()]
    decided = Counter(bool(winner) for winner in winners.values())
    return PrincipleFigures(
        principle_id=name,
        pairs=len(judged),
        applies=wilson(decided[True], len(winners)),
        bears=bears or Estimate(None, None, None, 0),
        order_consistency=wilson(sum(ab == ba for ab, ba in whole), len(whole)),
        retest=clustered([_repeated(one) for one in judged.values()]),
        first_position=clustered([_first(verdicts) for verdicts in read]),
        ties=clustered([(verdicts.count(Verdict.TIE), 2) for verdicts in read]),
        unparsed=clustered([(_unparsed(votes), len(votes)) for votes in every]),
        failed=sum(bool(vote.get("error")) for votes in every for vote in votes),
    )


def _unparsed(votes: Sequence[Vote]) -> int:
    return sum(vote["verdict"] == Verdict.UNPARSED for vote in votes)


def _first(verdicts: Sequence[str]) -> tuple[int, int]:
    """(votes for the one shown first, votes with a winner) of a pair's two orders."""
    named = [(v, order) for v, order in zip(verdicts, Order, strict=True) if v in ("A", "B")]
    return sum(order.value.startswith(v) for v, order in named), len(named)


def _repeated(judged: _Judged) -> tuple[int, int]:
    """(votes that repeat sample 0, votes that could) of one pair."""
    same = total = 0
    for (sample, order), vote in judged.votes.items():
        before = judged.verdict(0, Order(order))
        if sample and Verdict.UNPARSED not in (before, vote["verdict"]):
            total += 1
            same += before == vote["verdict"]
    return same, total


def _agreements(winners: Mapping[str, Mapping[str, str]]) -> list[Agreement]:
    pairs, shares, kappas, p_values = [], [], [], []
    for one, other in itertools.combinations(winners, 2):
        ours, theirs = winners[one], winners[other]
        both = [(ours[p], theirs[p]) for p in ours if ours[p] and theirs.get(p)]
        agreed = sum(x == y for x, y in both)
        pairs.append((one, other))
        shares.append(wilson(agreed, len(both)))
        kappas.append(cohen_kappa([x for x, _ in both], [y for _, y in both]))
        p_values.append(_below_half(agreed, len(both)))
    return [
        Agreement(
            principles=pair,
            share=share,
            kappa=kappa,
            p=p,
            contradicts=p_holm <= LEVEL
            and share.high is not None
            and share.high < CONTRADICTS_BELOW,
            redundant=share.low is not None and share.low > REDUNDANT_ABOVE,
        )
        for pair, share, kappa, p, p_holm in zip(
            pairs, shares, kappas, p_values, holm(p_values), strict=True
        )
    ]


def _flips(
    principles: Sequence[str],
    pairs: Sequence[str],
    label: Callable[..., str],
    retested: bool,
) -> tuple[tuple[Flips, ...], Estimate]:
    """Leave-one-out, and how many labels change when the judge is asked again."""
    whole = {pair: label(principles, pair) for pair in pairs}
    flips = []
    for name in principles if len(principles) > 1 else ():
        rest = [other for other in principles if other != name]
        changed = reversed_ = 0
        for pair in pairs:
            now = label(rest, pair)
            changed += now != whole[pair]
            reversed_ += {now, whole[pair]} == {"A", "B"}
        flips.append(Flips(name, wilson(changed, len(pairs)), wilson(reversed_, len(pairs))))
    changed = sum(label(principles, pair, 1) != whole[pair] for pair in pairs) if retested else 0
    return tuple(flips), wilson(changed, len(pairs) if retested else 0)
