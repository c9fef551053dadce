"""Critique: the critic criticises the latest answer under one principle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from charter.constitutions import Constitution, Principle
from charter.models.call import Answer, Call
from charter.recipes.schema import FewShot
from charter.rows import Message, Reason, Row, draw_int
from charter.steps.asking import OneText, add_fault, answer_fault, as_messages, fault_at, prepared
from charter.steps.principles import Choice, round_principle
from charter.steps.respond import INITIAL

__all__ = ["REVISED", "CritiqueAsk", "critique_messages", "latest"]

REVISED = "revised"


def latest(row: Row) -> str | None:
    """The answer to work on: the last revision, else the first response, else None."""
    if fault_at(row, INITIAL) or fault_at(row, REVISED):
        return None
    texts: list[str] = [entry["revision"] for entry in row["revisions"] if entry["revision"]]
    first: str | None = row["initial_response"]
    return texts[-1] if texts else first


def critique_messages(
    prompt: Sequence[Message],
    response: str,
    principle: Principle,
    examples: Sequence[tuple[FewShot, Principle]] = (),
) -> tuple[Message, ...]:
    """The conversation, the answer, and the principle's critique request.

    After Bai et al. 2022, section 3.1: the request follows the answer as a user's message, and
    worked examples, where given, stand before the conversation. Each starts from the answer
    alone: critiques of earlier rounds are not shown.
    """
    system = [m for m in prompt if m["role"] == "system"]
    turns = [m for m in prompt if m["role"] != "system"]
    shots: list[Message] = []
    for shot, about in examples:
        shots += [
            {"role": "user", "content": shot.prompt},
            {"role": "assistant", "content": shot.response},
            {"role": "user", "content": about.critique},
            {"role": "assistant", "content": shot.critique},
            {"role": "user", "content": about.revision},
            {"role": "assistant", "content": shot.revision},
        ]
    answer: Message = {"role": "assistant", "content": response}
    request: Message = {"role": "user", "content": principle.critique}
    return (*system, *shots, *turns, answer, request)


@dataclass(frozen=True, slots=True)
class CritiqueAsk(OneText):
    """Ask for the critique of one round.

    Attributes:
        constitution: where the principle comes from.
        round: from 1.
        principles: how the round gets its principle.
        seed: the recipe's seed.
        few_shot: worked examples.
    """

    constitution: Constitution
    round: int = 1
    principles: Choice = "random"
    seed: int = 0
    few_shot: tuple[FewShot, ...] = ()

    @property
    def role(self) -> str:
        """The critic."""
        return "critic"

    @property
    def name(self) -> str:
        """`critique-ROUND`."""
        return f"critique-{self.round}"

    def principle(self, row: Row) -> Principle:
        """The principle of this round for this row."""
        return round_principle(
            self.constitution, self.principles, self.seed, row["prompt_id"], self.round - 1
        )

    def calls(self, row: Row) -> list[Call]:
        """One critique, unless an earlier fault left no answer to criticise."""
        row = prepared(row)
        response = latest(row)
        if response is None:
            return []
        examples = [(s, self.constitution.principle(s.principle)) for s in self.few_shot]
        messages = critique_messages(
            as_messages(row["prompt"]), response, self.principle(row), examples
        )
        seed = draw_int(self.seed, row["prompt_id"], "critique", self.round)
        return [Call(self.name, row["prompt_id"], 0, seed, messages)]

    def fold(self, row: Row, answers: Sequence[Answer]) -> Row:
        """Opens an entry in `revisions` with principle and critique."""
        row = prepared(row)
        if not answers:
            return row
        (answer,) = answers
        fault = answer_fault(answer, Reason.EMPTY_CRITIQUE)
        if fault:
            return add_fault(row, self.name, REVISED, *fault)
        entry = {
            "principle_id": self.principle(row).id,
            "critique": answer.said,
            "revision": "",
            "model": "",
        }
        return {**row, "revisions": [*row["revisions"], entry]}
