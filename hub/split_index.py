"""The splits of many prompts in little memory: a mapping over arrays that may lie in files."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from copy import copy
from itertools import chain
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from charter.hub.growing import Growing, Grown
from charter.hub.names import Ints, Names, batches

__all__ = ["Split", "Splits", "known", "moved", "split_of"]

Split = Literal["train", "test"]

Bools = npt.NDArray[np.bool_]

_NAMES: Final[tuple[Split, Split]] = ("train", "test")
# Prompts that are walked at once.
_BATCH: Final = 1 << 12


class Splits(Mapping[str, Split]):
    """Prompt id -> split, with the clusters that it was drawn for; as a dictionary, but immutable.

    Where there are very many prompts they lie in files that the system removes.

    Args:
        ids: of the prompts, in input order, each once; an Arrow array of texts, or any texts.
        tests: which of them are in `test`.
        firsts: for each the place of the first prompt of its cluster; its own, by default.

    Raises:
        ValueError: an id is given twice, or the three are of different lengths.
        Failure: there is no room on the disk for temporary files.
    """

    def __init__(
        self,
        ids: Iterable[str] | pa.Array,
        tests: Sequence[bool] | Bools,
        firsts: Ints | None = None,
    ) -> None:
        self._names = Names(ids)
        self._tests = _grown(np.bool_, [np.asarray(tests, np.bool_)])
        self._firsts = None if firsts is None else _grown(np.int32, [firsts])
        self._last = 0  # where the last id that was asked for stands
        if any(len(each) != len(self) for each in (tests, firsts) if each is not None):
            raise ValueError("ids, tests and firsts are of different lengths")
        if len(self._names.twice()):
            raise ValueError("a prompt id is given twice")

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process a text has another hash.
        firsts = None if self._firsts is None else np.array(self._firsts.values)
        return Splits, (list(self), self.tests, firsts)

    def __copy__(self) -> Splits:
        """The same prompts and splits, not taken twice; for a reader who goes its own way."""
        other = Splits.__new__(Splits)
        other.__dict__.update(self.__dict__)
        return other

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return self.place(name) >= 0

    def __getitem__(self, name: str) -> Split:
        place = self.place(name)
        if place < 0:
            raise KeyError(name)
        return _NAMES[int(self._tests.values[place])]

    def __repr__(self) -> str:
        return f"Splits of {len(self)} prompts, {np.count_nonzero(self._tests.values)} in test"

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
        return np.array(self._tests.values)

    @property
    def firsts(self) -> Ints:
        """For each prompt the place of the first one of its cluster; a copy."""
        if self._firsts is None:
            return np.arange(len(self))
        return self._firsts.values.astype(np.int64)

    def place(self, name: object) -> int:
        """Where an id stands among those here; -1 where it does not."""
        return self._names.place(name) if isinstance(name, str) else -1

    def places(self, names: Sequence[str | None]) -> Ints:
        """The same for many ids at once; fastest where they come in the order of those here."""
        # Rows stand mostly in the order of their prompts.
        found = self._names.places(names, self._last)
        if len(found) and found[-1] >= 0:
            self._last = int(found[-1])
        return found

    def in_test(self, names: Sequence[str | None]) -> Bools:
        """Which of several prompts are in `test`; what never became one is not."""
        places = self.places(names)
        found: Bools = (places >= 0) & self._tests.values[places] if len(self) else places >= 0
        self._tests.give_back()
        return found

    def name(self, place: int) -> str:
        """The id at a place."""
        return self._names[place]

    def with_more(self, ids: Iterable[str], split: Split) -> Splits:
        """These and further prompts, all of them in one split and each in a cluster of its own.

        Args:
            ids: of the prompts, in their order. One that is here stays what it is, and one that
                comes again counts once.
            split: theirs.
        """
        ids = iter(ids)
        first = next(ids, None)
        if first is None:
            return self
        names = Names(chain(self, [first], ids))
        again = names.twice()
        if len(again):
            names = Names(_left_out(names, again))
        other = copy(self)
        other._names = names
        own = np.arange(len(self), len(names))
        other._tests = _grown(np.bool_, [self._tests.values, np.full(len(own), split == "test")])
        if self._firsts is not None:
            other._firsts = _grown(np.int32, [self._firsts.values, own])
        return other

    def in_train(self, places: Ints) -> Splits:
        """The same splits, but that the prompts at these places are in `train`."""
        other = copy(self)
        tests = self.tests
        tests[places] = False
        other._tests = _grown(np.bool_, [tests])
        return other


class _Values(ValuesView[Split]):
    _mapping: Splits

    def __iter__(self) -> Iterator[Split]:
        for start in range(0, len(self), _BATCH):
            tests = self._mapping._tests.values[start : start + _BATCH]
            yield from map(_NAMES.__getitem__, tests.tolist())
            self._mapping._tests.give_back()


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
        firsts = self._splits._firsts
        return name if firsts is None else self._splits.name(int(firsts.values[place]))


def _grown(kind: npt.DTypeLike, pieces: Iterable[npt.NDArray[Any]]) -> Grown:
    growing = Growing(kind)
    for piece in pieces:
        growing.add(piece)
    return growing.done()


def _left_out(names: Names, places: Ints) -> Iterator[str]:
    """The ids but those at some ascending places."""
    gone = iter([*places.tolist(), -1])
    next_gone = next(gone)
    for place, name in enumerate(names):
        if place == next_gone:
            next_gone = next(gone)
        else:
            yield name


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
    for names in batches(splits):
        told = zip(
            names, split_of(splits, names), split_of(kept, names), known(kept, names), strict=True
        )
        yield from (name for name, now, before, there in told if there and now != before)
