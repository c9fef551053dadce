"""What is known of each of many texts without its shingles: sketches that near-duplicates share.

A text is split into shingles in numpy, a batch of texts at once, and never as strings of Python:
that took eight times as long. The hash of a shingle is rensa's own, worked out here for whole
columns, so that sketches are those that `rensa` makes of the same sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["BANDS", "PERMUTATIONS", "SHINGLE", "Hashes", "Ints", "Sketches", "sketched"]

# Characters and not words: prompts are short (one word of twelve changes a quarter of the word
# trigrams) and some languages put no spaces between words.
SHINGLE: Final = 5
"""Characters of a shingle."""
# 32 bands of 5: a pair at the threshold is missed once in 300,000 times, one at 0.9 never.
# False candidates cost time only, since every candidate pair is compared exactly.
BANDS: Final = 32
PERMUTATIONS: Final = 160
_SEED: Final = 1
"""Of the sketches; never changed, or clusters would move."""
# A batch should stay in a core's cache.
_CHARACTERS: Final = 1 << 15
_TEXTS: Final = 1 << 10
_BITS: Final = 512

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Sketches:
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


def sketched(texts: Iterable[str], count: int) -> Sketches:
    """The sketches of so many texts, in their order; some 500 bytes each.

    Only a batch of the texts is held, so that they may be made as they are asked for.

    Raises:
        UnicodeEncodeError: a text is no Unicode: it holds half a character.
    """
    from rensa import RMinHash

    bands = np.empty((count, BANDS), np.uint64)
    minima = np.empty((count, PERMUTATIONS), np.uint8)
    bits = np.empty((count, _BITS // 64), np.uint64)
    sizes = np.empty(count, np.int64)
    start = 0
    for some in _batches(texts):
        here = slice(start, start + len(some))
        start = here.stop
        owner, hashed = _shingled(some)
        sizes[here] = np.bincount(owner, minlength=len(some))
        ends = np.concatenate(([0], np.cumsum(sizes[here]))).astype(np.uint64)
        digests = RMinHash.digest_matrix_from_flat_token_hashes(
            hashed, ends, num_perm=PERMUTATIONS, seed=_SEED
        )
        full = np.array(digests.to_rows(), np.uint64)
        minima[here] = full & np.uint64(255)
        bands[here] = _mixed(full.reshape(len(some), BANDS, -1))
        flags = np.zeros((len(some), _BITS), bool)
        flags[owner, hashed % np.uint64(_BITS)] = True
        bits[here] = np.packbits(flags, axis=1).view(np.uint64)
    return Sketches(bands, minima, bits, sizes)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in batches of a good size; a longer text is one alone."""
    held: list[str] = []
    room = _CHARACTERS
    for text in texts:
        room -= len(text)
        if held and (room < 0 or len(held) == _TEXTS):
            yield held
            held, room = [], _CHARACTERS - len(text)
        held.append(text)
    if held:
        yield held


