"""What a run tells whoever watches it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """A watcher of long work. Every method may be called often and must be quick."""

    def begin(self, name: str, total: int, unit: str = "calls") -> None:
        """A step begins; it has about `total` units to do."""

    def advance(self, name: str, done: int = 1) -> None:
        """So many units of a step are done."""

    def say(self, line: str) -> None:
        """One line of what is going on."""


class Silent:
    """A watcher who does not watch."""

    def begin(self, name: str, total: int, unit: str = "calls") -> None:
        """Nothing."""

    def advance(self, name: str, done: int = 1) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""
