"""Answers sorted into those that count and those that do not, and set together by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from charter.review.spot_check import Human, Kind, SpotCheck
from charter.rows import draw_unit

__all__ = ["SCORES", "Answers", "CheckedRow", "Turn", "sort_answers", "turned"]

SCORES: Final[Mapping[Human, float]] = {
    Human.CHOSEN: 1.0,
    Human.TIE: 0.5,
    Human.BOTH_BAD: 0.5,
    Human.REJECTED: 0.0,
    Human.BETTER: 1.0,
    Human.SAME: 0.5,
    Human.WORSE: 0.0,
}
"""How far a verdict agrees with the AI's label.

Who names no winner agrees by half, as ties count in votes everywhere in Charter; that both are
bad says nothing of which is better, and counts as a tie (as in Chatbot Arena, Chiang et al. 2024,
arXiv 2403.04132). The shares of each verdict, and the agreement with ties left out, are figures
of their own (the two setups of Zheng et al. 2023, arXiv 2306.05685, section 4.2).
"""

_OPEN: Final[Mapping[Kind, Human]] = {"preference": Human.TIE, "sft": Human.SAME}
_OTHER: Final = {Human.CHOSEN: Human.REJECTED, Human.REJECTED: Human.CHOSEN}

Turn = Callable[[SpotCheck], bool | None]
"""How an answer stands to the version: False as it is, True with `chosen` and `rejected` having
changed places since, None where it was on other texts or on a row that is gone."""


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """What people said of one row.

    Attributes:
        kind: its config.
        row_id: its id there.
        prompt_id: of its prompt.
        principle_id: the principle that was shown.
        category: of the prompt.
        p_chosen: the AI label's confidence.
        inclusion: probability that the row was drawn.
        ai: the AI's label: the place `A` or `B` that it names (`BETTER` for `sft`).
        said: (reviewer, label in the same terms), by reviewer.
        verdict: what most say; where as many say something else, a tie (`SAME`).
        divided: whether no verdict had the most answers.
        answers: the answers, by reviewer.
    """

    kind: Kind
    row_id: str
    prompt_id: str
    principle_id: str | None
    category: str
    p_chosen: float | None
    inclusion: float
    ai: str
    said: tuple[tuple[str, str], ...]
    verdict: Human
    divided: bool
    answers: tuple[SpotCheck, ...]

    @property
    def score(self) -> float:
        """How far people agree with the label, 0, 0.5 or 1."""
        return SCORES[self.verdict]

    @property
    def label(self) -> str:
        """The verdict in terms of `ai`."""
        return _label(self.verdict, self.ai)


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers by what they are good for.

    Attributes:
        blind: rows that people judged without the AI's label, by id.
        shown: rows of which they saw it: never mixed with the others.
        gold: blind answers on test rows with known answers.
        stale: how many were on other texts than the version's, or on rows that it lacks.
    """

    blind: tuple[CheckedRow, ...]
    shown: tuple[CheckedRow, ...]
    gold: tuple[SpotCheck, ...]
    stale: int


def sort_answers(
    spot_checks: Iterable[SpotCheck], turn: Turn, left_out: frozenset[str] = frozenset()
) -> Answers:
    """Sort answers; of several by one reviewer on one row the last counts.

    Args:
        spot_checks: the answers, in any order.
        turn: how each stands to the version; not asked of gold rows, which need not be in it.
        left_out: reviewers whose answers do not count, but on gold rows.
    """
    last: dict[tuple[str, str, str, bool], SpotCheck] = {}
    gold: dict[tuple[str, str, str], SpotCheck] = {}
    stale = 0
    for each in sorted(spot_checks, key=lambda each: (each.submitted, each.id)):
        if each.gold is not None:
            if not each.saw_ai:
                gold[each.kind, each.row_id, each.reviewer] = each
            continue
        changed = turn(each)
        if changed is None:
            stale += 1
        elif each.reviewer not in left_out:
            found = turned(each) if changed else each
            last[each.kind, each.row_id, each.reviewer, each.saw_ai] = found
    by_row: dict[tuple[bool, Kind, str], list[SpotCheck]] = {}
    for each in last.values():
        by_row.setdefault((each.saw_ai, each.kind, each.row_id), []).append(each)
    rows = [(key[0], _row(answers)) for key, answers in sorted(by_row.items())]
    return Answers(
        blind=tuple(row for saw_ai, row in rows if not saw_ai),
        shown=tuple(row for saw_ai, row in rows if saw_ai),
        gold=tuple(gold[key] for key in sorted(gold)),
        stale=stale,
    )


def turned(answer: SpotCheck) -> SpotCheck:
    """An answer in terms of a label that has changed sides since."""
    verdict = _OTHER.get(answer.verdict, answer.verdict)
    if answer.first is None:
        return replace(answer, verdict=verdict)
    first: Literal["chosen", "rejected"] = "rejected" if answer.first == "chosen" else "chosen"
    return replace(answer, verdict=verdict, first=first)


def _row(given: Iterable[SpotCheck]) -> CheckedRow:
    answers = sorted(given, key=lambda each: each.reviewer)
    one = answers[0]
    verdict, divided = _most(answers)
    ai = _place(one)
    return CheckedRow(
        kind=one.kind,
        row_id=one.row_id,
        prompt_id=one.prompt_id,
        principle_id=one.principle_id,
        category=one.category,
        p_chosen=one.p_chosen,
        # A row that is in two draws was at least as likely in one as in either alone.
        inclusion=max(each.inclusion for each in answers),
        ai=ai,
        said=tuple((each.reviewer, _label(each.verdict, ai)) for each in answers),
        verdict=verdict,
        divided=divided,
        answers=tuple(answers),
    )


def _place(answer: SpotCheck) -> str:
    """The place of the AI's choice on the screen of the row's first reviewer.

    In terms of `chosen` the AI would say one thing of every row, and no figure that takes chance
    off is defined for that.
    """
    if answer.kind == "sft":
        return Human.BETTER.value
    first = answer.first
    if first is None:
        first = "chosen" if draw_unit(0, answer.row_id, "place", 0) < 0.5 else "rejected"
    return "A" if first == "chosen" else "B"


def _label(verdict: Human, ai: str) -> str:
    if verdict is Human.CHOSEN:
        return ai
    if verdict is Human.REJECTED:
        return "B" if ai == "A" else "A"
    return verdict.value


def _most(answers: list[SpotCheck]) -> tuple[Human, bool]:
    """The verdict with most answers; a tie where two have as many."""
    if len(answers) == 1:
        return answers[0].verdict, False
    counts = Counter(each.verdict for each in answers)
    best = max(counts.values())
    most = [verdict for verdict, count in counts.items() if count == best]
    return (most[0], False) if len(most) == 1 else (_OPEN[answers[0].kind], True)
