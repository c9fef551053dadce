"""Revise a response that breaks principles: critique and revision, and then the check again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from charter.constitutions import Principle
from charter.evals.guard import Checked
from charter.evals.guard_ask import Asker
from charter.evals.guard_check import Item, JudgeGuard
from charter.models.call import Answer, Call
from charter.rows import Message, draw_int
from charter.steps.critique import critique_messages
from charter.steps.revise import revise_messages

__all__ = ["Reviser"]


class Reviser:
    """Rewrites a response, one broken principle a round, as the recipe's `sft` steps would.

    Args:
        guard: checks again after each round.
        critic: writes the critiques.
        reviser: writes the revisions.
        rounds: at most so many.
        seed: of the draws.
    """

    def __init__(
        self, guard: JudgeGuard, critic: Asker, reviser: Asker, rounds: int = 2, seed: int = 0
    ) -> None:
        self._guard = guard
        self._critic = critic
        self._reviser = reviser
        self._rounds = rounds
        self._seed = seed
        self._principles: Mapping[str, Principle] = {p.id: p for p in guard.principles}

    async def revise(self, item: Item, checked: Checked) -> tuple[str, Checked] | None:
        """The first revision that breaks nothing, or the last one, with what was found of it.

        Args:
            item: the response.
            checked: what was found of it.

        Returns:
            None where critic or reviser gave no text.

        Raises:
            Failure: a server refuses the key or the model.
        """
        found: tuple[str, Checked] | None = None
        for number in range(1, self._rounds + 1):
            if not checked.violates:
                break
            worst = max(checked.violates, key=lambda each: 1.0 if each.p is None else each.p)
            text = await self._round(item, self._principles[worst.principle_id], number)
            if text is None:
                return None
            item = replace(item, response=text)
            checked = await self._guard.check(item)
            found = text, checked
        return found

    async def _round(self, item: Item, principle: Principle, number: int) -> str | None:
        prompt, response = item.prompt, item.response
        messages = critique_messages(prompt, response, principle)
        said = await self._ask(self._critic, "critique", item, number, messages)
        if not said:
            return None
        messages = revise_messages(prompt, response, said, principle)
        return await self._ask(self._reviser, "revise", item, number, messages)

    async def _ask(
        self, asker: Asker, step: str, item: Item, number: int, messages: tuple[Message, ...]
    ) -> str | None:
        seed = draw_int(self._seed, item.id, step, number)
        answers, _ = await asker.ask([Call(f"{step}-{number}", item.id, 0, seed, messages)])
        answer: Answer = answers[0]
        # A revision that was cut off is no answer to send on.
        fine = answer.ok and (step == "critique" or answer.finish_reason != "length")
        return (answer.text.strip() or None) if fine else None

    async def aclose(self) -> None:
        """Close the connections of critic and reviser."""
        await self._critic.aclose()
        await self._reviser.aclose()
