"""Ctrl-C is heard while the main thread waits."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

__all__ = ["hear_interrupts"]


def hear_interrupts() -> None:
    """Lets SIGINT wake the main thread out of what it waits for, once polars is imported too.

    Polars takes the signal with SA_RESTART, and then a lock, another thread or a child is waited
    for to its end before Python is told (https://github.com/pola-rs/polars/issues/21739). What
    polars does with the signal stays. Of use only before polars is first imported.
    """
    if "polars" not in sys.modules:
        sys.meta_path.insert(0, _Polars())


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
