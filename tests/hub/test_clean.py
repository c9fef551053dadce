"""Texts that were found clean are known again, from memory and from files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peaks import Peak

from charter.hub import clean, mapped, pages
from charter.hub.clean import Clean


@pytest.mark.parametrize("cut", [0, 10, -3])
def test_a_damaged_file_of_clean_texts_counts_for_nothing(tmp_path: Path, cut: int) -> None:
    one = Clean(tmp_path / "clean", "r")
    texts = pl.Series(["one", "two", "three", None, "one"])
    at, hashes = one.news(texts)
    assert at.tolist() == [0, 1, 2]
    one.add(hashes)
    assert len(one.news(texts)[0]) == 0
    one.save()
    again = Clean(tmp_path / "clean", "r")
    assert len(again) == 3
    assert again.news(pl.Series(["four", "two"]))[0].tolist() == [0]
    (tmp_path / "clean").write_bytes((tmp_path / "clean").read_bytes()[:cut])
    assert len(Clean(tmp_path / "clean", "r")) == 0


@given(
    st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=6), max_size=12),
    st.sampled_from([0, 3, 1 << 20]),
)
def test_every_text_is_news_once(batches: list[list[str]], held: int) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(clean, "_HELD", held or 1)
        patch.setattr(clean, "_PIECE", held or 1)
        patch.setattr(pages, "SMALL", 8)
        patch.setattr(mapped, "SMALL", 8)
        patch.setattr(mapped, "LOOKED_UP", 2)
        _every_text_is_news_once(batches, Path(folder) / "clean")


def _every_text_is_news_once(batches: list[list[str]], path: Path) -> None:
    one = Clean(path, "r")
    seen: list[str] = []
    for batch in batches:
        at, hashes = one.news(pl.Series(batch, dtype=pl.String))
        seen += [batch[each] for each in at.tolist()]
        one.add(hashes)
    every = list(dict.fromkeys(text for batch in batches for text in batch))
    assert seen == every
    one.save()
    again = Clean(path, "r")
    assert len(again) == len(one) == len(every)
    at, hashes = again.news(pl.Series([*"abcdefghijk"], dtype=pl.String))
    assert ["abcdefghijk"[each] for each in at] == [t for t in "abcdefghijk" if t not in every]
    again.add(hashes)
    again.save()
    assert not len(Clean(path, "r").news(pl.Series([*"abcdefghijk"], dtype=pl.String))[0])


def test_millions_are_known_in_bounded_memory(tmp_path: Path) -> None:
    """Eight million texts, of which as bare hashes 64 MB would be held, twice that when merged."""
    draw = np.random.default_rng(5)
    batches = [draw.integers(0, 2**63, 20_000).astype(np.uint64) for _ in range(400)]
    kept = np.concatenate(batches)
    peak = Peak()
    one = Clean(tmp_path / "clean", "r")
    for batch in batches:
        one.add(batch)
    one.save()
    again = Clean(tmp_path / "clean", "r")
    assert len(again) == len(kept)
    (file,) = again._files
    some = np.sort(kept[::1000])
    assert file.has(some).all()
    assert not file.has(some + np.uint64(2**63)).any()
    grown = peak.grown()
    assert grown < 60, f"{grown:.0f} MB"
