"""Ctrl-C: heard while the main thread waits, and remembered where somebody else's code drops it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import FrameType, ModuleType
from typing import NoReturn

from charter.run.progress import Progress, Snapshot

__all__ = ["Watchful", "check_interrupt", "hear_interrupts", "interrupted"]


class _Heard:
    """Whether Ctrl-C came since `hear_interrupts`."""

    came = False


@contextmanager
def hear_interrupts() -> Iterator[None]:
    """Inside, Ctrl-C is KeyboardInterrupt, as always, and is remembered.

    For it may get lost: Python drops what is raised in a `__del__`, and transformers makes an
    ImportError of what is raised while it imports. `check_interrupt` raises it again.

    It also wakes the main thread out of what it waits for when polars is imported. Polars takes
    the signal with SA_RESTART, and then a lock, another thread or a child is waited for to its
    end before Python is told (https://github.com/pola-rs/polars/issues/21739). What polars does
    with the signal stays; of use only before polars is first imported.
    """
    if "polars" not in sys.modules:
        sys.meta_path.insert(0, _Polars())
    _Heard.came = False
    default = signal.default_int_handler
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not default
    ):
        yield
        return
    signal.signal(signal.SIGINT, _hear)
    # asyncio puts its own handler, which cancels tasks, in the place of this one alone, and this
    # one back.
    signal.default_int_handler = _hear
    try:
        yield
    finally:
        signal.default_int_handler = default
        signal.signal(signal.SIGINT, default)


def interrupted() -> bool:
    """Whether Ctrl-C came."""
    return _Heard.came


def check_interrupt() -> None:
    """Go no further where Ctrl-C came and was lost.

    Raises:
        KeyboardInterrupt: it came.
    """
    if _Heard.came and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


class Watchful:
    """A watcher of long work that ends it where Ctrl-C was lost.

    Args:
        shown: what shows the progress.
    """

    def __init__(self, shown: Progress) -> None:
        self._shown = shown

    def begin(self, name: str, total: int, unit: str = "calls") -> None:
        """A step begins."""
        check_interrupt()
        self._shown.begin(name, total, unit)

    def advance(self, name: str, done: int = 1) -> None:
        """Some units are done."""
        check_interrupt()
        self._shown.advance(name, done)

    def update(self, now: Snapshot) -> None:
        """A run has come so far; it has its own way to stop."""
        self._shown.update(now)

    def say(self, line: str) -> None:
        """One line."""
        self._shown.say(line)


def _hear(number: int, frame: FrameType | None) -> NoReturn:
    _Heard.came = True
    raise KeyboardInterrupt


class _Polars(MetaPathFinder):
    """Finds polars as the other finders do, and has something to do after its import."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "polars":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_hear(module: ModuleType) -> None:
            load(module)
            signal.siginterrupt(signal.SIGINT, True)

        spec.loader.exec_module = load_and_hear  # type: ignore[method-assign]
        return spec
