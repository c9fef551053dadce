"""Short names for models that are named by their folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from charter.errors import Fault, InputError

__all__ = ["short_names"]


def short_names(command: str, sources: Sequence[str]) -> list[str]:
    """The shortest ends of the paths that tell them apart, as many parts of each.

    Raises:
        InputError: one is named twice.
    """
    parts = [Path(source).parts for source in sources]
    for depth in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(each[-depth:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    raise InputError(Fault(command, "", "a model is named twice", "name each once"))
