"""Revise: the reviser rewrites the answer after the critique, under the same principle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from charter.constitutions import Constitution, Principle
from charter.models.call import Answer, Call
from charter.recipes.schema import FewShot
from charter.rows import Message, Reason, Row, draw_int
from charter.steps.asking import OneText, add_fault, answer_fault, as_messages, prepared
from charter.steps.critique import REVISED, critique_messages, latest

__all__ = ["ReviseAsk", "revise_messages"]


def revise_messages(
    prompt: Sequence[Message],
    response: str,
    critique: str,
    principle: Principle,
    examples: Sequence[tuple[FewShot, Principle]] = (),
) -> tuple[Message, ...]:
    """The critique's conversation, the critique, and the principle's revision request."""
    asked = critique_messages(prompt, response, principle, examples)
    said: Message = {"role": "assistant", "content": critique}
    request: Message = {"role": "user", "content": principle.revision}
    return (*asked, said, request)


@dataclass(frozen=True, slots=True)
class ReviseAsk(OneText):
    """Ask for the revision of one round.

    Attributes:
        constitution: where the principle comes from.
        round: from 1.
        seed: the recipe's seed.
        model: the reviser's name, as it is published.
        candidate: whether this is the last round and its revision a candidate.
        few_shot: worked examples, the same as the critique's.
    """

    constitution: Constitution
    round: int = 1
    seed: int = 0
    model: str = ""
    candidate: bool = False
    few_shot: tuple[FewShot, ...] = ()

    @property
    def role(self) -> str:
        """The reviser."""
        return "reviser"

    @property
    def name(self) -> str:
        """`revise-ROUND`."""
        return f"revise-{self.round}"

    def calls(self, row: Row) -> list[Call]:
        """One revision, unless an earlier fault left no critique to follow."""
        row = prepared(row)
        response = latest(row)
        if response is None or not self._open(row):
            return []
        entry = row["revisions"][-1]
        examples = [(s, self.constitution.principle(s.principle)) for s in self.few_shot]
        messages = revise_messages(
            as_messages(row["prompt"]),
            response,
            entry["critique"],
            self.constitution.principle(entry["principle_id"]),
            examples,
        )
        seed = draw_int(self.seed, row["prompt_id"], "revise", self.round)
        return [Call(self.name, row["prompt_id"], 0, seed, messages)]

    def _open(self, row: Row) -> bool:
        return bool(row["revisions"]) and not row["revisions"][-1]["revision"]

    def fold(self, row: Row, answers: Sequence[Answer]) -> Row:
        """Closes the entry of `revisions`; in the last round also adds a candidate."""
        row = prepared(row)
        if not answers:
            return row
        (answer,) = answers
        fault = answer_fault(answer, Reason.EMPTY_REVISION)
        if fault:
            return add_fault(row, self.name, REVISED, *fault)
        text = answer.said
        entry = {**row["revisions"][-1], "revision": text, "model": self.model}
        row = {**row, "revisions": [*row["revisions"][:-1], entry]}
        if self.candidate:
            candidate = {"slot": REVISED, "text": text, "model": self.model}
            row = {**row, "candidates": [*row["candidates"], candidate]}
        return row
