"""What people's answers change in the labels that they are about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from charter.hub.relabel import Label
from charter.review.answers import Turn, turned
from charter.review.spot_check import Human, SpotCheck
from charter.rows import Reason

__all__ = ["Outcome", "Rule", "Ruling", "p_of_votes", "ruling_of", "rulings"]

Rule = Literal["majority", "unanimous", "none"]
"""How many of a row's answers must say the same to overrule its label: more than half, or all."""

_OPEN: Final = (Human.TIE, Human.BOTH_BAD)


class Outcome(StrEnum):
    """What answers make of a label."""

    KEPT = "KEPT"
    """They agree with it, or with each other too little."""
    TURNED = "TURNED"
    """The other response is the chosen one now."""
    RESTORED = "RESTORED"
    """The AI's label is back: people have changed their minds, or taken their answers back."""
    RECOUNTED = "RECOUNTED"
    """A label of people's stands, on other votes."""
    REMOVED = "REMOVED"
    """It has no winner: the pair leaves `preference`."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of one row.

    Attributes:
        row_id: of `preference`.
        prompt_id: of its prompt.
        outcome: what happens.
        verdict: what people said, in terms of the AI's label.
        votes: answers that said it.
        of: answers that count.
        p: confidence of the winner by `p_of_votes`; None without one.
    """

    row_id: str
    prompt_id: str
    outcome: Outcome
    verdict: Human | None
    votes: int
    of: int
    p: float | None

    def label(self, row: Mapping[str, Any], before: Mapping[str, Any] | None) -> Label | None:
        """The new label; None where it stays or the row leaves.

        Args:
            row: of `preference`, with `p_chosen` and `n_votes`.
            before: what the AI's label was (`p_chosen`, `n_votes`), of a row that was overruled.
        """
        if self.outcome is Outcome.RESTORED and before is not None:
            return Label(True, float(before["p_chosen"]), int(before["n_votes"]), "ai")
        if self.outcome not in (Outcome.TURNED, Outcome.RECOUNTED):
            return None
        assert self.p is not None
        same = (row["label_source"], row["p_chosen"], row["n_votes"]) == ("human", self.p, self.of)
        return None if same else Label(self.outcome is Outcome.TURNED, self.p, self.of)

    def reject(self) -> tuple[str, str, str]:
        """Prompt id, reason and detail of the reject that a removed pair becomes."""
        bad = self.verdict is Human.BOTH_BAD
        reason = Reason.BOTH_BAD if bad else Reason.TIE
        said = "both responses are bad" if bad else "no response is better"
        detail = f"{self.votes} of {self.of} reviewers name no winner: {said}"
        return self.prompt_id, reason.value, detail


def p_of_votes(votes: float, of: int) -> float:
    """The confidence in a winner that `votes` of `of` answers name.

    Laplace's rule of succession, (k + 1) / (n + 2): the mean of the posterior that a uniform prior
    has after n answers. Three people are not certainty: 1 of 1 is 0.67, 3 of 3 are 0.8, 2 of 3 are
    0.6. Above one half for every majority, and never 1, so that its log-odds are finite. Who names
    no winner counts half, as ties do in the judge's votes.
    """
    return (votes + 1) / (of + 2)


def rulings(
    spot_checks: Iterable[SpotCheck],
    turn: Turn,
    overruled: Collection[str],
    rule: Rule,
    left_out: frozenset[str] = frozenset(),
) -> list[Ruling]:
    """What the answers on `preference` rows make of their labels, by row id.

    Answers on other texts than the row has now, and on gold rows, do not count. Those that saw
    the AI's label do: they were given to correct it. Of several by one reviewer the last counts.

    Args:
        spot_checks: the answers.
        turn: how each stands to the version (`charter.review.standing.Standing`).
        overruled: ids of rows whose label is people's already.
        rule: see `Rule`.
        left_out: reviewers whose answers do not count.
    """
    last: dict[tuple[str, str], SpotCheck] = {}
    for each in sorted(spot_checks, key=lambda one: (one.submitted, one.id)):
        if each.kind != "preference" or each.gold is not None or each.reviewer in left_out:
            continue
        stands = turn(each)
        if stands is not None:
            last[each.row_id, each.reviewer] = turned(each) if stands else each
    by_row: dict[str, list[SpotCheck]] = {}
    for (row_id, _), each in sorted(last.items()):
        by_row.setdefault(row_id, []).append(each)
    return [
        ruling_of(
            row_id, said[0].prompt_id, [one.verdict for one in said], row_id in overruled, rule
        )
        for row_id, said in by_row.items()
    ]


def ruling_of(
    row_id: str, prompt_id: str, said: list[Human], overruled: bool, rule: Rule
) -> Ruling:
    """What one row's answers, in terms of the AI's label, make of it."""
    counts = Counter(said)
    of = len(said)
    open_votes = sum(counts[each] for each in _OPEN)

    def decides(votes: int) -> bool:
        return rule != "none" and (2 * votes > of if rule == "majority" else votes == of)

    def made(outcome: Outcome, verdict: Human | None, votes: int) -> Ruling:
        p = None if outcome is Outcome.REMOVED else p_of_votes(votes + open_votes / 2, of)
        return Ruling(row_id, prompt_id, outcome, verdict, votes, of, p)

    if decides(open_votes):
        bad = counts[Human.BOTH_BAD] > counts[Human.TIE]
        return made(Outcome.REMOVED, Human.BOTH_BAD if bad else Human.TIE, open_votes)
    if decides(counts[Human.REJECTED]):
        outcome = Outcome.RECOUNTED if overruled else Outcome.TURNED
        return made(outcome, Human.REJECTED, counts[Human.REJECTED])
    # An overruled label needs its majority still; else the judge's word is the better one again.
    outcome = Outcome.RESTORED if overruled and rule != "none" else Outcome.KEPT
    if decides(counts[Human.CHOSEN]):
        return made(outcome, Human.CHOSEN, counts[Human.CHOSEN])
    return made(outcome, None, max(counts.values()))
