"""Many ids, each found by its text, in memory that hardly grows with how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from charter.hub.growing import Growing
from charter.hub.pages import LOOKED_UP
from charter.hub.tally import Keys, Tally, together

__all__ = ["Ints", "Names", "batches"]

Ints = npt.NDArray[np.int64]

# Ids that are turned into Python's texts at once.
_BATCH: Final = 1 << 12
# So many ids for each that is asked for are compared with it before all are looked through.
_AHEAD: Final = 2
# Of a key: the upper half is of the id's hash, the lower is its place.
_PLACE: Final = np.uint64((1 << 32) - 1)


class Names:
    """Ids in an order, each with its place.

    One is found by half of Python's hash of it, and then compared in full. Of each its text and 16
    bytes are kept, beyond some megabytes in files that go when they are needed no more.

    Args:
        ids: an Arrow array of texts, or any texts; of one that comes again, `twice` tells.

    Raises:
        Failure: there is no room on the disk for temporary files.
    """

    def __init__(self, ids: Iterable[str] | pa.Array) -> None:
        offsets, text, tally = Growing(np.int64), Growing(np.uint8), Tally()
        offsets.add(np.zeros(1, np.int64))
        count = size = 0
        for names in batches(ids):
            piece = pa.array(names, pa.large_string())
            ends = np.frombuffer(piece.buffers()[1], np.int64, len(piece) + 1)
            offsets.add(size + ends[1:])
            text.add(np.frombuffer(piece.buffers()[2] or b"", np.uint8, int(ends[-1])))
            tally.add(_halves(names) | np.arange(count, count + len(names), dtype=np.uint64))
            count, size = count + len(names), size + int(ends[-1])
        keys = Growing(np.uint64)
        for some, _ in together(tally):
            keys.add(some)
        self._offsets, self._text, self._keys = offsets.done(), text.done(), keys.done()
        buffers = [None, *(pa.py_buffer(each.values) for each in (self._offsets, self._text))]
        self._ids = pa.Array.from_buffers(pa.large_string(), count, buffers)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        for names in batches(self._ids):
            yield from names
            self._give_back()

    def __getitem__(self, place: int) -> str:
        found: str = self._ids[place].as_py()
        return found

    def twice(self) -> Ints:
        """The places of ids that stand at an earlier place too."""
        found: list[int] = []
        for start in range(0, len(self), LOOKED_UP):
            halves = self._keys.values[start : start + LOOKED_UP + 1] & ~_PLACE
            for at in np.flatnonzero(halves[1:] == halves[:-1]).tolist():
                here = self._place_at(start + at + 1)
                if self.place(self[here]) != here:
                    found.append(here)
            self._give_back()
        return np.sort(np.array(found, np.int64))

    def place(self, name: str) -> int:
        """Where an id stands; the first place where it stands at several, -1 where at none."""
        (half,) = _halves([name])
        at = int(np.searchsorted(self._keys.values, half))
        while at < len(self) and self._keys.values[at] & ~_PLACE == half:
            place = self._place_at(at)
            if self[place] == name:
                return place
            at += 1
        return -1

    def places(self, names: Sequence[str | None], near: int = 0) -> Ints:
        """The same for many ids at once, each of which is at one place at most.

        Args:
            names: the ids; None is at no place.
            near: a place. The ids that follow it are looked at before all others.
        """
        wanted = pa.array(names, pa.large_string())
        ahead = self._ids.slice(near, _AHEAD * len(names))
        found: Ints = (
            pc.index_in(wanted, ahead, skip_nulls=True).fill_null(-1).to_numpy().astype(np.int64)
        )
        found[found >= 0] += near
        odd = np.flatnonzero(found < 0)
        if len(odd) and len(self):
            found[odd] = self._anywhere([names[at] for at in odd.tolist()], wanted.take(odd))
        self._give_back()
        return found

    def _anywhere(self, names: Sequence[str | None], wanted: pa.Array) -> Ints:
        found = np.full(len(names), -1)
        halves = _halves(names)
        order = np.argsort(halves, kind="stable")
        for start in range(0, len(order), LOOKED_UP):
            some = order[start : start + LOOKED_UP]
            near = np.minimum(np.searchsorted(self._keys.values, halves[some]), len(self) - 1)
            keys = self._keys.values[near]
            hit = keys & ~_PLACE == halves[some]
            at, there = some[hit], (keys[hit] & _PLACE).astype(np.int64)
            same = pc.equal(self._ids.take(pa.array(there)), wanted.take(pa.array(at)))
            fits = same.fill_null(False).to_numpy(zero_copy_only=False)
            found[at[fits]] = there[fits]
            for odd in at[~fits].tolist():  # another id has its half of a hash
                name = names[odd]
                found[odd] = -1 if name is None else self.place(name)
            self._give_back()
        return found

    def _place_at(self, at: int) -> int:
        return int(self._keys.values[at] & _PLACE)

    def _give_back(self) -> None:
        for each in (self._offsets, self._text, self._keys):
            each.give_back()


def batches(ids: Iterable[str] | pa.Array) -> Iterator[list[str]]:
    """Ids as Python's texts, some at a time."""
    if isinstance(ids, pa.Array):
        for start in range(0, len(ids), _BATCH):
            yield ids.slice(start, _BATCH).to_pylist()
        return
    remaining = iter(ids)
    while some := list(islice(remaining, _BATCH)):
        yield some


def _halves(names: Sequence[str | None]) -> Keys:
    hashes = np.fromiter(map(hash, names), np.int64, len(names)).view(np.uint64)
    return hashes & ~_PLACE
