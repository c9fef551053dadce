"""Which principle each call of a plan stands under, and the calls that cannot be looked up yet."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from charter.recipes import Loaded
from charter.rows import Row
from charter.steps.asking import Asking, prepared
from charter.steps.critique import REVISED, CritiqueAsk
from charter.steps.judge import JudgeAsk, Judging
from charter.steps.pairs import pair_key
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
    if isinstance(asking, Judging):
        return [ask.principle.id for ask in asking.asks(prepared(row))]
    return []


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
        recipe = loaded.recipe
        longest = {role: recipe.role(role).max_tokens * CHARS_A_TOKEN for role in recipe.roles}
        self._answer = longest.get("generator", 0)
        self._critique = longest.get("critic", 0)
        self._reasons = longest.get("judge", 0)
        shots = loaded.recipe.sft.few_shot if loaded.recipe.sft else ()
        self._shots = sum(
            len(s.prompt) + len(s.response) + len(s.critique) + len(s.revision) for s in shots
        )

    def slot(self, asking: Asking) -> str | None:
        """The slot of the text that a step makes; None where it is no candidate."""
        if isinstance(asking, RespondAsk):
            return asking.slot
        return REVISED if isinstance(asking, ReviseAsk) and asking.candidate else None

    def calls(self, asking: Asking, row: Row, known: bool) -> Iterator[tuple[str | None, int]]:
        """(principle, about how many characters it reads) of a text that cannot be looked up.

        Args:
            asking: the step.
            row: as far as it is known.
            known: whether the chain of critiques and revisions is known so far.
        """
        if known or asking.independent:
            return
        characters = _length(row) + self._answer
        critique = asking
        if isinstance(asking, ReviseAsk):
            critique = self._critiques[asking.round]
        assert isinstance(critique, CritiqueAsk)
        principle = critique.principle(row)
        characters += self._shots + len(principle.critique)
        if isinstance(asking, ReviseAsk):
            characters += self._critique + len(principle.revision)
        yield principle.id, characters

    def votes(
        self, asking: Judging, row: Row, lost: Sequence[str]
    ) -> Iterator[tuple[str | None, int]]:
        """The votes on pairs of which a text is not known (`lost`: the slots of such texts)."""
        if not lost:
            return
        pairs = [(a, b) for a, b in self._pairs(asking, row, lost) if a in lost or b in lost]
        yield from self._asked(asking, row, pairs)

    def after(
        self, asking: Judging, row: Row, lost: Sequence[str]
    ) -> Iterator[tuple[str | None, int]]:
        """The most votes of a step that goes by what the judge said before, which is not known.

        Which pairs a round of a tournament asks about is not known either: the first ones stand
        for them.
        """
        pairs = self._pairs(asking, row, lost)
        most = asking.most_pairs(len({slot for pair in pairs for slot in pair}))
        yield from self._asked(asking, row, pairs[:most])

    def _pairs(self, asking: Judging, row: Row, lost: Sequence[str]) -> list[tuple[str, str]]:
        made = [candidate["slot"] for candidate in row.get("candidates") or ()]
        here = {*made, *lost}
        slots = [slot for slot in self._slots if slot in here] or made
        if asking.pairs == "revised-vs-initial":
            slots = [slot for slot in slots if slot in (INITIAL, REVISED)]
        return list(itertools.combinations(slots, 2))

    def _asked(
        self, asking: Judging, row: Row, pairs: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[str, int]]:
        reads = _length(row) + 2 * self._answer + _FRAME
        if isinstance(asking, JudgeAsk) and asking.mode == "cot":
            reads += self._reasons
        for a, b in pairs:
            drawn = asking.drawn(pair_key(row["prompt_id"], a, b))
            for principle in drawn:
                for _ in range(asking.calls_a_pair() // len(drawn)):
                    yield principle.id, reads + len(principle.comparison)


def _length(row: Row) -> int:
    return sum(len(message["content"]) for message in row["prompt"])
