"""Progress bars with the time left, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from charter.cli.lines import described, printable, rate
from charter.run.progress import Snapshot, StepNow

__all__ = ["bars"]

_PER_SECOND = 4  # how often the terminal is drawn anew


class _Bars:
    """One bar a step, and below them one line on the whole run; on stderr."""

    def __init__(self, console: Console) -> None:
        self._console = console
        shared = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
        )
        self._work = Progress(
            *shared, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console
        )
        self._steps = Progress(
            *shared, TextColumn("{task.fields[said]}", markup=False), console=console
        )
        self._line = Text(overflow="ellipsis", no_wrap=True)
        self._tasks: dict[str, TaskID] = {}

    def __rich__(self) -> Group:
        shown = [part for part in (self._work, self._steps) if part.tasks]
        return Group(*shown, *([self._line] if self._line.plain else []))

    def begin(self, name: str, total: int, unit: str = "calls") -> None:
        """A step begins."""
        if name in self._tasks:
            self._work.reset(self._tasks[name], total=total)
        else:
            self._tasks[name] = self._work.add_task(name, total=total)

    def advance(self, name: str, done: int = 1) -> None:
        """Some units are done."""
        self._work.advance(self._tasks[name], done)

    def update(self, now: Snapshot) -> None:
        """A run has come so far."""
        if len(self._steps.tasks) != len(now.steps):
            for task in self._steps.task_ids:
                self._steps.remove_task(task)
            for step in now.steps:
                self._steps.add_task(step.name, total=step.total, said="")
        for task, step in zip(self._steps.task_ids, now.steps, strict=True):
            # Fewer calls than the most there can be: a pair of equal texts is not judged.
            total = step.done if now.rows >= now.of_rows else step.total
            self._steps.update(
                task,
                description=step.name,
                total=total,
                completed=step.done,
                said=_said(step, now.seconds),
            )
        self._line.plain = _whole(now)

    def say(self, line: str) -> None:
        """One line above the bars."""
        self._console.print(Text(printable(line)))


def _said(step: StepNow, seconds: float) -> str:
    """A step's calls a second over the whole run, and what of them was cached or failed."""
    parts = [f"{rate(step.done / seconds)}/s"] if seconds > 0 and step.done else []
    parts += [f"{step.cached:,} cached"] if step.cached else []
    parts += [f"{step.failed:,} failed"] if step.failed else []
    return ", ".join(parts)


def _whole(now: Snapshot) -> str:
    """The run as a whole, with the load of its servers."""
    line = described(now)
    if now.in_flight:
        limit = sum(now.limits.values())
        line += f", {sum(now.in_flight.values())}/{limit} in flight"
    return line


@contextmanager
def bars() -> Iterator[_Bars]:
    """The bars while the work goes on."""
    console = Console(stderr=True, highlight=False)
    shown = _Bars(console)
    with Live(shown, console=console, refresh_per_second=_PER_SECOND):
        yield shown
