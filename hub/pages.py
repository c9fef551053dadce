"""A file as memory, of which no more is held than was looked at last."""

from __future__ import annotations

import mmap
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["LOOKED_UP", "SMALL", "Pages"]

SMALL: Final = 4 << 20
"""Bytes below which all of it may stay in memory."""
LOOKED_UP: Final = 1 << 7
"""Places all over a file to look at before the pages are given back: each may bring sixteen."""


class Pages:
    """The first bytes of a file, read only.

    Args:
        file: may be closed, or removed, once this is made; it must not be cut.
        size: how many of its bytes, at least one.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._map = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)

    def numbers(self, kind: npt.DTypeLike, start: int, count: int) -> npt.NDArray[Any]:
        """So many numbers of one kind from a byte on, not copied."""
        return np.frombuffer(self._map, kind, count, start)

    def give_back(self) -> None:
        """What was looked at need not stay in memory; it is read again when it is wanted."""
        if len(self._map) > SMALL:
            self._map.madvise(mmap.MADV_DONTNEED)
