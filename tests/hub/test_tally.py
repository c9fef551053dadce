"""Numbers that are counted on disk are counted as in memory."""

from __future__ import annotations

import errno
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peaks import Peak

from charter.errors import Failure
from charter.hub import tally
from charter.hub.tally import Tally, together

MOST = 2**64 - 1
NUMBERS = st.one_of(st.integers(0, 40), st.integers(0, MOST), st.sampled_from([0, MOST, MOST - 1]))
BATCHES = st.lists(st.lists(NUMBERS, max_size=60), max_size=12)


@given(st.lists(BATCHES, min_size=1, max_size=3), st.integers(1, 50), st.integers(1, 9))
@settings(deadline=None)
def test_every_number_comes_once_in_order_with_its_counts(
    given_batches: list[list[list[int]]], held: int, step: int
) -> None:
    """However few are held and whatever lies on disk, the counts are those of a Counter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tally, "_HELD", held)
        patch.setattr(tally, "_STEP", step)
        patch.setattr(tally, "_PIECE", 4 * step)
        wanted = [Counter(n for batch in each for n in batch) for each in given_batches]
        tallies = [Tally() for _ in given_batches]
        for one, batches in zip(tallies, given_batches, strict=True):
            for batch in batches:
                one.add(np.array(batch, np.uint64))
        for _ in range(2):  # it can be read again
            found: list[tuple[int, ...]] = []
            for keys, counts in together(*tallies):
                found += zip(keys.tolist(), *(each.tolist() for each in counts), strict=True)
            names = sorted(set().union(*wanted))
            assert found == [(name, *(each[name] for each in wanted)) for name in names]


def test_a_number_may_come_often_or_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts that are given are added up; a number with none is there all the same."""
    monkeypatch.setattr(tally, "_HELD", 2)
    one = Tally()
    one.add(np.array([5, 7, 5], np.uint64), np.array([2, 0, 3]))
    one.add(np.array([7, 9], np.uint64), np.array([0, 1]))
    ((keys, (counts,)),) = together(one)
    assert dict(zip(keys.tolist(), counts.tolist(), strict=True)) == {5: 5, 7: 0, 9: 1}


def test_without_tallies_and_without_numbers_there_is_nothing() -> None:
    """A version without a row to train on, say."""
    empty = Tally()
    empty.add(np.empty(0, np.uint64))
    assert [*together(), *together(Tally()), *together(empty, Tally())] == []


def test_a_few_distinct_numbers_never_touch_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths and the like are as many as there are distinct ones."""
    monkeypatch.setattr(tally, "_HELD", 1000)
    monkeypatch.setattr(tally, "scratch", None)
    one = Tally()
    for _ in range(100):
        one.add(np.arange(400, dtype=np.uint64))
    ((_, (counts,)),) = together(one)
    assert set(counts.tolist()) == {100}


def test_a_full_disk_is_told_with_the_place_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder that can't be written, and one that is full."""
    monkeypatch.setattr(tally, "_HELD", 10)

    def full(**_: Any) -> Any:
        return Path("/dev/full").open("wb", buffering=0)

    def none(**_: Any) -> Any:
        raise OSError(errno.EACCES, "Permission denied")

    for made, what in ((full, "No space left"), (none, "Permission denied")):
        monkeypatch.setattr(tempfile, "TemporaryFile", made)
        with pytest.raises(Failure, match=what) as caught:
            Tally().add(np.arange(20, dtype=np.uint64))
        assert "TMPDIR" in caught.value.faults[0].fix


def test_millions_are_counted_in_bounded_memory() -> None:
    """Ten million numbers, of which as bare keys 80 MB would be held."""
    peak = Peak()
    draw, one = np.random.default_rng(3), Tally()
    for _ in range(100):
        one.add(draw.integers(0, MOST, 100_000, np.uint64, endpoint=True))
    total = sum(int(counts.sum()) for _, (counts,) in together(one))
    grown = peak.grown()
    assert total == 10_000_000
    assert grown < 60, f"{grown:.0f} MB"
