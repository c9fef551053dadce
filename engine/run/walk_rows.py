"""Walk rows through the steps of models behind servers, each row at its own pace.

A row's next call goes out as soon as its last one came back; nothing waits for a batch. What the
cache knows is replayed first, many rows at once; a row takes a worker when a call must be made.
Rows come out in input order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from charter.errors import Failure, Interrupted
from charter.models.ask import AsyncAnswering, trier
from charter.models.cache import Entry
from charter.models.call import Answer, Call
from charter.models.desk import Desk
from charter.models.lane import EMPTY_TRIES, Lane
from charter.rows import Row
from charter.run.limits import bound
from charter.run.tally import Stage
from charter.run.work import Emit, Rows, Work

__all__ = ["RowWalk"]

# Rows replayed from the cache at once: enough for one query to serve many, few enough that calls
# in flight don't wait long for the loop.
CHUNK = 64
# Rows that may be ahead of the oldest unfinished one, for which they are held in memory. No less
# than a chunk, of which the last rows may be still to begin.
AHEAD = 4096
# Rows under way for each call that may be in flight, when most of them wait to try again ...
MOST_WORKERS = 8
# ... and at the end.
LAST = 4
# Seconds that calls in flight get to come back when a run fails.
GRACE = 5.0


@dataclass(slots=True)
class _Open:
    """A row that has come to a call which the cache does not know.

    Attributes:
        index: its place in the input.
        row: as it is before the step.
        stage: index of the step.
        calls: of the step.
        keys: of the calls.
        known: the answers that are known, by key.
    """

    index: int
    row: Row
    stage: int = 0
    calls: Sequence[Call] = ()
    keys: Sequence[bytes] = ()
    known: dict[bytes, Answer] = field(default_factory=dict)


_LAST = _Open(-1, {})


class RowWalk:
    """One walk; for one use.

    Args:
        stages: the steps, each with a lane.
        emit: is given each walked row, in input order.
        work: what the run shares.
    """

    def __init__(self, stages: Sequence[Stage], emit: Emit, work: Work) -> None:
        self._stages = stages
        self._emit = emit
        self._work = work
        self._desk = Desk(work.store)
        self._lanes: dict[str, Lane] = {s.lane.name: s.lane for s in stages if s.lane}
        self._done: dict[int, Row] = {}
        self._next = 0
        self._moved = asyncio.Event()
        self._halt = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []
        self._source: Iterator[_Open | None] = iter(())
        self._begun = self._read = 0
        self._ended = False
        self._triers: dict[int, Callable[[Call], Awaitable[Answer]]] = {}

    async def walk(self, rows: Rows) -> None:
        """Walk all rows.

        Raises:
            Failure: a server is down, or too many rows fail; what was answered is in the cache.
            Interrupted: a stop was asked for, or a limit is reached.
        """
        self._source = self._open_rows(iter(rows))
        self._triers = {id(stage.llm): trier(stage.llm) for stage in self._stages}
        for lane in self._lanes.values():
            lane.open()  # an earlier walk of the same run has stopped it
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.call_soon_threadsafe(self._stop)

        self._work.stopper.watch(stop)
        watching = loop.create_task(self._look())
        try:
            self._hire(self._enough())
            await self._until_done()
            await self._drained()
            self._raise_first()
        finally:
            self._work.stopper.unwatch(stop)
            watching.cancel()
            await self._close()
        if self._work.stopper.asked:
            raise self._work.stopped()
        assert self._ended and not self._done, "rows were lost on the way"

    # Rows in and out

    def _open_rows(self, rows: Iterator[Row]) -> Iterator[_Open | None]:
        """Rows that need a call; None after a chunk of rows that needed none."""
        index = 0
        while True:
            chunk: list[_Open] = []
            for row in rows:
                chunk.append(_Open(index, row))
                index += 1
                if len(chunk) == CHUNK:
                    break
            if not chunk:
                self._ended = True
                return
            self._read = index
            stuck = self._replayed(chunk)
            yield from stuck
            if not stuck:
                yield None

    def _replayed(self, chunk: list[_Open]) -> list[_Open]:
        """Take rows as far as the cache knows the way; those that it doesn't, in order."""
        stuck: list[_Open] = []
        going = chunk
        for number, stage in enumerate(self._stages):
            for each in going:
                each.stage = number
                each.calls = stage.asking.calls(each.row)
                each.keys = [stage.keys.key(call) for call in each.calls]
            known = self._work.look_up([key for each in going for key in each.keys])
            on: list[_Open] = []
            for each in going:
                each.known = {key: known[key] for key in each.keys if key in known}
                if len(each.known) < len(each.keys):
                    stuck.append(each)
                    continue
                answers = [known[key] for key in each.keys]
                for key, answer in zip(each.keys, answers, strict=True):
                    self._work.known(stage, key, answer)
                each.row = stage.asking.fold(each.row, answers)
                on.append(each)
            going = on
            if not going:
                break
        for each in going:
            self._finish(each.index, each.row)
        stuck.sort(key=lambda each: each.index)
        return stuck

    def _finish(self, index: int, row: Row) -> None:
        self._done[index] = row
        if index != self._next:
            return
        while self._next in self._done:
            ready = self._done.pop(self._next)
            self._next += 1
            self._emit(ready)
        self._moved.set()

    # One row

    def _enough(self) -> int:
        """Workers for the rows that are still to be begun.

        As many as calls may be in flight, as a row takes its own place again for its next call: a
        server that remembers the beginnings of prompts likes a row's calls close together. All of
        the last rows at once: begun one by one, each would end its chain alone.
        """
        calls = sum(lane.ceiling for lane in self._lanes.values())
        left = self._work.rows - self._begun
        return left if left <= LAST * calls else calls

    def _hire(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        self._workers += [loop.create_task(self._worker()) for _ in range(count)]

    def _hire_for_gaps(self) -> None:
        """Start more where lanes stand empty, as rows wait for another server or to try again."""
        lanes = self._lanes.values()
        free = sum(max(0, lane.limit - lane.running) for lane in lanes if not lane.waiting)
        working = sum(not task.done() for task in self._workers)
        most = MOST_WORKERS * sum(lane.ceiling for lane in lanes)
        self._workers = [task for task in self._workers if not task.done() or _failed(task)]
        if not self._ended and working:
            wanted = max(working + free, self._enough())
            self._hire(max(0, min(wanted, most) - working))

    async def _worker(self) -> None:
        while True:
            while self._read - self._next > AHEAD:
                self._moved.clear()
                await self._moved.wait()
            each = next(self._source, _LAST)
            if each is _LAST or self._work.stopper.asked:
                return
            if each is None:
                await asyncio.sleep(0)
            else:
                self._begun = each.index + 1
                await self._walk_row(each)

    async def _walk_row(self, each: _Open) -> None:
        row = each.row
        for number in range(each.stage, len(self._stages)):
            stage = self._stages[number]
            if number == each.stage:
                calls, keys, known = each.calls, each.keys, each.known
            else:
                calls, known = stage.asking.calls(row), {}
                keys = [stage.keys.key(call) for call in calls]
            answers: Sequence[Answer]
            if len(calls) == 1:
                answers = [await self._answer(stage, calls[0], keys[0], known, number, each)]
            else:
                answers = await asyncio.gather(
                    *(
                        self._answer(stage, call, key, known, number, each)
                        for call, key in zip(calls, keys, strict=True)
                    )
                )
            row = stage.asking.fold(row, answers)
        self._finish(each.index, row)

    async def _answer(
        self,
        stage: Stage,
        call: Call,
        key: bytes,
        known: dict[bytes, Answer],
        number: int,
        each: _Open,
    ) -> Answer:
        # The calls of the step at which the row got stuck were looked up already.
        answer = known.get(key)
        if answer is None and number != each.stage:
            answer = self._work.failed.get(key) or await self._desk.get(key)
        if answer is not None:
            self._work.known(stage, key, answer)
            return answer
        return await self._made(stage, call, key)

    async def _made(self, stage: Stage, call: Call, key: bytes) -> Answer:
        assert stage.lane is not None
        most = 0.0
        limited = self._work.budget.limited
        if limited:
            most = bound(stage, call) * (1 + EMPTY_TRIES)
            await self._work.budget.admit(most)
        cost = 0.0
        try:
            answer = await stage.lane.ask(
                self._triers[id(stage.llm)],
                call,
                lambda answer: self._keep(Entry(key, stage.keys.model, answer)),
            )
            cost = self._work.made(stage, call, key, answer)
        finally:
            if limited:
                self._work.budget.settle(most, cost)
        return answer

    async def _keep(self, entry: Entry) -> Answer:
        try:
            return await self._desk.put(entry)
        except Failure:
            for lane in self._lanes.values():
                lane.stop()  # at once: each place that is let go of would be one more call lost
            raise

    # The end

    def _stop(self) -> None:
        """Asked once: no new call. Asked twice: let go of those in flight."""
        for lane in self._lanes.values():
            lane.stop()
        self._halt.set()
        if self._work.stopper.now:
            for task in self._workers:
                task.cancel()

    async def _until_done(self) -> None:
        """Wait for the last row, the first failure, or a stop."""
        loop = asyncio.get_running_loop()
        halted = loop.create_task(self._halt.wait())
        while not self._halt.is_set():
            going = [task for task in self._workers if not task.done()]
            if not going or any(map(_failed, self._workers)):
                break
            # Workers end when there are no more rows; others are hired on the way.
            either = [*going, halted]
            await asyncio.wait(either, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
        halted.cancel()

    async def _drained(self) -> None:
        """Wait for the calls in flight, which are paid for, and end everything else."""
        asked = self._work.stopper.asked
        while self._spent() and self._work.budget.open:
            await asyncio.sleep(0.02)  # what was admitted under a limit is made
        for lane in self._lanes.values():
            lane.stop()
        waited = 0.0
        while any(lane.running for lane in self._lanes.values()):
            if (not asked and waited >= GRACE) or self._work.stopper.now:
                break
            await asyncio.sleep(0.05)
            waited += 0.05
        for task in self._workers:
            task.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def _spent(self) -> bool:
        """Whether nothing but a limit of the user's ends the walk."""
        return bool(self._errors()) and all(isinstance(e, Interrupted) for e in self._errors())

    def _errors(self) -> list[BaseException]:
        ended = (task for task in self._workers if task.done() and not task.cancelled())
        return [error for task in ended if (error := task.exception()) is not None]

    def _raise_first(self) -> None:
        # A limit may come with a failure, which is the graver of the two.
        errors = sorted(self._errors(), key=lambda error: isinstance(error, Interrupted))
        if errors:
            raise errors[0]

    async def _close(self) -> None:
        for llm in {id(stage.llm): stage.llm for stage in self._stages}.values():
            if isinstance(llm, AsyncAnswering):
                await llm.aclose()

    async def _look(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(0.25)
                self._work.watch.look()
                self._hire_for_gaps()


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None
