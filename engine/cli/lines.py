"""Where a run is, in words: figures as people say them, and progress as plain lines."""

from __future__ import annotations

import time

from charter.cli.streams import tell
from charter.run.progress import Silent, Snapshot

__all__ = ["Lines", "described", "duration", "money", "printable", "rate"]

_EVERY = 10.0  # seconds between two lines, unless a tenth of the rows was done meanwhile


def printable(text: str) -> str:
    """Text without control characters, so that data cannot steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def duration(seconds: float) -> str:
    """A time of about that many seconds: `40 s`, `2 min`, `3 h 20 min`."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"


def money(cost: float) -> str:
    """Money in dollars: cents as far as there are any, else as many places as it takes."""
    if cost and abs(cost) < 0.1:
        return f"${cost:.4f}" if abs(cost) >= 0.0001 else f"${cost:.2g}"
    return f"${cost:,.2f}"


def rate(value: float) -> str:
    """A rate with as many places as say something."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def described(now: Snapshot) -> str:
    """One line: rows, calls, rates, money, and the time left as far as they are known."""
    done = sum(step.done for step in now.steps)
    aside = [
        f"{count:,} {name}"
        for name, count in (
            ("cached", sum(step.cached for step in now.steps)),
            ("failed", sum(step.failed for step in now.steps)),
        )
        if count
    ]
    parts = [
        f"{now.rows:,} of {now.of_rows:,} rows",
        f"{done:,} calls" + (f" ({', '.join(aside)})" if aside else ""),
    ]
    for value, unit in ((now.calls_per_s, "calls/s"), (now.tokens_per_s, "tokens/s")):
        if value > 0:
            parts.append(f"{rate(value)} {unit}")
    if now.cost is not None:
        parts.append(money(now.cost))
    if now.rows < now.of_rows and now.left is not None:
        parts.append(f"{duration(now.left)} left")
    return ", ".join(parts)


class Lines(Silent):
    """Progress as plain lines on stderr, a few of them and never many."""

    def __init__(self) -> None:
        self._done: dict[str, int] = {}
        self._total: dict[str, int] = {}
        self._first: dict[str, tuple[float, int]] = {}
        self._told: float | None = None
        self._tenth = 0
        self._ended = False

    def begin(self, name: str, total: int, unit: str = "calls") -> None:
        """A step begins: one line, and one a tenth of it."""
        self._done[name], self._total[name] = 0, total
        self._first.pop(name, None)
        tell(f"{name}: {total} {unit}", err=True)

    def advance(self, name: str, done: int = 1) -> None:
        """Some units are done."""
        total = max(self._total.get(name, 0), 1)
        before = self._done.get(name, 0)
        self._done[name] = before + done
        if before * 10 // total != self._done[name] * 10 // total:
            left = self._left(name, total)
            tell(f"{name}: {self._done[name]} of {total}{left}", err=True)

    def _left(self, name: str, total: int) -> str:
        """The time left at the pace since the first units, which may have been done before."""
        now, done = time.monotonic(), self._done[name]
        since, had = self._first.setdefault(name, (now, done))
        if done <= had or done >= total:
            return ""
        return f", {duration((now - since) / (done - had) * (total - done))} left"

    def update(self, now: Snapshot) -> None:
        """A run has come so far: a line every 10 s, at each tenth of the rows, and at the end."""
        moment = time.monotonic()
        tenth = now.rows * 10 // max(now.of_rows, 1)
        if self._told is None:
            self._told = moment  # the first figures come at once and say nothing yet
        ended = now.rows >= now.of_rows
        early = tenth == self._tenth and moment - self._told < _EVERY and not ended
        if early or self._ended:
            return
        self._told, self._tenth, self._ended = moment, tenth, ended
        self.say(described(now))

    def say(self, line: str) -> None:
        """One line."""
        tell(printable(line), err=True)
