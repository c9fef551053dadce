"""The first few names of what is wrong, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from charter.hub.columns import SHOWN, some

__all__ = ["Named"]


class Named:
    """The first few names of what is wrong, and how many there are."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._more = 0

    def add(self, names: pl.Series) -> None:
        """Take some."""
        room = SHOWN - len(self._names)
        self._names += names.head(room).to_list()
        self._more += max(len(names) - room, 0)

    def told(self, what: str) -> Iterator[str]:
        """The sentence, where there are any."""
        if self._names:
            yield f"{what}{some(self._names, self._more)}"
