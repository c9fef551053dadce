"""Sorted numbers in a file, looked up without holding the file in memory."""

from __future__ import annotations

import mmap
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from charter.hub.tally import Keys

__all__ = ["Mapped"]

# Numbers that are looked up before the pages they were found in are given back. Each may bring
# sixteen of them.
_LOOKED_UP: Final = 1 << 7
# Files below this may stay in memory.
_SMALL: Final = 4 << 20


class Mapped:
    """Sorted numbers of 64 bits in a file.

    Args:
        file: may be closed, or removed, once this is made; it must not be cut.
        start: where they begin, a multiple of eight.
        count: how many there are.
    """

    def __init__(self, file: IO[bytes], start: int, count: int) -> None:
        self._pages = mmap.mmap(file.fileno(), start + 8 * count, access=mmap.ACCESS_READ)
        self._numbers = np.frombuffer(self._pages, "<u8", count, start)

    def __len__(self) -> int:
        return len(self._numbers)

    def has(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which of several numbers are there; ascending, they touch few pages at a time."""
        found = np.empty(len(keys), np.bool_)
        for start in range(0, len(keys), _LOOKED_UP):
            some = keys[start : start + _LOOKED_UP]
            at = np.searchsorted(self._numbers, some)
            at[at == len(self)] = 0
            found[start : start + _LOOKED_UP] = self._numbers[at] == some
            self._give_back()
        return found

    def between(self, low: int, high: int | None) -> Keys:
        """A copy of those from `low` to below `high`."""
        first = np.searchsorted(self._numbers, np.uint64(low))
        last = len(self) if high is None else np.searchsorted(self._numbers, np.uint64(high))
        found = self._numbers[first:last].astype(np.uint64)
        self._give_back()
        return found

    def ascends(self) -> bool:
        """Whether they are sorted, each once."""
        step = _SMALL // 8
        for start in range(0, len(self), step):
            some = self._numbers[start : start + step + 1]
            if not np.all(some[1:] > some[:-1]):
                return False
            self._give_back()
        return True

    def _give_back(self) -> None:
        if len(self._pages) > _SMALL:
            self._pages.madvise(mmap.MADV_DONTNEED)
