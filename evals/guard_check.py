"""The guard: a response checked under the principles of a constitution, or by a reward model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from charter.constitutions import Principle
from charter.evals.guard import Checked, Finding, Outcome, guard_call, read_answer
from charter.evals.guard_ask import Asker
from charter.rows import Message

if TYPE_CHECKING:
    from charter.trainers.score import Scorer

__all__ = ["Guard", "Item", "JudgeGuard", "RewardGuard", "check_all"]


@dataclass(frozen=True, slots=True)
class Item:
    """A response with what it answers.

    Attributes:
        id: its name.
        prompt: the conversation before it.
        response: its text.
    """

    id: str
    prompt: tuple[Message, ...]
    response: str


class Guard(Protocol):
    """Whoever says whether a response is fine."""

    async def check(self, item: Item) -> Checked:
        """The findings of one response."""
        ...

    async def aclose(self) -> None:
        """Close what belongs to the running loop."""
        ...


class JudgeGuard:
    """A judge that is asked about each principle.

    Args:
        asker: the judge.
        principles: what it is asked about.
        logprobs: whether it gives log-probabilities.
        threshold: the least p that counts as a violation.
        seed: of the draws.
    """

    def __init__(
        self,
        asker: Asker,
        principles: Sequence[Principle],
        *,
        logprobs: bool = True,
        threshold: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.asker = asker
        self.principles = tuple(principles)
        self._logprobs = logprobs
        self._threshold = threshold
        self._seed = seed

    async def check(self, item: Item) -> Checked:
        """The findings of one response, one a principle.

        Raises:
            Failure: the judge's server refuses the key or the model.
        """
        started = time.perf_counter()
        calls = [
            guard_call(
                item.id,
                item.prompt,
                item.response,
                principle,
                seed=self._seed,
                logprobs=self._logprobs,
            )
            for principle in self.principles
        ]
        answers, asked = await self.asker.ask(calls)
        findings = tuple(
            read_answer(each.id, answer, logprobs=self._logprobs, threshold=self._threshold)
            for each, answer in zip(self.principles, answers, strict=True)
        )
        return Checked(findings, time.perf_counter() - started, asked)

    async def aclose(self) -> None:
        """Close the judge's connections."""
        await self.asker.aclose()


class RewardGuard:
    """A reward model: what scores below the least score breaks the constitution as a whole.

    Args:
        scorer: a `charter.trainers.score.Scorer`.
        least: the lowest score that is fine.
    """

    def __init__(self, scorer: Scorer, least: float) -> None:
        self._scorer = scorer
        self._least = least
        self._thread = ThreadPoolExecutor(1, "guard-reward")

    async def check(self, item: Item) -> Checked:
        """One finding, named `reward`.

        Raises:
            Failure: memory ran out, or the model's weights are spoilt.
        """
        started = time.perf_counter()
        said: Message = {"role": "assistant", "content": item.response}
        messages = [[*item.prompt, said]]
        loop = asyncio.get_running_loop()
        (score,) = await loop.run_in_executor(self._thread, self._scorer.scores, messages)
        if score is None:
            finding = Finding("reward", Outcome.TOO_LONG)
        else:
            outcome = Outcome.VIOLATED if score < self._least else Outcome.KEPT
            finding = Finding("reward", outcome, score=score)
        return Checked((finding,), time.perf_counter() - started)

    async def aclose(self) -> None:
        """Nothing to close."""


def check_all(
    guard: Guard,
    items: Sequence[Item],
    *,
    at_once: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Checked]:
    """Each response checked, in their order; a loop of its own is run for it.

    Args:
        guard: who checks.
        items: what is checked.
        at_once: responses checked at a time.
        progress: called as `progress(done, total)`.

    Raises:
        Failure: as `guard.check`.
    """
    found: list[Checked | None] = [None] * len(items)
    done = 0

    async def worker(places: Sequence[int]) -> None:
        nonlocal done
        for place in places:
            found[place] = await guard.check(items[place])
            done += 1
            if progress is not None:
                progress(done, len(items))

    async def work() -> None:
        try:
            await asyncio.gather(*(worker(range(s, len(items), at_once)) for s in range(at_once)))
        finally:
            await guard.aclose()

    asyncio.run(work())
    return [each for each in found if each is not None]
