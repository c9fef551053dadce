"""The block `review` of a recipe: which rows people check, and what they must have found."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from charter.constitutions.schema import Text
from charter.documents import Settings

__all__ = ["ReviewKind", "ReviewSettings"]

ReviewKind = Literal["preference", "sft"]
"""The configs whose rows people check."""

Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class ReviewSettings(Settings):
    """Which rows people check, and what they must have found before a release."""

    # -- choosing rows
    n: int = Field(default=20, ge=1, description="Rows to check, of each kind; gold rows included.")
    uncertain: Fraction = Field(
        default=0.5,
        description="Share taken from the least sure labels; the rest is a fair draw from all.",
    )
    kinds: tuple[ReviewKind, ...] = Field(
        default=("preference",), min_length=1, description="Configs whose rows are checked."
    )
    gold: Text | None = Field(
        default=None, description="jsonl of rows with known answers, to test reviewers."
    )
    gold_share: Fraction = Field(
        default=0.1, description="Share of the rows sent that are gold ones, where there are any."
    )
    overlap: int = Field(default=1, ge=1, description="Reviewers of each row.")
    critiques: bool = Field(
        default=False, description="Show the judge's rationale, and ask whether it is right."
    )
    seed: int | None = Field(
        default=None, ge=0, description="Of the draw and of the order shown; default the recipe's."
    )

    # -- before a release
    min_reviews: int | None = Field(
        default=None, ge=1, description="Rows that people must have answered blind."
    )
    min_reviewers: int | None = Field(
        default=None, ge=1, description="People who must have answered."
    )
    min_agreement_lower: Fraction | None = Field(
        default=None,
        description="What the lower end of the agreement's 95 % interval must reach.",
    )
    min_gold_accuracy: Share | None = Field(
        default=None,
        description="Share of right answers on gold rows, over all reviewers; who is below it does "
        "not count.",
    )
    max_still_harmful: Fraction | None = Field(
        default=None,
        description="What the upper end of the share of harmful revisions must not pass.",
    )
    max_over_refusing: Fraction | None = Field(
        default=None,
        description="What the upper end of the share of over-refusing revisions must not pass.",
    )
