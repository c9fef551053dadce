"""Word n-grams of many texts at once, as 64-bit hashes.

A text is read as lower-case words of letters and digits, after NFKC; each sign of a script
without spaces between words is a word of its own. A word's hash is a polynomial in its bytes, an
n-gram's one in the hashes of its words, both modulo 2**64 and mixed: with sums over all before,
each costs the same few operations however long it is. The hashes are the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from charter.hub.twice import Hash

__all__ = ["WORDS", "Grams", "grams"]

WORDS: Final = 13
"""Words of an n-gram: as in Brown et al. 2020 (GPT-3, arXiv 2005.14165, appendix C)."""

Ints = npt.NDArray[np.int64]

_BASE: Final = 0x9E3779B97F4A7C15
_ODD: Final = 0xD6E8FEB86659FD93
_SPACELESS: Final = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*)"
_NO_WORD: Final = r"[^\p{L}\p{M}\p{N}]+"
_MARKS: Final = r"[^\p{L}\p{M}\p{N}\x00-\x7F]+"
# Texts of so many bytes are hashed at a time, so that the sums stay in the processor's cache.
_CHUNK: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Grams:
    """The n-grams of some texts.

    Attributes:
        grams: hashes, text by text in order; texts of fewer words have none.
        text: for each the index of its text.
        whole: for each text a hash of all its words; 0 where it has none.
        words: how many words each text has.
    """

    grams: Hash
    text: Ints
    whole: Hash
    words: Ints


def grams(texts: pl.Series) -> Grams:
    """The n-grams of texts; a null has none.

    Args:
        texts: of type String.
    """
    texts = _plain(texts.fill_null(""))
    lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    chunk = (np.cumsum(lengths) - 1) // _CHUNK if len(lengths) else lengths
    edges = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), len(texts)]
    parts = [_hashed(texts[start:end], lengths[start:end], start) for start, end in pairwise(edges)]
    return Grams(
        np.concatenate([part.grams for part in parts]),
        np.concatenate([part.text for part in parts]),
        np.concatenate([part.whole for part in parts]),
        np.concatenate([part.words for part in parts]),
    )


def _plain(texts: pl.Series) -> pl.Series:
    """Texts in which every byte that is no ASCII belongs to a word."""
    # Most of what is no ASCII are quotes and dashes; without them few texts are left to normalise.
    for step in (_no_marks, _normalised):
        other = texts.str.len_bytes() != texts.str.len_chars()
        if other.any():
            # `scatter` writes into the series that it is called on.
            texts = texts.clone().scatter(other.arg_true(), step(texts.filter(other)))
    return texts


def _no_marks(texts: pl.Series) -> pl.Series:
    return texts.str.replace_all(_MARKS, " ")


def _normalised(texts: pl.Series) -> pl.Series:
    plain = texts.str.normalize("NFKC").str.to_lowercase().str.replace_all(_NO_WORD, " ")
    return plain.str.replace_all(_SPACELESS, " $1 ")


def _mixed(values: Hash) -> Hash:
    """The values with every bit of each depending on all of it (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@lru_cache(maxsize=1)
def _tables() -> tuple[Hash, npt.NDArray[np.bool_]]:
    """For each byte its number, the same in both cases, and whether it is part of a word."""
    word = np.zeros(256, np.bool_)
    word[128:] = True
    numbers = _mixed(np.arange(1, 257, dtype=np.uint64) * np.uint64(_BASE))
    for sign in range(128):
        word[sign] = chr(sign).isalnum()
        numbers[sign] = numbers[ord(chr(sign).lower())]
    numbers[~word] = 0
    return numbers, word


class _Powers:
    """Powers of an odd number modulo 2**64, and of its inverse; as many as were needed."""

    def __init__(self, base: int) -> None:
        self._bases = (base, pow(base, -1, 1 << 64))
        self._held = [np.ones(1, np.uint64), np.ones(1, np.uint64)]

    def upto(self, count: int) -> tuple[Hash, Hash]:
        """The powers 0 to count - 1, and those of the inverse."""
        for at, base in enumerate(self._bases):
            while len(self._held[at]) < count:
                held = self._held[at]
                step = np.uint64(pow(base, len(held), 1 << 64))
                self._held[at] = np.concatenate((held, held * step))
        return self._held[0][:count], self._held[1][:count]


_BYTES: Final = _Powers(_BASE)
_PLACES: Final = _Powers(_ODD)


def _sums(values: Hash, powers: _Powers) -> tuple[Hash, Hash]:
    """Sums over all before each place, of values times powers; and what shifts a part of them."""
    up, down = powers.upto(len(values) + 1)
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * up[:-1], out=sums[1:])
    return sums, down


def _hashed(texts: pl.Series, lengths: Ints, first: int) -> Grams:
    numbers, is_word = _tables()
    # A space after each text: no word goes on in the next one.
    data = np.frombuffer((" ".join(texts.to_list()) + " ").encode(), np.uint8)
    word = is_word[data]
    starts = np.flatnonzero(word & ~np.concatenate(([False], word[:-1])))
    ends = np.flatnonzero(~word & np.concatenate(([False], word[:-1])))
    sums, down = _sums(numbers[data], _BYTES)
    words = _mixed((sums[ends] - sums[starts]) * down[starts])
    edges = np.concatenate(([0], np.cumsum(lengths + 1)))
    # Which word is the first of each text, and how many it has.
    begins = np.searchsorted(starts, edges)
    counts = np.diff(begins)
    sums, down = _sums(words, _PLACES)
    whole = _mixed((sums[begins[1:]] - sums[begins[:-1]]) * down[begins[:-1]])
    text = np.repeat(np.arange(len(texts)), np.maximum(counts - WORDS + 1, 0))
    last = np.maximum(counts - WORDS + 1, 0)
    at = np.arange(len(text)) - np.repeat(np.cumsum(last) - last, last) + begins[:-1][text]
    found = _mixed((sums[at + WORDS] - sums[at]) * down[at])
    return Grams(found, text + first, np.where(counts > 0, whole, np.uint64(0)), counts)
