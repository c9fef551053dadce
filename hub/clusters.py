"""Which texts say nearly the same, in time that grows with their number and not its square."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt

from charter.rows import normalised

__all__ = ["THRESHOLD", "clusters", "shingles", "similar"]

THRESHOLD: Final = 0.8
"""Jaccard similarity of the shingles from which two texts are near-duplicates."""

# Characters and not words: prompts are short (one word of twelve changes a quarter of the word
# trigrams) and some languages put no spaces between words.
_SHINGLE: Final = 5
# 32 bands of 5: a pair at the threshold is missed once in 300,000 times, one at 0.9 never.
# False candidates cost time only, since every candidate pair is compared exactly.
_BANDS: Final = 32
_PERMUTATIONS: Final = 160
# A sketch that estimates less belongs to no near-duplicate: 4.7 standard deviations below.
_HOPELESS: Final = 0.65
_SEED: Final = 1
"""Of the sketches; never changed, or clusters would move."""
# Texts from one template fall into the same few buckets, where all pairs would be too many.
_CROWDED: Final = 64
_NEIGHBOURS: Final = 4
_BATCH: Final = 256
_BITS: Final = 512
_CACHED: Final = 1 << 12
_PAIRS: Final = 1 << 15

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Pairs = tuple[Ints, Ints]


@dataclass(frozen=True, slots=True)
class _Sketches:
    """What is known of each text without its shingles.

    Attributes:
        bands: a hash of each band of five minima; two bands with one hash are a false candidate.
        minima: eight bits of each minimum; they agree by chance once in 256 times.
        bits: a set of 512 bits with one for each shingle.
        sizes: number of shingles.
    """

    bands: Hashes
    minima: npt.NDArray[np.uint8]
    bits: Hashes
    sizes: Ints


def clusters(texts: Sequence[str]) -> list[int]:
    """For each text the index of the first text of its cluster.

    Equal texts first, by a dictionary; then candidates from MinHash LSH, each compared exactly:
    texts that share one of 32 bands of their sketch are in one bucket, and in a bucket of up to
    64 texts all pairs are candidates. In a larger one each text meets the four before and after
    it in the order of the texts, the same in the order of the next bands of the sketches, and
    the bucket's first text. Which edges are found depends on the set of texts alone.

    What can be missed: two near-duplicates whose every common bucket is larger than that, and in
    none of which they are neighbours or linked through others. A pair at 0.9 shares 19 bands of
    32 on average, so that takes a template with thousands of texts between the two.
    """
    clean = [normalised(text) for text in texts]
    first_of: dict[str, int] = {}
    for at, text in enumerate(clean):
        first_of.setdefault(text, at)
    distinct = sorted(first_of)
    root_of = dict(zip(distinct, _roots(distinct).tolist(), strict=True))
    first: dict[int, int] = {}
    for text, at in first_of.items():
        first.setdefault(root_of[text], at)
    return [first[root_of[text]] for text in clean]


def shingles(text: str) -> frozenset[str]:
    """The character 5-grams of a normalised text; a shorter text is its own only one."""
    if len(text) <= _SHINGLE:
        return frozenset((text,))
    return frozenset(text[at : at + _SHINGLE] for at in range(len(text) - _SHINGLE + 1))


def similar(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two texts are near-duplicates, by their shingles."""
    if min(len(one), len(other)) < THRESHOLD * max(len(one), len(other)):
        return False
    common = len(one & other)
    return common >= THRESHOLD * (len(one) + len(other) - common)


def _roots(texts: list[str]) -> Ints:
    """For each of several distinct texts, in order, one text that stands for its cluster."""
    sketches = _sketched(texts)
    # Shingles take fifty times the room of their text, so they are made when they are compared:
    # in the order of the texts, where most candidates of one are near it.
    shingled = lru_cache(maxsize=_CACHED)(lambda at: shingles(texts[at]))
    forest = _Forest(len(texts))
    apart: Ints = np.empty(0, np.int64)
    for band in range(_BANDS):
        roots = forest.roots()
        found = [np.empty(0, np.int64)]
        for one, other in _candidates(sketches.bands, band):
            hopeful = _hopeful(one, other, roots, sketches)
            low, high = np.minimum(one, other)[hopeful], np.maximum(one, other)[hopeful]
            # The same pair meets in other bands too.
            found.append(_absent(low * len(texts) + high, apart))
        compared: list[int] = []
        for key in np.sort(np.concatenate(found)).tolist():
            here, there = divmod(key, len(texts))
            if forest.root(here) == forest.root(there):
                continue
            if similar(shingled(here), shingled(there)):
                forest.unite(here, there)
            else:
                compared.append(key)
        apart = np.sort(np.concatenate((apart, np.array(compared, np.int64))))
    return forest.roots()


def _sketched(texts: list[str]) -> _Sketches:
    from rensa import RMinHash

    count = len(texts)
    bands = np.empty((count, _BANDS), np.uint64)
    minima = np.empty((count, _PERMUTATIONS), np.uint8)
    bits = np.empty((count, _BITS // 64), np.uint64)
    sizes = np.empty(count, np.int64)
    for start in range(0, count, _BATCH):
        tokens = [list(shingles(text)) for text in texts[start : start + _BATCH]]
        hashed = RMinHash.hash_token_sets(tokens)
        digests = RMinHash.digest_matrix_from_token_hash_sets(
            hashed, num_perm=_PERMUTATIONS, seed=_SEED
        )
        full = np.array(digests.to_rows(), np.uint64)
        here = slice(start, start + len(tokens))
        sizes[here] = [len(each) for each in tokens]
        minima[here] = full & np.uint64(255)
        bands[here] = _mixed(full.reshape(len(tokens), _BANDS, -1))
        flat = np.fromiter(chain.from_iterable(hashed), np.uint64, int(sizes[here].sum()))
        flags = np.zeros((len(tokens), _BITS), bool)
        flags[np.repeat(np.arange(len(tokens)), sizes[here]), flat % np.uint64(_BITS)] = True
        bits[here] = np.packbits(flags, axis=1).view(np.uint64)
    return _Sketches(bands, minima, bits, sizes)


def _mixed(minima: Hashes) -> Hashes:
    """One hash for the minima of each band."""
    mixed = np.zeros(minima.shape[:2], np.uint64)
    for at in range(minima.shape[2]):
        mixed = (mixed ^ minima[:, :, at]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


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
    following = [bands[order, (band + by) % _BANDS] for by in (2, 1)]
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


def _hopeful(one: Ints, other: Ints, roots: Ints, sketches: _Sketches) -> Ints:
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
        found.append(some[alike >= _HOPELESS * _PERMUTATIONS])
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
