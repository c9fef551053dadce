"""The runner: drives the steps of a compiled pipeline in this process.

Models behind a server are walked row by row (`charter.run.walk_rows`); models that answer in
batches (the embedded one) go step by step (`charter.run.walk_batches`). Between the two, rows lie
on disk. Rows come out in input order either way.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from charter.rows import Row
from charter.run.spool import Spool
from charter.run.tally import Stage
from charter.run.walk_batches import walk_batches
from charter.run.walk_rows import RowWalk
from charter.run.work import Emit, Rows, Work

__all__ = ["Runner"]


class Runner:
    """Walks rows through stages.

    Args:
        stages: the steps in order, each with its model.
        folder: where rows lie between two kinds of models; None is the system's temporary place.
    """

    def __init__(self, stages: Sequence[Stage], folder: Path | None = None) -> None:
        self.stages = tuple(stages)
        self._folder = folder

    def walk(self, rows: Rows, emit: Emit, work: Work) -> None:
        """All rows through all stages; `emit` is given each one, in input order.

        Raises:
            Failure: a server is down, or too many rows fail; what was answered is in the cache.
            Interrupted: a stop was asked for, or a limit is reached; likewise.
        """
        groups: list[tuple[bool, list[Stage]]] = []
        for stage in self.stages:
            walks = stage.lane is not None
            if walks and groups and groups[-1][0]:
                groups[-1][1].append(stage)
            else:
                groups.append((walks, [stage]))

        def done(row: Row) -> None:
            work.tally.rows += 1
            emit(row)

        with ExitStack() as open_spools, work.stopper:
            open_spools.callback(work.watch.look, last=True)
            for number, (walks, stages) in enumerate(groups, 1):
                spool = Spool(self._folder)
                open_spools.callback(spool.close)
                out = done if number == len(groups) else spool.add
                if walks:
                    _run(RowWalk(stages, out, work).walk(rows))
                else:
                    walk_batches(stages[0], rows, out, work)
                rows = spool
        work.failed.settle()


def _run(walk: Any) -> None:
    """Run a coroutine on the fastest loop there is."""
    try:
        from uvloop import new_event_loop
    except ImportError:  # no wheel for this platform; the standard loop does the same, slower
        new_event_loop = asyncio.new_event_loop
    before = sys.getswitchinterval()
    # The transport's thread hands over answers one by one, and must wait for this one each time.
    sys.setswitchinterval(0.001)
    # What was imported lives on; looking through all of it for garbage takes a tenth of a second.
    gc.freeze()
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(walk)
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)
