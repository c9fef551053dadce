"""What a run tells whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Progress", "Silent", "Snapshot", "StepNow"]


@dataclass(frozen=True, slots=True)
class StepNow:
    """Where a step is.

    Attributes:
        name: of the step.
        total: calls it has at most.
        done: answered ones, whether from the cache or not.
        cached: those that were not asked for again.
        failed: those that failed for good.
    """

    name: str
    total: int
    done: int
    cached: int
    failed: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a run is.

    Attributes:
        seconds: since the walk began.
        rows: rows walked to their end.
        of_rows: rows there are.
        steps: by step, in order.
        calls_per_s: calls made a second, over the last few seconds.
        tokens_per_s: tokens written by models a second, likewise.
        cost: money spent so far; None where a price is missing.
        left: seconds that the rest will take at this rate; None before there is a rate.
        in_flight: calls in flight, by server.
        limits: calls that may be in flight now, by server.
    """

    seconds: float
    rows: int
    of_rows: int
    steps: tuple[StepNow, ...]
    calls_per_s: float = 0.0
    tokens_per_s: float = 0.0
    cost: float | None = None
    left: float | None = None
    in_flight: dict[str, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the event log."""
        steps = {
            s.name: {"total": s.total, "done": s.done, "cached": s.cached, "failed": s.failed}
            for s in self.steps
        }
        names = ("rows", "of_rows", "cost", "in_flight", "limits")
        rounded = {
            name: None if (value := getattr(self, name)) is None else round(value, 3)
            for name in ("seconds", "calls_per_s", "tokens_per_s", "left")
        }
        return rounded | {name: getattr(self, name) for name in names} | {"steps": steps}


class Progress(Protocol):
    """A watcher of long work. Every method may be called often and must be quick."""

    def begin(self, name: str, total: int, unit: str = "calls") -> None:
        """A step begins; it has about `total` units to do."""

    def advance(self, name: str, done: int = 1) -> None:
        """So many units of a step are done."""

    def update(self, now: Snapshot) -> None:
        """A run has come so far; a few times a second, and at its end."""

    def say(self, line: str) -> None:
        """One line of what is going on."""


class Silent:
    """A watcher who does not watch."""

    def begin(self, name: str, total: int, unit: str = "calls") -> None:
        """Nothing."""

    def advance(self, name: str, done: int = 1) -> None:
        """Nothing."""

    def update(self, now: Snapshot) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""