def _mixed(minima: Hashes) -> Hashes:
    """One hash for the minima of each band."""
    mixed = np.zeros(minima.shape[:2], np.uint64)
    for at in range(minima.shape[2]):
        mixed = (mixed ^ minima[:, :, at]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _shingled(texts: Sequence[str]) -> tuple[Ints, Hashes]:
    """The hash of every shingle of every text, each once, and the text it is of, ascending."""
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    short = np.flatnonzero(sizes <= SHINGLE)
    long = np.flatnonzero(sizes > SHINGLE)
    owner, hashed = _grams([texts[at] for at in long.tolist()], sizes[long])
    if not len(short):
        return owner, hashed
    # A text that is no longer than a shingle is its own only one.
    encoded = [texts[at].encode() for at in short.tolist()]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    owner = np.concatenate((long[owner], short))
    hashed = np.concatenate((hashed, _hashed(b"".join(encoded), lengths)))
    order = np.argsort(owner, kind="stable")
    return owner[order], hashed[order]


def _grams(texts: Sequence[str], sizes: Ints) -> tuple[Ints, Hashes]:
    """The same for texts that are longer than a shingle; `sizes` are their characters."""
    if not len(texts):
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    joined = "".join(texts)
    if joined.isascii():
        # Least byte first, as the hash reads them.
        keys = _distinct(np.frombuffer(joined.encode(), np.uint8), sizes, 8)
        ends = keys & np.uint64(0xFFFFFFFF), (keys >> np.uint64(8)) & np.uint64(0xFFFFFFFF)
        one, other = (end ^ np.uint64(pi) for end, pi in zip(ends, _PI, strict=False))
        return (keys >> np.uint64(8 * SHINGLE)).astype(np.int64), _mixed_in(one, other, SHINGLE)
    points = np.frombuffer(joined.encode("utf-32-le"), "<u4")
    there = np.zeros(int(points.max()) + 1, bool)
    there[points] = True
    alphabet = np.flatnonzero(there)
    width = (len(alphabet) - 1).bit_length()
    if SHINGLE * width + (len(texts) - 1).bit_length() > 64:
        return _many(points, sizes)
    rank = np.zeros(len(there), np.int64)
    rank[alphabet] = np.arange(len(alphabet))
    keys = _distinct(rank[points], sizes, width)
    mask = np.uint64((1 << width) - 1)
    ranks = [(keys >> np.uint64(width * by)) & mask for by in range(SHINGLE)]
    found = np.stack([alphabet[each] for each in ranks], axis=1)
    return (keys >> np.uint64(SHINGLE * width)).astype(np.int64), _encoded(found)


def _distinct(characters: npt.NDArray[np.integer], sizes: Ints, width: int) -> Hashes:
    """Each shingle of each text once, sorted: the text's number over the characters, last first.

    One number says all of a shingle, and numbers sort fast.

    Args:
        characters: of all texts, one after the other, as numbers of so many bits.
        sizes: characters of each text, more than a shingle has.
        width: bits of a character.
    """
    count = len(characters) - SHINGLE + 1
    wide = characters.astype(np.uint64)
    keys = np.repeat(np.arange(len(sizes), dtype=np.uint64), sizes)[:count]
    for by in reversed(range(SHINGLE)):
        keys <<= np.uint64(width)
        keys |= wide[by : by + count]
    keys = keys[_whole(sizes)]
    keys.sort()
    return keys[np.concatenate(([True], keys[1:] != keys[:-1]))]


def _whole(sizes: Ints) -> npt.NDArray[np.bool_]:
    """At which characters a shingle starts that is of one text."""
    ends = np.cumsum(sizes)
    whole = np.ones(int(ends[-1]), bool)
    for by in range(1, SHINGLE):
        whole[ends - by] = False
    return whole[: len(whole) - SHINGLE + 1]


def _many(points: npt.NDArray[np.uint32], sizes: Ints) -> tuple[Ints, Hashes]:
    """The same for characters that are too many for one number a shingle, by their code points."""
    shingles = np.lib.stride_tricks.sliding_window_view(points, SHINGLE)[_whole(sizes)]
    owner = np.repeat(np.arange(len(sizes)), sizes - SHINGLE + 1)
    columns = (*shingles.T.astype(np.uint64), owner.astype(np.uint64))
    # A code point has 21 bits: three in one number, two and the text in the other.
    low = columns[0] | columns[1] << np.uint64(21) | columns[2] << np.uint64(42)
    high = columns[3] | columns[4] << np.uint64(21) | columns[5] << np.uint64(42)
    order = np.lexsort((low, high))
    low, high = low[order], high[order]
    order = order[np.concatenate(([True], (low[1:] != low[:-1]) | (high[1:] != high[:-1])))]
    return owner[order], _encoded(shingles[order])


def _encoded(points: npt.NDArray[np.integer]) -> Hashes:
    """The hashes of shingles given by their characters, one a row."""
    lengths = np.full(len(points), SHINGLE, np.int64)
    for least in (0x80, 0x800, 0x10000):
        lengths += np.count_nonzero(points >= least, axis=1)
    return _hashed(points.astype("<u4").tobytes().decode("utf-32-le").encode(), lengths)


# The hash is that of the Rust crate `rustc-hash` from 2.0 on, which rensa uses for its tokens: the
# two ends of the bytes, each mixed with some digits of pi, and their 128-bit product folded.
_PI: Final = (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0)
_FACTOR: Final = np.uint64(0xF1357AEA2E62A9C5)
_TURN: Final = 26
# Of UTF-8: five characters take no more.
_MOST: Final = 4 * SHINGLE


def _hashed(data: bytes, lengths: Ints) -> Hashes:
    """The hash of each of several pieces of up to 20 bytes that lie one after the other."""
    ends = np.cumsum(lengths)
    starts = ends - lengths
    one = np.full(len(lengths), _PI[0], np.uint64)
    other = np.full(len(lengths), _PI[1], np.uint64)
    padded = data + bytes(_MOST)
    for low, high, wide in ((1, 3, 1), (4, 7, 4), (8, 16, 8), (17, _MOST, 8)):
        at = np.flatnonzero((lengths >= low) & (lengths <= high))
        if not len(at):
            continue
        start, size = starts[at], lengths[at]
        words = _words(padded, wide)
        if low == 1:
            one[at] ^= words[start]
            other[at] ^= (words[start + size - 1] << np.uint64(8)) | words[start + size // 2]
            continue
        if low == 17:
            folded = _folded(one[at] ^ words[start], np.uint64(_PI[2]) ^ words[start + 8])
            one[at], other[at] = other[at], folded
            start = start + size - 16
            size = np.full(len(at), 16)
        one[at] ^= words[start]
        other[at] ^= words[start + size - wide]
    return _mixed_in(one, other, lengths.astype(np.uint64))


def _mixed_in(one: Hashes, other: Hashes, lengths: Hashes | int) -> Hashes:
    """The hash of what was taken in, and of its length in bytes."""
    mixed = _folded(one, other)
    mixed ^= np.uint64(lengths) if isinstance(lengths, int) else lengths
    mixed *= _FACTOR
    return (mixed << np.uint64(_TURN)) | (mixed >> np.uint64(64 - _TURN))


def _words(data: bytes, wide: int) -> Hashes:
    """The number, least byte first, that starts at each byte and is so many bytes wide."""
    count = len(data) - wide + 1
    return np.ndarray((count,), f"<u{wide}", data, strides=(1,)).astype(np.uint64)


def _folded(one: Hashes, other: Hashes | np.uint64) -> Hashes:
    """The two halves of each 128-bit product, by exclusive or."""
    low, high = np.uint64(0xFFFFFFFF), np.uint64(32)
    a, b, c, d = one >> high, one & low, other >> high, other & low
    across = b * d
    across >>= high
    across += a * d
    more = b * c
    more += across & low
    more >>= high
    across >>= high
    more += across
    a *= c
    more += a
    more ^= one * other
    return more
