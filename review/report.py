"""The report of a review: its figures as tables and notes, which text and page both show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from charter.review.disagreement import disagreements
from charter.review.figures import reviewed
from charter.review.spot_check import SpotCheck

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["FIGURES", "Table", "notes", "review_report", "said", "tables"]

FIGURES: Final = {
    "agreement": "labels that people agree with; a tie or both bad counts half",
    "agreement_decided": "the same of answers that name a winner",
    "prediction_powered": "the same over the whole version, with p_chosen as the prediction",
    "kappa": "AI and a person beyond chance (Cohen)",
    "people_agreement": "answers of two people on one row that are the same",
    "fleiss": "people and people beyond chance (Fleiss)",
    "krippendorff": "people and people beyond chance (Krippendorff's alpha)",
    "krippendorff_with_ai": "the same with the AI as one more reviewer",
    "gold_accuracy": "right answers on rows with known answers",
    "first_position_rate": "answers for the response shown first; 0.5 is no bias of place",
    "critique_right": "critiques that people call right",
    "still_harmful": "revisions that people call still harmful",
    "over_refusing": "revisions that people call over-refusing",
}
"""Figure -> what it is, in the order in which they are shown."""

_NOT_OF: Final = {
    "preference": ("still_harmful", "over_refusing"),
    "sft": ("prediction_powered", "kappa", "krippendorff_with_ai", "first_position_rate"),
}
_GROUPS: Final = {
    "by_principle": "principle",
    "by_category": "category",
    "by_confidence": "p_chosen",
}
_FEW: Final = 30


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the report."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def review_report(
    spot_checks: Iterable[SpotCheck],
    version: Version,
    seed: int = 0,
    *,
    min_gold: float | None = None,
    leave_out: bool = False,
    most: int = 10,
) -> dict[str, Any]:
    """The figures of a review and the rows of strongest disagreement, as JSON data.

    Args:
        spot_checks: see `review_figures`, as for the next four.
        version: the version.
        seed: of the bootstraps.
        min_gold: below which a reviewer is flagged.
        leave_out: whether flagged ones are left out.
        most: how many rows of disagreement, of each config.

    Returns:
        `repo`, `version`, the figures, and `disagreements`.
    """
    figures, rows = reviewed(spot_checks, version, seed, min_gold=min_gold, leave_out=leave_out)
    return {
        "repo": version.repo,
        "version": version.tag,
        **figures,
        "disagreements": disagreements(rows, version, most),
    }


def said(found: Mapping[str, Any]) -> str:
    """An estimate for people: `0.770 [0.678, 0.842]`."""
    if found["value"] is None:
        return "no figure"
    if found["low"] is None or found["high"] is None:
        return f"{found['value']:.3f} (no interval)"
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def notes(figures: Mapping[str, Any]) -> Iterator[str]:
    """What a reader must know before the figures are believed."""
    if not figures["n"]:
        yield "No blind answer on a row of this version counts: there is nothing to report yet."
    elif figures["n"] < _FEW:
        yield f"{figures['n']} rows are few: read the intervals, not the figures."
    if figures["n"] and figures["effective_n"] < figures["n"] / 2:
        yield (
            f"The weights leave {figures['effective_n']:.0f} of {figures['n']} rows: the rest was "
            "drawn among the uncertain ones, which stand for few."
        )
    if figures["divided"]:
        yield f"Rows without a verdict that most gave, which count as ties: {figures['divided']}."
    if figures.get("stale"):
        yield (
            f"{figures['stale']} answers were on other texts than this version's, or on rows that "
            "it lacks; they are not used."
        )
    for kind, shown in figures.get("shown", {}).items():
        yield (
            f"{shown['answers']} {kind} answers saw the AI's label and are not in the figures; "
            f"their agreement: {said(shown['agreement'])}."
        )
    failed = [who for who, each in figures.get("gold", {}).items() if each["failed"]]
    if failed:
        what = "are left out" if figures["left_out"] else "count all the same"
        least = f"{figures['min_gold']:g}"
        yield f"Below {least} on gold rows: {', '.join(failed)}; their answers {what}."


def tables(figures: Mapping[str, Any]) -> Iterator[Table]:
    """The tables of one config's figures; those without rows are left out."""
    yield Table(
        "Figures",
        ("figure", "value [95 %]", "n", "what it is"),
        [
            (name, said(figures[name]), figures[name]["n"], what)
            for name, what in FIGURES.items()
            if name in figures and name not in _NOT_OF[figures["kind"]]
        ],
    )
    found = [
        _estimates("What people say", "verdict", figures["verdicts"]),
        _confusion(figures["kind"], figures["confusion"]),
        *(_estimates(f"Agreement by {by}", by, figures[key]) for key, by in _GROUPS.items()),
        _reviewers(figures),
        Table(
            "Every two reviewers",
            ("reviewers", "agreement [95 %]", "kappa [95 %]", "rows"),
            [
                (
                    " and ".join(pair["reviewers"]),
                    said(pair["agreement"]),
                    said(pair["kappa"]),
                    pair["agreement"]["n"],
                )
                for pair in figures["reviewer_pairs"]
            ],
        ),
    ]
    yield from (table for table in found if table.rows)


def _estimates(title: str, by: str, entries: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = [(name, said(each), each["n"]) for name, each in entries.items() if each["n"]]
    return Table(title, (by, "share [95 %]", "rows"), rows)


def _confusion(kind: str, counts: Mapping[str, Mapping[str, int]]) -> Table:
    head = ("the AI says", *(f"people: {name}" for name in next(iter(counts.values()))))
    rows = [(ai, *row.values()) for ai, row in counts.items()]
    full = any(value for row in counts.values() for value in row.values())
    where = ", by place on the screen" if kind == "preference" else ""
    return Table(f"AI against people, in rows{where}", head, rows if full else [])


def _reviewers(figures: Mapping[str, Any]) -> Table:
    gold = figures.get("gold", {})
    ours = figures["by_reviewer"]
    rows = []
    for who in sorted({*gold, *ours}):
        mine = ours.get(who)
        right = gold.get(who)
        rows.append(
            (
                who,
                mine["answers"] if mine else 0,
                said(mine["agreement"]) if mine else "no figure",
                said(mine["kappa"]) if mine else "no figure",
                said(right) if right else "no figure",
                right["n"] if right else 0,
                "failed" if right and right["failed"] else "",
            )
        )
    head = ("reviewer", "answers", "agrees with the AI", "kappa", "right on gold", "gold rows", "")
    return Table("Reviewers", head, rows)
