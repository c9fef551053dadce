from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rensa import RMinHash

from charter.hub import sketches
from charter.hub.clusters import shingles
from charter.hub.sketches import BANDS, PERMUTATIONS, sketched

# Of one, two, three and four bytes, and some that occur again and again.
characters = st.one_of(
    st.sampled_from("ab ß’\x00"),
    st.characters(exclude_categories=["Cs"]),
    st.characters(min_codepoint=0x10000),
)
texts = st.lists(st.text(characters, max_size=40), max_size=12)


def _same(given: list[str]) -> None:
    """Compares with the sketches that rensa makes of the shingles as sets of strings."""
    found = sketched(iter(given), len(given))
    tokens = [sorted(shingles(text)) for text in given]
    assert found.sizes.tolist() == [len(each) for each in tokens]
    hashed = RMinHash.hash_token_sets(tokens)
    digests = RMinHash.digest_matrix_from_token_hash_sets(hashed, num_perm=PERMUTATIONS, seed=1)
    full = np.array(digests.to_rows(), np.uint64).reshape(-1, PERMUTATIONS)
    assert np.array_equal(found.minima, full & np.uint64(255))
    bits = np.zeros((len(given), 512), bool)
    for row, each in zip(bits, hashed, strict=True):
        row[[value % 512 for value in each]] = True
    assert np.array_equal(found.bits, np.packbits(bits, axis=1).view(np.uint64))
    rows = full.reshape(-1, BANDS, PERMUTATIONS // BANDS)
    for at in range(BANDS):
        minima, bands = list(map(tuple, rows[:, at].tolist())), found.bands[:, at].tolist()
        hash_of = dict(zip(minima, bands, strict=True))
        assert [hash_of[each] for each in minima] == bands
        assert len(set(hash_of.values())) == len(hash_of)


@settings(max_examples=200, deadline=None)
@given(texts)
def test_sketches_are_those_of_the_sets_of_shingles(given: list[str]) -> None:
    _same(given)


@pytest.mark.parametrize("alphabet", ["abcdefgh ", "abcdefé’ ", "αβγδ😀", "\x00\U0010ffff"])
def test_texts_of_all_lengths_and_more_than_a_batch(alphabet: str) -> None:
    draw = random.Random(3)
    lengths = [*range(30), *(draw.randrange(1500) for _ in range(60)), 40_000]
    _same(["".join(draw.choices(alphabet, k=length)) for length in lengths])


def test_texts_with_thousands_of_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [chr(0x4E00 + at) for at in range(9000)]
    draw = random.Random(5)
    called = []
    inner = sketches._many
    monkeypatch.setattr(sketches, "_many", lambda *given: called.append(1) or inner(*given))
    _same(["".join(draw.choices(many, k=k)) for k in (700, 5, 6, 900, 0, 8000)] + ["abcdefg"] * 3)
    assert called


def test_short_texts_are_sketched_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketches, "_TEXTS", 7)
    monkeypatch.setattr(sketches, "_CHARACTERS", 60)
    _same([f"text {at} " * (at % 9) for at in range(100)])
    assert [len(each) for each in sketches._batches(["a" * 59] + ["b"] * 8 + ["c" * 99] * 2)] == [
        2,
        7,
        1,
        1,
    ]


def test_half_a_character_is_refused() -> None:
    for text in ("\ud800", "a text with half a character \ud800 in it"):
        with pytest.raises(UnicodeEncodeError):
            sketched([text], 1)
