"""Argilla's background jobs without Redis: in this process, or in a child where they block.

Argilla queues four kinds of work with rq. The update of record statuses after a change of a
dataset, and the calls of webhooks, run as tasks of the server's own loop; imports from and exports
to the Hub run in a child process (`hub_child.py`), because they hold the loop for minutes.
Jobs that a killed server had not done are lost, as calls of webhooks may be; statuses are put
right at the next start (`database.finish_statuses`).
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import sys
import types
import uuid
from collections.abc import Callable
from typing import Any

__all__ = ["LocalJob", "LocalQueue", "NoRedis", "answer_for_jobs", "drain", "install"]

_LOG = logging.getLogger("charter.jobs")
_KEPT = 1000  # jobs whose outcome can still be asked for
_HUB = {"import_dataset_from_hub_job", "export_dataset_to_hub_job"}

_jobs: collections.OrderedDict[str, LocalJob] = collections.OrderedDict()
_tasks: set[asyncio.Task[None]] = set()


class LocalJob:
    """One call to make.

    Args:
        function: Argilla's coroutine function.
        arguments: what it is called with.
        keywords: likewise.
        pauses: seconds to wait before each further try, one a try.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        pauses: list[int],
    ) -> None:
        self.id = str(uuid.uuid4())
        self.function = function
        self.arguments = arguments
        self.keywords = keywords
        self.pauses = pauses
        self.status = "queued"

    def get_status(self, refresh: bool = True) -> Any:
        """As rq's jobs say it."""
        from rq.job import JobStatus

        return JobStatus(self.status)

    async def run(self, turn: contextlib.AbstractAsyncContextManager[Any]) -> None:
        """Call it until it succeeds or no try is left; what went wrong is logged.

        Args:
            turn: held while it is called, not while it waits for its next try.
        """
        for pause in [*self.pauses, None]:
            async with turn:
                self.status = "started"
                if await self._succeeds():
                    self.status = "finished"
                    return
            self.status = "failed" if pause is None else "scheduled"
            if pause is not None:
                await asyncio.sleep(pause)

    async def _succeeds(self) -> bool:
        try:
            await _call(self.function, self.arguments, self.keywords)
        except Exception:  # noqa: BLE001 - a job may fail in any way; the server goes on
            _LOG.warning("job %s failed", self.function.__name__, exc_info=True)
            return False
        return True


class LocalQueue:
    """Stands in for `rq.Queue`: takes calls in, makes them one after the other.

    Args:
        name: for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._turn = asyncio.Lock()  # first come, first served

    def enqueue_call(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        retry: Any = None,
        **_: Any,
    ) -> LocalJob:
        """As rq's decorator calls it; what else it gives is about Redis."""
        tries = retry.max if retry else 0
        intervals = (retry.intervals if retry else None) or [0]
        pauses = [intervals[min(i, len(intervals) - 1)] for i in range(tries)]
        job = LocalJob(func, tuple(args or ()), dict(kwargs or {}), pauses)
        _jobs[job.id] = job
        while len(_jobs) > _KEPT:
            _jobs.popitem(last=False)
        # Imports from the Hub take minutes and share nothing with the others.
        alone = func.__name__ in _HUB
        turn = contextlib.nullcontext() if alone else self._turn
        task = asyncio.get_running_loop().create_task(job.run(turn))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
        return job


class NoRedis:
    """Stands in for the connection, which is asked at the start whether it answers."""

    def ping(self) -> bool:
        """It does."""
        return True


class _Jobs:
    """Stands in for `rq.job.Job` where a job's outcome is asked for."""

    @staticmethod
    def fetch(job_id: str, connection: Any = None) -> LocalJob:
        from rq.exceptions import NoSuchJobError

        if job_id not in _jobs:
            raise NoSuchJobError(job_id)
        return _jobs[job_id]


async def _call(
    function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    if function.__name__ in _HUB:
        from charter.review.embedded.inside.hub_child import run_in_child

        await run_in_child(function.__name__, arguments, keywords)
    elif function.__name__ == "notify_event_job":
        await _notify(*arguments, **keywords)
    else:
        await function(*arguments, **keywords)


async def _notify(webhook_id: Any, event: str, timestamp: Any, data: dict[str, Any]) -> None:
    """Argilla's own job, but the call to the outside waits in a thread and not in the loop."""
    from argilla_server.database import AsyncSessionLocal
    from argilla_server.models import Webhook
    from argilla_server.webhooks.v1.commons import notify_event

    async with AsyncSessionLocal() as db:
        webhook = await Webhook.get_or_raise(db, webhook_id)
    response = await asyncio.to_thread(notify_event, webhook, event, timestamp, data)
    response.raise_for_status()


async def drain(patience: float | None = None) -> int:
    """Wait for the jobs under way, then end what is left.

    Args:
        patience: seconds; None waits for all.

    Returns:
        How many were ended undone.
    """
    while _tasks:
        _, left = await asyncio.wait(_tasks, timeout=patience)
        if left and patience is not None:
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            return len(left)
    return 0


def install() -> None:
    """Put the stand-ins where Argilla looks. Must run before argilla_server's jobs are imported."""
    queues = types.ModuleType("argilla_server.jobs.queues")
    queues.__dict__.update(
        REDIS_CONNECTION=NoRedis(),
        DEFAULT_QUEUE=LocalQueue("default"),
        HIGH_QUEUE=LocalQueue("high"),
        JOB_TIMEOUT_DISABLED=-1,
    )
    sys.modules["argilla_server.jobs.queues"] = queues


def answer_for_jobs() -> None:
    """Have `GET /jobs/{id}` ask here. Must run after argilla_server was imported."""
    from argilla_server.api.handlers.v1 import jobs as handlers

    handlers.Job = _Jobs
