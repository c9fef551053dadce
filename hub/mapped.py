"""Sorted numbers in a file, looked up without holding the file in memory."""

from __future__ import annotations

from typing import IO

import numpy as np
import numpy.typing as npt

from charter.hub.pages import LOOKED_UP, SMALL, Pages
from charter.hub.tally import Keys

__all__ = ["Mapped"]


class Mapped:
    """Sorted numbers of 64 bits in a file.

    Args:
        file: may be closed, or removed, once this is made; it must not be cut.
        start: where they begin, a multiple of eight.
        count: how many there are.
    """

    def __init__(self, file: IO[bytes], start: int, count: int) -> None:
        self._pages = Pages(file, start + 8 * count)
        self._numbers = self._pages.numbers("<u8", start, count)

    def __len__(self) -> int:
        return len(self._numbers)

    def has(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which of several numbers are there; ascending, they touch few pages at a time."""
        found = np.empty(len(keys), np.bool_)
        for start in range(0, len(keys), LOOKED_UP):
            some = keys[start : start + LOOKED_UP]
            at = np.searchsorted(self._numbers, some)
            at[at == len(self)] = 0
            found[start : start + LOOKED_UP] = self._numbers[at] == some
            self._pages.give_back()
        return found

    def between(self, low: int, high: int | None) -> Keys:
        """A copy of those from `low` to below `high`."""
        first = np.searchsorted(self._numbers, np.uint64(low))
        last = len(self) if high is None else np.searchsorted(self._numbers, np.uint64(high))
        found = self._numbers[first:last].astype(np.uint64)
        self._pages.give_back()
        return found

    def ascends(self) -> bool:
        """Whether they are sorted, each once."""
        step = SMALL // 8
        for start in range(0, len(self), step):
            some = self._numbers[start : start + step + 1]
            if not np.all(some[1:] > some[:-1]):
                return False
            self._pages.give_back()
        return True
