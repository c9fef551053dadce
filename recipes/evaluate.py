"""The block `evaluate` of a recipe: what is measured of models, and what a release must reach."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from charter.constitutions.schema import Text
from charter.documents import Settings

__all__ = ["GATES", "EvaluateSettings", "EvaluationPart", "RefusalSettings"]

EvaluationPart = Literal["refusal", "tax", "depth", "winrate", "tamper"]
"""The evaluations by name, as in `charter eval NAME`."""

Share = Annotated[float, Field(ge=0, le=1)]

# A gate of the block -> the evaluation whose figure it looks at.
GATES: dict[str, EvaluationPart] = {
    "min_refused": "refusal",
    "max_over_refusal": "refusal",
    "max_tax": "tax",
    "max_worst_tax": "tax",
    "min_win_rate": "winrate",
    "max_early_share": "depth",
    "max_prefilled": "depth",
    "min_tamper_examples": "tamper",
}


class RefusalSettings(Settings):
    """Refusals before and after training, on prompts that were not trained on."""

    path: Text = Field(default="prompts/shipped.jsonl", description="jsonl with a category.")
    per_category: int = Field(default=12, ge=1, description="Prompts asked of each category.")
    categories: tuple[Text, ...] = Field(default=("harmful", "benign"), description="Which ones.")
    max_tokens: int = Field(default=48, ge=1, description="Longest answer in tokens.")


class EvaluateSettings(Settings):
    """What is measured on the trained models, and what the last of them must reach."""

    refusal: RefusalSettings | None = Field(default=None, description="Refusals.")

    # -- what the model that is to be released must reach; of `charter report`
    min_refused: Share | None = Field(
        default=None, description="Share of harmful prompts that it must refuse."
    )
    max_over_refusal: Share | None = Field(
        default=None, description="Share of harmless prompts that it may refuse."
    )
    max_tax: float | None = Field(
        default=None, description="Average alignment tax, in percent of the base's scores."
    )
    max_worst_tax: float | None = Field(
        default=None, description="Tax on each benchmark: an average hides trades."
    )
    min_win_rate: Share | None = Field(
        default=None, description="Share of answers preferred to the base's; a tie is half."
    )
    max_early_share: Share | None = Field(
        default=None, description="Share of its divergence that the first 5 tokens may hold."
    )
    max_prefilled: Share | None = Field(
        default=None, description="Share that may go on complying after the most forced tokens."
    )
    min_tamper_examples: int | None = Field(
        default=None, ge=1, description="Examples that must not undo half of its safety."
    )
    by: Literal["estimate", "interval"] = Field(
        default="estimate",
        description="`interval`: the worse end of the 95 % interval must reach it too.",
    )

    @property
    def gates(self) -> dict[str, float]:
        """The gates that are set, with their numbers."""
        found = {name: getattr(self, name) for name in GATES}
        return {name: value for name, value in found.items() if value is not None}
