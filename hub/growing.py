"""An array that is put together from pieces, in memory or, where it is large, in a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from charter.hub.pages import SMALL, Pages
from charter.hub.tally import scratch, written

__all__ = ["Growing", "Grown"]


@dataclass(frozen=True, slots=True)
class Grown:
    """An array that may lie in a file.

    Attributes:
        values: all of it; only what is looked at comes into memory.
        pages: of the file; None where the array is in memory.
    """

    values: npt.NDArray[Any]
    pages: Pages | None = None

    def give_back(self) -> None:
        """What was looked at need not stay in memory."""
        if self.pages is not None:
            self.pages.give_back()


class Growing:
    """Takes pieces of an array, and holds a few megabytes of them.

    Args:
        kind: of the numbers.
    """

    def __init__(self, kind: npt.DTypeLike) -> None:
        self._kind = np.dtype(kind)
        self._held: list[npt.NDArray[Any]] = []
        self._size = 0  # bytes, in memory or in the file
        self._file: IO[bytes] | None = None

    def add(self, piece: npt.NDArray[Any]) -> None:
        """Put a piece after the others; it is copied.

        Raises:
            Failure: there is no room on the disk for temporary files.
        """
        self._held.append(np.array(piece, self._kind))
        self._size += self._held[-1].nbytes
        if self._file is None and self._size > SMALL:
            self._file = scratch()
        if self._file is not None:
            written(self._file, *self._held)
            self._held.clear()

    def done(self) -> Grown:
        """The array; nothing can be put to it any more."""
        if self._file is None:
            return Grown(np.concatenate([np.empty(0, self._kind), *self._held]))
        with self._file as file:
            pages = Pages(file, self._size)
        return Grown(pages.numbers(self._kind, 0, self._size // self._kind.itemsize), pages)
