"""The same prompts before two loops' models: who refused which of them, and whether by chance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charter.evals.refusal import Refusal
from charter.evals.refusal_figures import mcnemar, paired_difference
from charter.stats import Estimate

__all__ = ["Change", "Refused", "changes", "read_refused"]

Refused = Mapping[str, tuple[str, bool]]
"""Prompt id -> its category, and whether it was refused; without those that got no answer."""


@dataclass(frozen=True, slots=True)
class Change:
    """Of one category and round: this loop's model beside another's.

    Attributes:
        loop: the other one.
        round: of both loops.
        category: of the prompts.
        difference: share refused in this loop less that in the other, of prompts both answered.
        p: exact McNemar test, two-sided; None where they never differ.
    """

    loop: str
    round: int
    category: str
    difference: Estimate
    p: float | None

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        names = ("loop", "round", "category", "p")
        return {n: getattr(self, n) for n in names} | {"difference": self.difference.as_json()}

    def row(self) -> tuple[str, ...]:
        """The cells of a table: the difference with its interval, and p."""
        found = self.difference
        said = f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"
        chance = "they never differ" if self.p is None else f"{self.p:.2g}"
        return (self.loop, str(self.round), self.category, str(found.n), said, chance)


def read_refused(path: Path) -> Refused | None:
    """What a round's answers say of each prompt; None where they are not there, or damaged."""
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
        return {
            row["id"]: (row["category"], Refusal(row["outcome"]).refused)
            for row in rows
            if row["outcome"] is not None
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None


def changes(loop: str, number: int, mine: Refused, other: Refused) -> Sequence[Change]:
    """A round of this loop beside that of another, by category.

    Args:
        loop: the other one.
        number: of the round.
        mine: this loop's refusals.
        other: the other loop's.
    """
    found: dict[str, list[tuple[bool, bool]]] = {}
    for name, (category, refused) in mine.items():
        if name in other:
            found.setdefault(category, []).append((other[name][1], refused))
    made = []
    for category, pairs in found.items():
        only_other = sum(a and not b for a, b in pairs)
        only_mine = sum(b and not a for a, b in pairs)
        difference = paired_difference(only_other, only_mine, len(pairs))
        made.append(Change(loop, number, category, difference, mcnemar(only_other, only_mine)))
    return made
