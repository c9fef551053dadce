"""The runner: drives the tasks of a compiled pipeline in this process.

Models behind a server are walked row by row: a row's next call goes out as soon as its last one
came back, under one limit of calls in flight a model. Models that answer in batches (the embedded
one) go step by step: batches are cut by step and input order alone, and are kept whole, so that a
run from an empty cache makes the same batches twice, and a resumed run the same as an
uninterrupted one. Rows come out in input order either way.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from charter.models.ask import AsyncAnswering, ask_batch, ask_one
from charter.models.cache import CallCache, call_key
from charter.models.call import Answer, Call
from charter.rows import Row
from charter.run.progress import Progress
from charter.steps.asking import Asking

__all__ = ["BATCH", "Runner", "Stage", "Tally"]

# Calls a batch: beyond 32 the embedded model gains nothing on a CPU (measured, see README).
BATCH = 32
# Seconds that calls in flight get to come back when a run is stopped.
GRACE = 5.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One asking step with the model it asks.

    Attributes:
        asking: the pure step.
        llm: the loaded distilabel LLM.
        identity: the model's identity, for the cache.
        lane: what the limit of calls in flight is counted for.
    """

    asking: Asking
    llm: Any
    identity: Mapping[str, Any]
    lane: str

    @property
    def walks(self) -> bool:
        """Whether calls go out one by one: the LLM is asynchronous."""
        return isinstance(self.llm, AsyncAnswering) or hasattr(self.llm, "agenerate")


@dataclass(slots=True)
class Tally:
    """What was asked: by step, and in tokens by role.

    Attributes:
        calls: answers by step, from the cache or not.
        cached: those that the cache gave.
        failed: those that failed for good.
        tokens: (prompt, completion) tokens of calls not from the cache, by role.
        keys: the cache keys used, in no order.
    """

    calls: Counter[str] = field(default_factory=Counter)
    cached: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    tokens: dict[str, list[int]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    def count(self, stage: Stage, key: str, answer: Answer, cached: bool) -> None:
        """Enter one answer."""
        name = stage.asking.name
        self.calls[name] += 1
        self.cached[name] += cached
        self.failed[name] += not answer.ok
        if answer.ok:
            self.keys.append(key)
        if not cached:
            pair = self.tokens.setdefault(stage.asking.role, [0, 0])
            pair[0] += answer.prompt_tokens
            pair[1] += answer.completion_tokens


class Runner:
    """Walks rows through stages.

    Attributes:
        tally: what was asked so far; true also after an interruption.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        cache: CallCache,
        progress: Progress,
        in_flight: int,
    ) -> None:
        self._stages = list(stages)
        self._cache = cache
        self._progress = progress
        self._in_flight = in_flight
        self._stopping = False
        self.tally = Tally()

    def walk(self, rows: Sequence[Row]) -> list[Row]:
        """All rows through all stages, in input order.

        Raises:
            Failure: a server is down; what was answered is in the cache.
            KeyboardInterrupt: likewise.
        """
        walked = list(rows)
        for walks, group in itertools.groupby(self._stages, key=lambda stage: stage.walks):
            stages = list(group)
            if walks:
                walked = asyncio.run(self._walk_rows(stages, walked))
            else:
                for stage in stages:
                    walked = self._walk_batches(stage, walked)
        return walked

    # A model that answers in batches

    def _walk_batches(self, stage: Stage, rows: Sequence[Row]) -> list[Row]:
        wanted = [stage.asking.calls(row) for row in rows]
        calls = [call for group in wanted for call in group]
        self._progress.begin(stage.asking.name, len(calls))
        answers: list[Answer] = []
        for batch in _batches(calls):
            answers += self._answer_batch(stage, batch)
            self._progress.advance(stage.asking.name, len(batch))
        given = iter(answers)
        return [
            stage.asking.fold(row, [next(given) for _ in group])
            for row, group in zip(rows, wanted, strict=True)
        ]

    def _answer_batch(self, stage: Stage, calls: Sequence[Call]) -> list[Answer]:
        keys = [call_key(stage.identity, call) for call in calls]
        known = self._cache.get(keys)
        missing = [i for i, key in enumerate(keys) if key not in known]
        fresh = dict(zip(missing, ask_batch(stage.llm, [calls[i] for i in missing]), strict=True))
        self._cache.put((keys[i], answer) for i, answer in fresh.items())
        answers = []
        for i, key in enumerate(keys):
            answer = fresh[i] if i in fresh else known[key]
            self.tally.count(stage, key, answer, cached=i not in fresh)
            answers.append(answer)
        return answers

    # A model behind a server

    async def _walk_rows(self, stages: Sequence[Stage], rows: Sequence[Row]) -> list[Row]:
        if not rows:
            return []
        self._stopping = False
        limits = {stage.lane: asyncio.Semaphore(self._in_flight) for stage in stages}
        for stage in stages:
            self._progress.begin(stage.asking.name, stage.asking.most_calls() * len(rows))
        out: list[Row | None] = [None] * len(rows)
        waiting = iter(enumerate(rows))

        async def worker() -> None:
            # Rows are taken as they are needed: no more chains are open than can be served.
            for index, row in waiting:
                for stage in stages:
                    row = await self._step(stage, row, limits[stage.lane])  # noqa: PLW2901
                out[index] = row

        workers = [
            asyncio.create_task(worker()) for _ in range(min(len(rows), 2 * self._in_flight))
        ]
        try:
            # Unlike `gather`, `wait` leaves the workers alone when it is cancelled itself.
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            await self._drain(workers)
            for llm in {id(stage.llm): stage.llm for stage in stages}.values():
                if isinstance(llm, AsyncAnswering):
                    await llm.aclose()
        return [row for row in out if row is not None]

    async def _drain(self, workers: Sequence[asyncio.Task[None]]) -> None:
        """Start no new call, and wait a little for those in flight: they are paid for."""
        self._stopping = True
        await asyncio.wait(workers, timeout=GRACE)
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    async def _step(self, stage: Stage, row: Row, limit: asyncio.Semaphore) -> Row:
        calls = stage.asking.calls(row)
        answers = await asyncio.gather(*(self._answer(stage, call, limit) for call in calls))
        return stage.asking.fold(row, answers)

    async def _answer(self, stage: Stage, call: Call, limit: asyncio.Semaphore) -> Answer:
        key = call_key(stage.identity, call)
        known = self._cache.get([key])
        if key in known:
            answer = known[key]
        else:
            async with limit:
                if self._stopping:
                    raise asyncio.CancelledError
                answer = await ask_one(stage.llm, call)
            self._cache.put([(key, answer)])
        self.tally.count(stage, key, answer, cached=key in known)
        self._progress.advance(stage.asking.name)
        return answer


def _batches(calls: Sequence[Call]) -> Iterator[Sequence[Call]]:
    for start in range(0, len(calls), BATCH):
        yield calls[start : start + BATCH]
