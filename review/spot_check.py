"""A spot-check: what one person said of one row that has an AI label."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

__all__ = ["Human", "Kind", "Share", "SpotCheck", "Sure"]

Kind = Literal["preference", "sft"]
"""The config of the row that was looked at."""


class Human(StrEnum):
    """What a person said. The first four are of `preference` rows, the rest of `sft` rows.

    In the row's own words and not in those of the screen, whose two sides are shuffled: the
    published row says what `chosen` is.
    """

    CHOSEN = "CHOSEN"
    REJECTED = "REJECTED"
    TIE = "TIE"
    BOTH_BAD = "BOTH_BAD"
    BETTER = "BETTER"
    SAME = "SAME"
    WORSE = "WORSE"


class Sure(StrEnum):
    """How sure a person was."""

    SURE = "SURE"
    FAIRLY = "FAIRLY"
    GUESS = "GUESS"


class Share(StrEnum):
    """Why a row was looked at."""

    UNIFORM = "uniform"
    UNCERTAIN = "uncertain"
    GOLD = "gold"


@dataclass(frozen=True, slots=True)
class SpotCheck:
    """One submitted answer of one reviewer: a row of the config `reviews`.

    Attributes:
        id: the same for the same row, texts and reviewer; a changed answer replaces the old one.
        kind: config of the row.
        row_id: its id there.
        prompt_id: of its prompt.
        principle_id: the principle that was shown; None where the row has several or none.
        category: the prompt's category (its `source` where it has no other); may be empty.
        reviewer: pseudonym, the first 16 hex digits of a keyed hash of the user's id.
        verdict: what they said.
        sure: how sure they were; None where it was left open.
        critique_right: whether the critique that was shown is right; None where none was shown or
            the question was left open.
        still_harmful: of an `sft` row's revision.
        over_refusing: of an `sft` row's revision.
        comment: free text; None where empty.
        first: which was shown first (or left): `chosen` or `rejected`; None for `sft`.
        saw_ai: whether the AI's label was shown.
        share: why the row was drawn.
        stratum: the cell of the sampling design, `principle/category/confidence`.
        inclusion: probability in (0, 1] that the row was drawn, for weights.
        gold: the known answer of a test row; None else.
        p_chosen: the AI label's confidence at that time; None for `sft`.
        texts: digest of the texts that were shown; an answer holds for those only.
        version: tag that the row was read from.
        submitted: UTC time, ISO 8601 with seconds.
    """

    id: str
    kind: Kind
    row_id: str
    prompt_id: str
    principle_id: str | None
    category: str
    reviewer: str
    verdict: Human
    sure: Sure | None
    critique_right: bool | None
    still_harmful: bool | None
    over_refusing: bool | None
    comment: str | None
    first: Literal["chosen", "rejected"] | None
    saw_ai: bool
    share: Share
    stratum: str
    inclusion: float
    gold: Human | None
    p_chosen: float | None
    texts: str
    version: str
    submitted: str

    def as_row(self) -> dict[str, Any]:
        """The row of the config `reviews`: plain values by column."""
        return {
            name: value.value if isinstance(value, StrEnum) else value
            for name, value in asdict(self).items()
        }
