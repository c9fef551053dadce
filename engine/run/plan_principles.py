"""Which principle each call of a plan stands under, and the calls that cannot be looked up yet."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from charter.constitutions import Principle
from charter.recipes import Loaded
from charter.rows import Order, Row
from charter.steps.asking import Asking
from charter.steps.critique import REVISED, CritiqueAsk
from charter.steps.judge import JudgeAsk, pairs_of
from charter.steps.principles import comparison_principles
from charter.steps.respond import INITIAL, RespondAsk
from charter.steps.revise import ReviseAsk

__all__ = ["CHARS_A_TOKEN", "Unknown", "drawn_for"]

# Latin text is about four characters a token; what a plan says of tokens is an estimate.
CHARS_A_TOKEN = 4
_FRAME = 400  # characters that a judge reads around a comparison


def drawn_for(asking: Asking, row: Row) -> list[str]:
    """The principle of each of the step's calls on a row; empty where there is none."""
    if isinstance(asking, CritiqueAsk):
        return [asking.principle(row).id]
    if isinstance(asking, ReviseAsk):
        return [row["revisions"][-1]["principle_id"]]
    if isinstance(asking, JudgeAsk) and len(row.get("candidates") or ()) > 1:
        return [
            principle.id
            for pair in pairs_of(row, asking.pairs)
            if not pair.identical
            for principle in _compared(asking, pair.id)
            for _ in Order
        ]
    return []


def _compared(asking: JudgeAsk, pair_id: str) -> list[Principle]:
    return comparison_principles(asking.constitution, asking.principles, asking.seed, pair_id)


class Unknown:
    """Counts calls whose messages hang on answers that the cache lacks.

    Args:
        loaded: the recipe.
        steps: all its steps.
        slots: the candidates of a row, in order.
    """

    def __init__(self, loaded: Loaded, steps: Sequence[Asking], slots: Sequence[str]) -> None:
        self._slots = slots
        self._critiques = {s.round: s for s in steps if isinstance(s, CritiqueAsk)}
        models = loaded.recipe.models
        self._answer = models.role("generator").max_tokens * CHARS_A_TOKEN
        self._critique = models.role("critic").max_tokens * CHARS_A_TOKEN
        shots = loaded.recipe.sft.few_shot if loaded.recipe.sft else ()
        self._shots = sum(
            len(s.prompt) + len(s.response) + len(s.critique) + len(s.revision) for s in shots
        )

    def slot(self, asking: Asking) -> str | None:
        """The slot of the text that a step makes; None where it is no candidate."""
        if isinstance(asking, RespondAsk):
            return asking.slot
        return REVISED if isinstance(asking, ReviseAsk) and asking.candidate else None

    def calls(
        self, asking: Asking, row: Row, known: bool, lost: Sequence[str]
    ) -> Iterator[tuple[str | None, int]]:
        """(principle, about how many characters it reads) of each call that cannot be looked up.

        Args:
            asking: the step.
            row: as far as it is known.
            known: whether the chain of critiques and revisions is known so far.
            lost: slots of candidates whose text is not known.
        """
        if isinstance(asking, JudgeAsk):
            yield from self._votes(asking, row, lost)
        elif not known and not asking.independent:
            characters = sum(len(message["content"]) for message in row["prompt"]) + self._answer
            critique = asking
            if isinstance(asking, ReviseAsk):
                critique = self._critiques[asking.round]
            assert isinstance(critique, CritiqueAsk)
            principle = critique.principle(row)
            characters += self._shots + len(principle.critique)
            if isinstance(asking, ReviseAsk):
                characters += self._critique + len(principle.revision)
            yield principle.id, characters

    def _votes(self, asking: JudgeAsk, row: Row, lost: Sequence[str]) -> Iterator[tuple[str, int]]:
        """The votes on pairs of which a text is not known."""
        if not lost:
            return
        here = {candidate["slot"] for candidate in row.get("candidates") or ()} | set(lost)
        slots = [slot for slot in self._slots if slot in here]
        if asking.pairs == "revised-vs-initial":
            slots = [slot for slot in slots if slot in (INITIAL, REVISED)]
        prompt = sum(len(message["content"]) for message in row["prompt"])
        for a, b in itertools.combinations(slots, 2):
            if a not in lost and b not in lost:
                continue
            for principle in _compared(asking, f"{row['prompt_id']}#{a}~{b}"):
                characters = prompt + 2 * self._answer + len(principle.comparison) + _FRAME
                for _ in Order:
                    yield principle.id, characters
