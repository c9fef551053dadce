"""Ask one model from any number of coroutines at once, without holding up their loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from charter.models.ask import AsyncAnswering, ask_batch, trier
from charter.models.build import build_llm, identity, load_llm
from charter.models.cache import CallCache, Entry
from charter.models.call import Answer, Call
from charter.models.keys import Keys
from charter.models.lane import TransientError
from charter.recipes.schema import ModelSettings, RunSettings

__all__ = ["Asker"]

_PAUSE: Final = 0.25  # seconds before a second try, doubled for each after it
_MOST_PAUSE: Final = 5.0


class Asker:
    """A model that is loaded, and asked one response's questions at a time.

    A model of this process works in a thread of its own; a server is asked all at once, up to
    `run.in_flight` calls. A failed try is made again at most `run.retries` times, with no breaker
    between: whoever waits for an answer would rather have an error soon.

    Args:
        settings: of the model.
        run: how a server is asked.
        cache: where answers are looked up and kept; None keeps nothing.

    Raises:
        InputError: the model cannot be loaded.
    """

    def __init__(
        self, settings: ModelSettings, run: RunSettings, cache: CallCache | None = None
    ) -> None:
        from distilabel.models.llms.base import AsyncLLM

        self.settings = settings
        self._run = run
        self._cache = cache
        self._keys = Keys(identity(settings)) if cache is not None else None
        self._llm: Any = build_llm(settings, run)
        load_llm(self._llm, settings.llm)
        self._is_server = isinstance(self._llm, AsyncAnswering | AsyncLLM)
        # One thread: calls wait in line, and those that nobody waits for any more are dropped.
        self._thread = ThreadPoolExecutor(1, "guard-judge")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = asyncio.Semaphore(run.in_flight)

    async def ask(self, calls: Sequence[Call]) -> tuple[list[Answer], bool]:
        """Answers to calls in their order, and whether any was asked for now.

        Raises:
            Failure: the server refuses the key or the model, or the cache cannot be used.
        """
        if self._cache is None or self._keys is None:
            return await self._fresh(calls), True
        keys = [self._keys.key(call) for call in calls]
        known = dict(self._cache.get(keys))
        missing = [at for at, key in enumerate(keys) if key not in known]
        if missing:
            made = await self._fresh([calls[at] for at in missing])
            fresh = {keys[at]: answer for at, answer in zip(missing, made, strict=True)}
            self._cache.put(Entry(k, self._keys.model, answer) for k, answer in fresh.items())
            known |= fresh
        return [known[key] for key in keys], bool(missing)

    async def _fresh(self, calls: Sequence[Call]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        if not self._is_server:
            return await loop.run_in_executor(self._thread, ask_batch, self._llm, calls)
        if loop is not self._loop:
            self._loop, self._places = loop, asyncio.Semaphore(self._run.in_flight)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._tried(call)) for call in calls]
        except BaseExceptionGroup as failed:
            # One refusal of the key is all of them; the other calls have been cancelled.
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _tried(self, call: Call) -> Answer:
        attempt = trier(self._llm)
        async with self._places:
            for number in range(self._run.retries + 1):
                try:
                    return await attempt(call)
                except TransientError as error:
                    problem, wait = str(error), error.wait
                if number < self._run.retries:
                    await asyncio.sleep(min(_MOST_PAUSE, wait or _PAUSE * 2**number))
        return Answer(error=problem)

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        if isinstance(self._llm, AsyncAnswering):
            await self._llm.aclose()
