"""The event log of a run, read for its report: load over time, sessions, errors."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["History", "Tick", "read_history"]

_MOST_TICKS = 400  # a plot has no more pixels to show; more are averaged two by two
_MOST_ERRORS = 1000  # different ones


@dataclass(frozen=True, slots=True)
class Tick:
    """A moment of a run.

    Attributes:
        seconds: of walking, all sessions one after the other.
        calls_per_s: calls made a second.
        tokens_per_s: tokens written a second.
        in_flight: calls in flight, over all servers.
        limit: calls that might have been.
    """

    seconds: float
    calls_per_s: float
    tokens_per_s: float
    in_flight: float
    limit: float


@dataclass(slots=True)
class History:
    """What the log of a run tells.

    Attributes:
        ticks: moments, in order; averaged where there are many.
        resumed: where, on the ticks' seconds, later sessions begin.
        sessions: how often the run was started.
        cost: money over all sessions; None where a price was not known.
        errors: calls that failed for good, by step and what was said.
    """

    ticks: list[Tick] = field(default_factory=list)
    resumed: list[float] = field(default_factory=list)
    sessions: int = 0
    cost: float | None = 0.0
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)


def read_history(path: Path) -> History:
    """Read an event log; what cannot be read of it is passed over, and no log is an empty one."""
    found = History()
    before = now = 0.0  # seconds of earlier sessions, and of all so far
    spent: float | None = 0.0
    width, waiting = 1, list[Tick]()
    for event in _events(path):
        name = event.get("event")
        if name == "start":
            found.sessions += 1
            found.cost = None if found.cost is None or spent is None else found.cost + spent
            if now > 0:
                found.resumed.append(now)
            before, spent = now, 0.0
        elif name == "tick":
            tick = _tick(event, before)
            now = max(now, tick.seconds)
            spent = None if event.get("cost", 0) is None else _figure(event, "cost")
            waiting.append(tick)
            if len(waiting) == width:
                found.ticks.append(_mean(waiting))
                waiting = []
            if len(found.ticks) >= 2 * _MOST_TICKS:
                pairs = zip(found.ticks[::2], found.ticks[1::2], strict=True)
                found.ticks = [_mean(pair) for pair in pairs]
                width *= 2
        elif name == "call_failed":
            error = (str(event.get("step", "?")), " ".join(str(event.get("error", "?")).split()))
            if error in found.errors or len(found.errors) < _MOST_ERRORS:
                found.errors[error] += 1
    found.ticks += [_mean(waiting)] if waiting else []
    found.cost = None if found.cost is None or spent is None else found.cost + spent
    return found


def _events(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    event = json.loads(line)
                except (ValueError, RecursionError):
                    continue  # the last line of a process that was killed
                if isinstance(event, dict):
                    yield event
    except OSError:
        return


def _figure(event: dict[str, Any], name: str) -> float:
    value = event.get(name)
    if isinstance(value, dict):
        return sum(_figure(value, key) for key in value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    return float(value) if math.isfinite(value) else 0.0


def _tick(event: dict[str, Any], before: float) -> Tick:
    names = ("calls_per_s", "tokens_per_s", "in_flight", "limits")
    return Tick(before + _figure(event, "seconds"), *(_figure(event, name) for name in names))


def _mean(ticks: tuple[Tick, ...] | list[Tick]) -> Tick:
    return Tick(
        *(sum(getattr(tick, name) for tick in ticks) / len(ticks) for name in Tick.__slots__)
    )
