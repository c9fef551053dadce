"""Ctrl-C: once to finish what is in flight, twice to stop now."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Stopper"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # a batch system says SIGTERM before it kills


class Stopper:
    """Takes the signals while a run works.

    Attributes:
        asked: a stop was asked for: start nothing new.
        now: it was asked for twice.

    Args:
        say: is told a line for the user.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.asked = self.now = False
        self._say = say
        self._calls: list[Callable[[], None]] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopper:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._signalled)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def watch(self, call: Callable[[], None]) -> None:
        """Call this at each of the two signals; without one, the second is KeyboardInterrupt."""
        self._calls.append(call)

    def unwatch(self, call: Callable[[], None]) -> None:
        """Call it no longer."""
        self._calls.remove(call)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self.now, self.asked = self.asked, True
        if not self.now:
            self._say("stopping: finishing the calls in flight; once more stops at once")
        for call in list(self._calls):
            call()
        if self.now and not self._calls:
            raise KeyboardInterrupt
