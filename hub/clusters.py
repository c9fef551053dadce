"""Which texts say nearly the same, in time that grows with their number and not its square."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from charter.hub.sketches import BANDS, PERMUTATIONS, SHINGLE, Hashes, Ints, Sketches, sketched
from charter.rows import normalised

__all__ = ["THRESHOLD", "clusters", "shingles", "similar"]

THRESHOLD: Final = 0.8
"""Jaccard similarity of the shingles from which two texts are near-duplicates."""

# A sketch that estimates less belongs to no near-duplicate: 4.7 standard deviations below.
_HOPELESS: Final = 0.65
# Texts from one template fall into the same few buckets, where all pairs would be too many.
_CROWDED: Final = 64
_NEIGHBOURS: Final = 4
_CACHED: Final = 1 << 9
_PAIRS: Final = 1 << 15

Pairs = tuple[Ints, Ints]


def clusters(texts: Sequence[str]) -> Ints:
    """For each text the index of the first text of its cluster.

    Equal texts first, by sorting; then candidates from MinHash LSH, each compared exactly:
    texts that share one of 32 bands of their sketch are in one bucket, and in a bucket of up to
    64 texts all pairs are candidates. In a larger one each text meets the four before and after
    it in the order of the texts, the same in the order of the next bands of the sketches, and
    the bucket's first text. Which edges are found depends on the set of texts alone.

    What can be missed: two near-duplicates whose every common bucket is larger than that, and in
    none of which they are neighbours or linked through others. A pair at 0.9 shares 19 bands of
    32 on average, so that takes a template with thousands of texts between the two.
    """
    if not len(texts):
        return np.empty(0, np.int64)
    order, rank = _ranked(texts)
    start = np.flatnonzero(np.diff(rank, prepend=-1))
    roots = _roots(texts, order[start])
    # Of texts that are equal the first comes first in the order.
    first = np.full(len(start), len(texts))
    np.minimum.at(first, roots, order[start])
    found = np.empty(len(texts), np.int64)
    found[order] = first[roots[rank]]
    return found


def _ranked(texts: Sequence[str]) -> Pairs:
    """The order of the normalised texts, and the rank of each in it; equal ones have one rank.

    All of them are held while they are sorted and not for longer: whoever needs one again makes
    it again, at a hundredth of what is done with it.
    """
    clean = [normalised(text) for text in texts]
    order = np.array(sorted(range(len(clean)), key=clean.__getitem__))
    new = (clean[one] != clean[other] for one, other in pairwise(order.tolist()))
    return order, np.cumsum(np.fromiter(chain((0,), new), np.int64, len(clean)))


def shingles(text: str) -> frozenset[str]:
    """The character 5-grams of a normalised text; a shorter text is its own only one."""
    if len(text) <= SHINGLE:
        return frozenset((text,))
    return frozenset(text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1))


def similar(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two texts are near-duplicates, by their shingles."""
    if min(len(one), len(other)) < THRESHOLD * max(len(one), len(other)):
        return False
    common = len(one & other)
    return common >= THRESHOLD * (len(one) + len(other) - common)


def _roots(texts: Sequence[str], order: Ints) -> Ints:
    """For each of several distinct texts one that stands for its cluster, by places in `order`.

    Args:
        texts: all.
        order: where those meant are, in the order of the normalised texts.
    """
    count = len(order)
    sketches = sketched((normalised(texts[at]) for at in order.tolist()), count)
    # Shingles take fifty times the room of their text, so they are made when they are compared:
    # in the order of the texts, where most candidates of one are near it.
    shingled = lru_cache(maxsize=_CACHED)(lambda at: shingles(normalised(texts[int(order[at])])))
    forest = _Forest(count)
    apart: Ints = np.empty(0, np.int64)
    for band in range(BANDS):
        roots = forest.roots()
        found = [np.empty(0, np.int64)]
        for one, other in _candidates(sketches.bands, band):
            hopeful = _hopeful(one, other, roots, sketches)
            low, high = np.minimum(one, other)[hopeful], np.maximum(one, other)[hopeful]
            # The same pair meets in other bands too.
            found.append(_absent(low * count + high, apart))
        compared: list[int] = []
        for key in np.sort(np.concatenate(found)).tolist():
            here, there = divmod(key, count)
            if forest.root(here) == forest.root(there):
                continue
            if similar(shingled(here), shingled(there)):
                forest.unite(here, there)
            else:
                compared.append(key)
        apart = np.sort(np.concatenate((apart, np.array(compared, np.int64))))
    return forest.roots()


