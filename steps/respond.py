"""Respond: the generator answers a prompt, once for the first answer or for a candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from charter.models.call import Answer, Call
from charter.rows import Reason, Row, draw_int
from charter.steps.asking import OneText, add_fault, answer_fault, as_messages, prepared

__all__ = ["INITIAL", "RespondAsk"]

INITIAL = "initial"


@dataclass(frozen=True, slots=True)
class RespondAsk(OneText):
    """Ask for one response.

    Attributes:
        index: 0 is the first answer (`initial`), k >= 1 the candidate `sampled-k`.
        seed: the recipe's seed.
        model: the generator's name, as it is published.
        candidate: whether the first answer is a candidate as well.
    """

    index: int = 0
    seed: int = 0
    model: str = ""
    candidate: bool = False

    @property
    def role(self) -> str:
        """The generator."""
        return "generator"

    @property
    def slot(self) -> str:
        """The candidate's slot."""
        return INITIAL if self.index == 0 else f"sampled-{self.index}"

    @property
    def name(self) -> str:
        """`respond`, or `respond-k` for a sampled candidate."""
        return "respond" if self.index == 0 else f"respond-{self.index}"

    @property
    def independent(self) -> bool:
        """Yes: it sees the prompt alone."""
        return True

    def calls(self, row: Row) -> list[Call]:
        """The prompt as it is."""
        row = prepared(row)
        seed = draw_int(self.seed, row["prompt_id"], "respond", self.index)
        messages = as_messages(row["prompt"])
        return [Call(self.name, row["prompt_id"], self.index, seed, messages)]

    def fold(self, row: Row, answers: Sequence[Answer]) -> Row:
        """Adds `initial_response`, or a candidate."""
        row = prepared(row)
        (answer,) = answers
        fault = answer_fault(answer, Reason.EMPTY_RESPONSE)
        if fault:
            return add_fault(row, self.name, self.slot, *fault)
        text = answer.said
        if self.index == 0:
            row["initial_response"] = text
            if not self.candidate:
                return row
        entry = {"slot": self.slot, "text": text, "model": self.model}
        return {**row, "candidates": [*row["candidates"], entry]}
