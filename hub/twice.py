"""Find keys that occur twice among millions, holding eight bytes a key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["Distinct", "Hashes", "hashes", "met", "twice"]

_MERGED = 1 << 16
Hash = npt.NDArray[np.uint64]


def hashes(keys: pl.DataFrame) -> Hash:
    """A 64-bit hash of each row; the same in one process, and not to be written down."""
    return keys.hash_rows(seed=0).to_numpy()


class Hashes:
    """The hashes of keys that come in batches."""

    def __init__(self) -> None:
        self._held: list[Hash] = []

    def add(self, keys: pl.DataFrame) -> None:
        """Take the keys of one batch."""
        self._held.append(hashes(keys))

    def all(self) -> Hash:
        """Every hash, in the order in which it came."""
        return np.concatenate([np.empty(0, np.uint64), *self._held])


class Distinct:
    """The hashes of keys that come in batches, each once."""

    def __init__(self) -> None:
        self._merged: Hash = np.empty(0, np.uint64)
        self._new: list[Hash] = []

    def add(self, keys: pl.DataFrame) -> None:
        """Take the keys of one batch; merged when the new ones are as many as the old."""
        self._new.append(np.unique(hashes(keys)))
        if sum(map(len, self._new)) > max(len(self._merged), _MERGED):
            self.all()

    def all(self) -> Hash:
        """Every hash once, ascending."""
        self._merged = np.unique(np.concatenate([self._merged, *self._new]))
        self._new = []
        return self._merged


def met(*several: Hash) -> Hash:
    """The hashes that occur more than once; of different keys, perhaps."""
    ordered = np.sort(np.concatenate(several))
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def twice(suspects: Hash, keys: Iterable[pl.DataFrame]) -> list[tuple[str, ...]]:
    """The keys that do occur more than once, in the order of their first occurrence.

    Args:
        suspects: as `met` found them.
        keys: all keys again; read only where there are suspects.
    """
    if not len(suspects):
        return []
    counts: Counter[tuple[str, ...]] = Counter()
    for each in keys:
        counts.update(each.filter(pl.Series(np.isin(hashes(each), suspects))).rows())
    return [key for key, n in counts.items() if n > 1]
