"""How often each of many numbers came, in memory that does not grow with how many there are."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from charter.errors import Failure, Fault

__all__ = ["Counts", "Keys", "Tally", "scratch", "together", "written"]

# Numbers that a tally holds; more of them go to a file, sorted.
_HELD: Final = 1 << 17
# Of those in a file every so many-th is held, to know where to read.
_STEP: Final = 1 << 9
# Numbers that are looked at at once.
_PIECE: Final = 1 << 18
_BYTES: Final = 8

Keys = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]
_Counted = tuple[Keys, Counts]

_NOTHING: Final[_Counted] = (np.empty(0, np.uint64), np.empty(0, np.int64))


class Tally:
    """Counts numbers of 64 bits that come in batches, in any order.

    What is over a hundred thousand distinct ones lies sorted in a file, which the system removes
    when the tally is no longer needed.
    """

    def __init__(self) -> None:
        self._held: _Counted = _NOTHING
        self._new: list[_Counted] = []
        self._size = 0
        self._runs: list[_Run] = []
        self._file: IO[bytes] | None = None

    def add(self, keys: Keys, counts: Counts | None = None) -> None:
        """Count each number once, or as often as `counts` says; one that comes 0 times came.

        Raises:
            Failure: there is no room on the disk for temporary files.
        """
        self._new.append((keys, np.ones(len(keys), np.int64) if counts is None else counts))
        self._size += len(keys)
        if self._size > _HELD:
            self._settle()
            if self._size > _HELD // 2:
                self._spill()

    def parts(self, low: int, high: int | None) -> list[_Counted]:
        """The numbers from `low` to below `high`, each perhaps in several, with its counts."""
        self._settle()
        held = _between(*self._held, low, high)
        return [held, *(run.between(low, high) for run in self._runs)]

    def samples(self) -> Keys:
        """Of every few hundred numbers one."""
        self._settle()
        held = self._held[0][_STEP - 1 :: _STEP]
        return np.concatenate([held, *(run.samples for run in self._runs)])

    def _settle(self) -> None:
        """Each number that is held once, ascending."""
        if self._new:
            self._held = _summed([self._held, *self._new])
            self._new, self._size = [], len(self._held[0])

    def _spill(self) -> None:
        if self._file is None:
            self._file = scratch()
            weakref.finalize(self, self._file.close)
        self._runs.append(_Run(self._file, *self._held))
        self._held, self._size = _NOTHING, 0


class _Run:
    """Sorted numbers and their counts in a file."""

    def __init__(self, file: IO[bytes], keys: Keys, counts: Counts) -> None:
        self._file = file
        self._count = len(keys)
        self._start = file.seek(0, os.SEEK_END)
        written(file, keys, counts)
        self.samples = keys[::_STEP].copy()

    def between(self, low: int, high: int | None) -> _Counted:
        """Those from `low` to below `high`."""
        first = max(int(np.searchsorted(self.samples, np.uint64(low))) - 1, 0) * _STEP
        last = self._count
        if high is not None:
            last = min(int(np.searchsorted(self.samples, np.uint64(high))) * _STEP, last)
        if last <= first:
            return _NOTHING
        keys = np.frombuffer(self._read(first, last), np.uint64)
        counts = np.frombuffer(self._read(self._count + first, self._count + last), np.int64)
        return _between(keys, counts, low, high)

    def _read(self, first: int, last: int) -> bytes:
        return os.pread(self._file.fileno(), (last - first) * _BYTES, self._start + first * _BYTES)


def together(*tallies: Tally) -> Iterator[tuple[Keys, list[Counts]]]:
    """The numbers of several tallies, ascending, some hundred thousand at a time.

    Yields:
        Numbers, each once, and for each tally how often it has them; 0 where it has not.
    """
    samples = np.sort(np.concatenate([_NOTHING[0], *(each.samples() for each in tallies)]))
    edges = np.unique(samples[:: _PIECE // _STEP]).tolist()
    for low, high in zip([0, *edges], [*edges, None], strict=True):
        found = [each.parts(low, high) for each in tallies]
        keys = _once(np.concatenate([_NOTHING[0], *(k for ps in found for k, _ in ps)]))
        if not len(keys):
            continue
        counted = []
        for parts in found:
            counts = np.zeros(len(keys), np.int64)
            for mine, come in parts:  # each number is in a part once
                counts[np.searchsorted(keys, mine)] += come
            counted.append(counts)
        yield keys, counted


def scratch() -> IO[bytes]:
    """A file without a name, in the folder for temporary files.

    Raises:
        Failure: there can't be one.
    """
    try:
        return tempfile.TemporaryFile(prefix="charter-", buffering=0)
    except OSError as error:
        raise _no_room(error) from error


def written(file: IO[bytes], *arrays: npt.NDArray[Any]) -> None:
    """Append numbers to such a file.

    Raises:
        Failure: they can't be written.
    """
    try:
        for each in arrays:
            rest = memoryview(each.tobytes())
            while rest:
                rest = rest[file.write(rest) :]
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> Failure:
    what = f"temporary files cannot be written: {error.strerror or error}"
    fix = "make room there, or name another folder in TMPDIR"
    return Failure(Fault(tempfile.gettempdir(), "", what, fix))


def _summed(several: list[_Counted]) -> _Counted:
    """Each number once, ascending, with the sum of its counts."""
    keys = np.concatenate([each for each, _ in several])
    counts = np.concatenate([each for _, each in several])
    order = np.argsort(keys)
    keys, counts = keys[order], counts[order]
    if not len(keys):
        return _NOTHING
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return keys[first], np.add.reduceat(counts, first)


def _once(keys: Keys) -> Keys:
    """Each number once, ascending; `numpy.unique` takes five times as long, by a hash table."""
    keys.sort()
    return keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys


def _between(keys: Keys, counts: Counts, low: int, high: int | None) -> _Counted:
    first = int(np.searchsorted(keys, np.uint64(low)))
    last = len(keys) if high is None else int(np.searchsorted(keys, np.uint64(high)))
    return keys[first:last], counts[first:last]
