"""The watch over a run: from counts to what people and the event log are told."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from charter.run.journal import Journal
from charter.run.progress import Progress, Snapshot, StepNow
from charter.run.tally import Stage, Tally

__all__ = ["Watch"]

SHOWN_EVERY, LOGGED_EVERY, RATE_OVER = 0.25, 2.0, 10.0


class Watch:
    """Looks at the tally a few times a second.

    Args:
        stages: the steps, in order.
        rows: how many rows will be walked.
        tally: what is counted.
        progress: who is told.
        journal: where it is written.
    """

    def __init__(
        self, stages: Sequence[Stage], rows: int, tally: Tally, progress: Progress, journal: Journal
    ) -> None:
        self._stages = stages
        self._rows = rows
        self._tally = tally
        self._progress = progress
        self._journal = journal
        self._unpriced = any(stage.price is None for stage in stages)
        self._began = time.monotonic()
        self._shown = self._logged = 0.0
        self._past: deque[tuple[float, int, int, int]] = deque()

    @property
    def seconds(self) -> float:
        """Since the walk began."""
        return time.monotonic() - self._began

    def look(self, last: bool = False) -> None:
        """Tell where the run is, if it is time to."""
        now = self.seconds
        if now - self._shown < SHOWN_EVERY and not last:
            return
        self._shown = now
        snapshot = self.snapshot(now)
        self._progress.update(snapshot)
        if now - self._logged >= LOGGED_EVERY or last:
            self._logged = now
            self._journal.event("tick", **snapshot.as_json())

    def snapshot(self, now: float) -> Snapshot:
        """Where the run is."""
        tally = self._tally
        done = tally.calls.total()
        made = done - tally.cached.total()
        written = sum(pair[1] for pair in tally.tokens.values())
        self._past.append((now, done, made, written))
        while len(self._past) > 2 and now - self._past[0][0] > RATE_OVER:
            self._past.popleft()
        then, done_then, made_then, written_then = self._past[0]
        span = now - then
        steps = tuple(self._step(stage) for stage in self._stages)
        ahead = sum(max(0, step.total - step.done) for step in steps)
        rate = (done - done_then) / span if span > 0 else 0.0
        lanes = {stage.lane.name: stage.lane for stage in self._stages if stage.lane}
        return Snapshot(
            seconds=now,
            rows=tally.rows,
            of_rows=self._rows,
            steps=steps,
            calls_per_s=(made - made_then) / span if span > 0 else 0.0,
            tokens_per_s=(written - written_then) / span if span > 0 else 0.0,
            cost=None if self._unpriced else tally.cost,
            left=ahead / rate if rate > 0 else None,
            in_flight={name: lane.running for name, lane in lanes.items()},
            limits={name: lane.limit for name, lane in lanes.items()},
        )

    def _step(self, stage: Stage) -> StepNow:
        name = stage.name
        total = stage.asking.most_calls() * self._rows
        tally = self._tally
        return StepNow(name, total, tally.calls[name], tally.cached[name], tally.failed[name])
