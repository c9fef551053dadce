"""The splits of many prompts in little memory: a mapping over arrays, some 30 bytes a prompt."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from copy import copy
from itertools import islice
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Split", "Splits", "known", "moved", "split_of"]

Split = Literal["train", "test"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_NAMES: Final[tuple[Split, Split]] = ("train", "test")
# Ids that are turned into Python's texts at once.
_BATCH: Final = 1 << 12
# So many ids for each that is asked for are compared with it before all are looked through.
_AHEAD: Final = 2


class Splits(Mapping[str, Split]):
    """Prompt id -> split, with the clusters that it was drawn for; as a dictionary, but immutable.

    An id is found by Python's hash of it, of which eight bytes are held, and then compared in full.

    Args:
        ids: of the prompts, in input order, each once; an Arrow array of texts, or any texts.
        tests: which of them are in `test`.
        firsts: for each the place of the first prompt of its cluster; its own, by default.

    Raises:
        ValueError: an id is given twice, or the three are of different lengths.
    """

    def __init__(
        self,
        ids: Iterable[str] | pa.Array,
        tests: Sequence[bool] | Bools,
        firsts: Ints | None = None,
    ) -> None:
        self._ids = ids.cast(pa.large_string()) if isinstance(ids, pa.Array) else _texts(ids)
        self._tests: Bools = np.array(tests, np.bool_)
        own = np.arange(len(self._ids), dtype=np.int32)
        self._firsts = own if firsts is None else np.array(firsts, np.int32)
        if not len(self._ids) == len(self._tests) == len(self._firsts):
            raise ValueError("ids, tests and firsts are of different lengths")
        hashes = np.concatenate([np.empty(0, np.int64), *map(_hashes, _batches(self._ids))])
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._order = hashes[order], order.astype(np.int32)
        met = np.flatnonzero(self._hashes[1:] == self._hashes[:-1])
        alike = self._ids.take(pa.array(order[np.union1d(met, met + 1)])).to_pylist()
        if len(set(alike)) < len(alike):
            raise ValueError("a prompt id is given twice")
        self._last = 0  # where the last id that was asked for stands

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process a text has another hash.
        return Splits, (list(self), self._tests, self._firsts)

    def __copy__(self) -> Splits:
        """The same prompts and splits, not taken twice; for a reader who goes its own way."""
        other = Splits.__new__(Splits)
        other.__dict__.update(self.__dict__)
        return other

    def __len__(self) -> int:
        return len(self._tests)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BATCH):
            yield from self._ids.slice(start, _BATCH).to_pylist()

    def __contains__(self, name: object) -> bool:
        return self.place(name) >= 0

    def __getitem__(self, name: str) -> Split:
        place = self.place(name)
        if place < 0:
            raise KeyError(name)
        return _NAMES[int(self._tests[place])]

    def __repr__(self) -> str:
        return f"Splits of {len(self)} prompts, {np.count_nonzero(self._tests)} in test"

    def values(self) -> ValuesView[Split]:
        """The splits, in the order of the ids."""
        return _Values(self)

    def items(self) -> ItemsView[str, Split]:
        """The ids with their splits, in their order."""
        return _Items(self)

    @property
    def cluster_of(self) -> Mapping[str, str]:
        """Prompt id -> id of the first prompt of its cluster, in input order."""
        return _Clusters(self)

    @property
    def tests(self) -> Bools:
        """Which prompts are in `test`, in the order of the ids; a copy."""
        return self._tests.copy()

    @property
    def firsts(self) -> Ints:
        """For each prompt the place of the first one of its cluster; a copy."""
        return self._firsts.astype(np.int64)

    def place(self, name: object) -> int:
        """Where an id stands among those here; -1 where it does not."""
        if not isinstance(name, str):
            return -1
        value = hash(name)
        at = int(np.searchsorted(self._hashes, value))
        while at < len(self._hashes) and self._hashes[at] == value:
            if self.name(int(self._order[at])) == name:
                return int(self._order[at])
            at += 1
        return -1

    def places(self, names: Sequence[str | None]) -> Ints:
        """The same for many ids at once; fastest where they come in the order of those here."""
        wanted = pa.array(names, pa.large_string())
        # Rows stand mostly in the order of their prompts: a few are compared before all are.
        start = self._last
        near = self._ids.slice(start, _AHEAD * len(names))
        found: Ints = (
            pc.index_in(wanted, near, skip_nulls=True).fill_null(-1).to_numpy().astype(np.int64)
        )
        found[found >= 0] += start
        odd = np.flatnonzero(found < 0)
        if len(odd) and len(self):
            found[odd] = self._anywhere([names[at] for at in odd.tolist()], wanted.take(odd))
        if len(found) and found[-1] >= 0:
            self._last = int(found[-1])
        return found

    def in_test(self, names: Sequence[str | None]) -> Bools:
        """Which of several prompts are in `test`; what never became one is not."""
        places = self.places(names)
        return (places >= 0) & self._tests[places] if len(self) else places >= 0

    def _anywhere(self, names: Sequence[str | None], wanted: pa.Array) -> Ints:
        found = np.full(len(names), -1)
        hashes = _hashes(names)
        near = np.minimum(np.searchsorted(self._hashes, hashes), len(self) - 1)
        at = np.flatnonzero(self._hashes[near] == hashes)
        there = self._order[near[at]].astype(np.int64)
        same = pc.equal(self._ids.take(pa.array(there)), wanted.take(pa.array(at)))
        fits = same.fill_null(False).to_numpy(zero_copy_only=False)
        found[at[fits]] = there[fits]
        for odd in at[~fits].tolist():  # another id has its hash
            found[odd] = self.place(names[odd])
        return found

    def name(self, place: int) -> str:
        """The id at a place."""
        found: str = self._ids[place].as_py()
        return found

    def split(self, place: int) -> Split:
        """The split of the prompt at a place."""
        return _NAMES[int(self._tests[place])]

    def with_more(self, ids: pa.Array, split: Split) -> Splits:
        """These and some new ids, all of them in one split and in a cluster of its own.

        Raises:
            ValueError: an id is there already.
        """
        more = pa.concat_arrays([self._ids, ids.cast(pa.large_string())])
        tests = np.append(self._tests, np.full(len(ids), split == "test"))
        own = np.arange(len(self), len(more), dtype=np.int32)
        return Splits(more, tests, np.append(self._firsts, own))

    def in_train(self, places: Ints) -> Splits:
        """The same splits, but that the prompts at these places are in `train`."""
        other = copy(self)
        other._tests = self._tests.copy()
        other._tests[places] = False
        return other


class _Values(ValuesView[Split]):
    _mapping: Splits

    def __iter__(self) -> Iterator[Split]:
        return map(_NAMES.__getitem__, self._mapping._tests.tolist())


class _Items(ItemsView[str, Split]):
    _mapping: Splits

    def __iter__(self) -> Iterator[tuple[str, Split]]:
        return zip(self._mapping, self._mapping.values(), strict=True)


class _Clusters(Mapping[str, str]):
    """The clusters of some splits."""

    def __init__(self, splits: Splits) -> None:
        self._splits = splits

    def __len__(self) -> int:
        return len(self._splits)

    def __iter__(self) -> Iterator[str]:
        return iter(self._splits)

    def __getitem__(self, name: str) -> str:
        place = self._splits.place(name)
        if place < 0:
            raise KeyError(name)
        return self._splits.name(int(self._splits._firsts[place]))


def _texts(ids: Iterable[str]) -> pa.Array:
    # In pieces, for what Arrow makes at once has up to twice the room that it needs.
    pieces = [pa.array(names, pa.large_string()) for names in _batches(ids)]
    return pa.concat_arrays(pieces) if pieces else pa.array([], pa.large_string())


def _batches(ids: Iterable[str] | pa.Array) -> Iterator[list[str]]:
    """The ids as Python's texts, some at a time."""
    if isinstance(ids, pa.Array):
        for start in range(0, len(ids), _BATCH):
            yield ids.slice(start, _BATCH).to_pylist()
        return
    remaining = iter(ids)
    while some := list(islice(remaining, _BATCH)):
        yield some


def _hashes(names: Sequence[str | None]) -> Ints:
    return np.fromiter(map(hash, names), np.int64, len(names))


def split_of(splits: Mapping[str, str], names: Sequence[str | None]) -> list[str]:
    """The split of each of several prompts; `train` for what never became one."""
    if isinstance(splits, Splits):
        return [_NAMES[test] for test in splits.in_test(names).tolist()]
    get = splits.get
    return [get(name or "", "train") for name in names]


def known(splits: Mapping[str, str], names: Sequence[str | None]) -> Bools:
    """Which of several prompts have a split."""
    if isinstance(splits, Splits):
        return splits.places(names) >= 0
    return np.fromiter((name in splits for name in names), np.bool_, len(names))


def moved(splits: Mapping[str, str], kept: Mapping[str, str]) -> Iterator[str]:
    """The prompts that are in another split than in `kept`; those not in `kept` are in none."""
    for names in _batches(splits):
        told = zip(
            names, split_of(splits, names), split_of(kept, names), known(kept, names), strict=True
        )
        yield from (name for name, now, before, there in told if there and now != before)
