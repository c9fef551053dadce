"""The config `reviews` as publication looks at it: its words, and the labels that stand on it.

What the columns mean, `charter.review.spot_check` says; the words here are the same (a test
compares them), since this room must not import that one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

import polars as pl

from charter.hub.columns import some
from charter.hub.number import is_tag
from charter.hub.part import Part

__all__ = ["STAGE", "WORDS", "HumanLabelCheck", "ReviewCheck"]

STAGE: Final = "review"
"""The stage of a reject that people made: a pair that had a label and has none by their word."""

WORDS: Final[dict[str, frozenset[str | None]]] = {
    "kind": frozenset({"preference", "sft"}),
    "verdict": frozenset({"CHOSEN", "REJECTED", "TIE", "BOTH_BAD", "BETTER", "SAME", "WORSE"}),
    "sure": frozenset({"SURE", "FAIRLY", "GUESS", None}),
    "first": frozenset({"chosen", "rejected", None}),
    "share": frozenset({"uniform", "uncertain", "gold"}),
    "gold": frozenset({"CHOSEN", "REJECTED", "TIE", "BOTH_BAD", "BETTER", "SAME", "WORSE", None}),
}
"""Column of `reviews` -> what may stand in it."""

_REVIEWER: Final = re.compile(r"[0-9a-f]{16}")
_TEXTS: Final = re.compile(r"[0-9a-f]{64}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class ReviewCheck:
    """Answers are known words, of reviewers whose names are pseudonyms, on rows with a chance."""

    def __init__(self) -> None:
        self._wrong: dict[str, list[str]] = {}

    def see(self, part: Part) -> None:
        """Look at the values of each column."""
        if part.config != "reviews":
            return
        for column, words in WORDS.items():
            odd = set(part.column(column).unique().to_list()) - words
            self._note(f"{column}: unknown", sorted(map(str, odd)))
        ids = part.column("id")
        for column, fits in (
            ("reviewer", _REVIEWER.fullmatch),
            ("texts", _TEXTS.fullmatch),
            ("submitted", _TIME.fullmatch),
            ("version", is_tag),
        ):
            values = part.column(column).to_list()
            odd_rows = [row for row, value in zip(ids, values, strict=True) if not fits(value)]
            self._note(f"{column}: not of its form in", odd_rows)
        chance = part.column("inclusion")
        outside = ids.filter(~((chance > 0) & (chance <= 1)))
        self._note("inclusion: no probability above 0 in", outside.to_list())

    def problems(self) -> Iterator[str]:
        """What is wrong, by column."""
        for what, names in self._wrong.items():
            yield f"reviews.{what} {some(names)}"

    def _note(self, what: str, names: list[str]) -> None:
        if names:
            held = self._wrong.setdefault(what, [])
            held += [name for name in names if name not in held]


class HumanLabelCheck:
    """A label of people's stands on as many answers in `reviews` as it says, at least on one.

    Answers stay when a row's texts change, so there may be more.
    """

    def __init__(self) -> None:
        self._labels: dict[str, int] = {}
        self._answers: Counter[str] = Counter()

    def see(self, part: Part) -> None:
        """Note the labels, and count the answers on each pair."""
        if part.config == "preference":
            human = part.frame("id", "label_source", "n_votes").filter(
                pl.col("label_source") == "human"
            )
            self._labels.update(human.select("id", "n_votes").iter_rows())
        if part.config == "reviews":
            said = part.frame("kind", "row_id", "gold").filter(
                (pl.col("kind") == "preference") & pl.col("gold").is_null()
            )
            self._answers.update(said["row_id"].to_list())

    def problems(self) -> Iterator[str]:
        """Labels that nobody gave."""
        bare = [
            name for name, votes in self._labels.items() if votes < 1 or self._answers[name] < votes
        ]
        if bare:
            yield f"label of people without as many answers in reviews: {some(bare)}"
