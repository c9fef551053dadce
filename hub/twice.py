"""Find keys that occur twice among millions, holding few of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import polars as pl

from charter.hub.tally import Keys, Tally, together

__all__ = ["Hash", "hashes", "met", "twice"]

Hash = Keys


def hashes(keys: pl.DataFrame) -> Hash:
    """A 64-bit hash of each row; the same in one process, and not to be written down."""
    return keys.hash_rows(seed=0).to_numpy()


def met(*several: Tally) -> Hash:
    """The hashes that came more than once, in one or in different ones; of different keys, perhaps.

    They are ascending.
    """
    found = [np.empty(0, np.uint64)]
    for keys, counts in together(*several):
        found.append(keys[np.sum(counts, axis=0) > 1])
    return np.concatenate(found)


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