def _candidates(bands: Hashes, band: int) -> Iterator[Pairs]:
    """The pairs to look at in the buckets of one band, a bounded number for each text."""
    keys = bands[:, band]
    order = np.argsort(keys, kind="stable")
    starts, ends = _buckets(keys[order])
    sizes = ends - starts
    yield from _ahead(order, ends, sizes <= _CROWDED, _CROWDED)
    crowded = sizes > _CROWDED
    if not crowded.any():
        return
    yield from _ahead(order, ends, crowded, _NEIGHBOURS + 1)
    yield order[starts[crowded]], order[crowded]
    order = order[crowded]
    following = [bands[order, (band + by) % BANDS] for by in (2, 1)]
    order = order[np.lexsort((*following, keys[order]))]
    _, ends = _buckets(keys[order])
    yield from _ahead(order, ends, np.ones(len(order), bool), _NEIGHBOURS + 1)


def _buckets(keys: Hashes) -> Pairs:
    """For each of several sorted keys where the run of equal ones starts and ends."""
    first = np.ones(len(keys), bool)
    first[1:] = keys[1:] != keys[:-1]
    edges = np.append(np.flatnonzero(first), len(keys))
    run = np.cumsum(first) - 1
    return edges[run], edges[run + 1]


def _ahead(order: Ints, ends: Ints, wanted: npt.NDArray[np.bool_], reach: int) -> Iterator[Pairs]:
    """Each wanted text with those that follow it in its bucket, fewer than `reach` places on."""
    places = np.flatnonzero(wanted)
    for by in range(1, reach):
        places = places[ends[places] - places > by]
        if not len(places):
            return
        yield order[places], order[places + by]


def _hopeful(one: Ints, other: Ints, roots: Ints, sketches: Sketches) -> Ints:
    """Which pairs may be near-duplicates and are in no common cluster yet."""
    at = np.flatnonzero(roots[one] != roots[other])
    found = [np.empty(0, np.int64)]
    for start in range(0, len(at), _PAIRS):
        some = at[start : start + _PAIRS]
        here, there = one[some], other[some]
        # Each bit that differs is a shingle at least that only one of the two has. So this bound
        # drops no near-duplicate, and it is a tenth of the work of comparing shingles.
        differ = np.bitwise_count(sketches.bits[here] ^ sketches.bits[there]).sum(
            axis=1, dtype=np.int64
        )
        total = sketches.sizes[here] + sketches.sizes[there]
        near = total - differ >= THRESHOLD * (total + differ) - 1e-6
        some, here, there = some[near], here[near], there[near]
        alike = np.count_nonzero(sketches.minima[here] == sketches.minima[there], axis=1)
        found.append(some[alike >= _HOPELESS * PERMUTATIONS])
    return np.concatenate(found)


def _absent(keys: Ints, among: Ints) -> Ints:
    """Those keys that are not among some sorted ones."""
    places = np.searchsorted(among, keys)
    places[places == len(among)] = 0
    return keys[among[places] != keys] if len(among) else keys


class _Forest:
    """Sets of numbers that grow together; each is known by its smallest."""

    def __init__(self, size: int) -> None:
        self._parent = np.arange(size)

    def root(self, at: int) -> int:
        parent = self._parent
        while (up := int(parent[at])) != at:
            parent[at] = parent[up]
            at = up
        return at

    def unite(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low

    def roots(self) -> Ints:
        """The root of every number."""
        while True:
            up = self._parent[self._parent]
            if np.array_equal(up, self._parent):
                return up
            self._parent = up
