"""Whether rows have the columns of their config, and the rows as Arrow batches.

Arrow's own conversion drops keys that it does not know and casts what nearly fits. Here a row
either has exactly the columns and types of `charter.hub.schema.CONFIGS`, or it is named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from charter.errors import nearest
from charter.hub.schema import CONFIGS, NULLABLE

__all__ = ["SHOWN", "Columns", "Row", "some", "unknown_config"]

Row = Mapping[str, Any]
_Build = Callable[[Sequence[Any]], pa.Array]

SHOWN: Final = 5
"""How many names a message shows."""

# A lone surrogate: a str in Python that no UTF-8 file can hold.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_INT: Final = 2**31


class _MisfitError(Exception):
    """Some value of a column may not fit; the careful check says which, if any."""


def some(names: Iterable[str], more: int = 0) -> str:
    """The first few names and how many more there are, `more` not among `names`."""
    every = list(names)
    rest = max(len(every) - SHOWN, 0) + more
    return ", ".join(every[:SHOWN]) + (f" and {rest} more" if rest else "")


def unknown_config(config: str) -> str:
    """What is said of a config that there is none of."""
    return f"no config {config}: {nearest(config, CONFIGS)}"


class Columns:
    """The columns of one config: turns rows into batches and keeps what did not fit.

    Types are looked at a column at a time, by the set of types in it; only where that finds
    something odd are its rows looked at one by one.
    """

    def __init__(self, config: str) -> None:
        self.config = config
        schema = CONFIGS[config]
        self._schema = schema
        self._nullable = NULLABLE[config]
        self._fits = {field.name: _type_check(field.type) for field in schema}
        self._build = _fields(list(schema), self._nullable)
        self._seen = 0
        self._wrong: dict[str, list[str]] = {}
        self._more: dict[str, int] = {}

    def batch(self, rows: Sequence[Row]) -> pa.RecordBatch | None:
        """The next rows as one batch, or None where one of them does not fit."""
        arrays = self._arrays(rows)
        if arrays is None and not self._faulty(rows):
            # Other mappings, tuples and the like, which only the quick look did not know.
            arrays = self._arrays([_plain(row) for row in rows])
            assert arrays is not None, "the two checks disagree"
        self._seen += len(rows)
        return None if arrays is None else pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def problems(self) -> tuple[str, ...]:
        """What did not fit so far, each with the first rows where."""
        return tuple(
            f"{self.config}: {what} in row {some(where, self._more[what])}"
            for what, where in self._wrong.items()
        )

    def _arrays(self, rows: Sequence[Row]) -> list[pa.Array] | None:
        try:
            return self._build(rows)
        # What arrow raises for text that is no UTF-8 and for numbers out of range is among these.
        except (_MisfitError, ValueError, TypeError, OverflowError):
            return None

    def _faulty(self, rows: Sequence[Row]) -> bool:
        found = False
        for at, row in enumerate(rows, self._seen):
            for what in _row_faults(row, self._fits, self._nullable):
                found = True
                where = self._wrong.setdefault(what, [])
                self._more.setdefault(what, 0)
                if len(where) < SHOWN:
                    where.append(str(at))
                else:
                    self._more[what] += 1
        return found


def _fields(
    fields: Sequence[pa.Field], nullable: frozenset[str]
) -> Callable[[Sequence[Any]], list[pa.Array]]:
    """Builds the arrays of dictionaries that have exactly these fields."""
    names = [field.name for field in fields]
    # Two names at least, so that it gives tuples.
    getter = itemgetter(*names)
    builds = [_array(field.type, field.name in nullable) for field in fields]

    def build(values: Sequence[Any]) -> list[pa.Array]:
        if not values:
            return [each(()) for each in builds]
        if set(map(type, values)) != {dict} or set(map(len, values)) != {len(names)}:
            raise _MisfitError
        try:
            columns = list(zip(*map(getter, values), strict=True))
        except KeyError:
            raise _MisfitError from None
        return [each(column) for each, column in zip(builds, columns, strict=True)]

    return build


def _array(dtype: pa.DataType, nullable: bool) -> _Build:
    """Builds the array of a column whose values are of this type, by `isinstance`."""
    if pa.types.is_list(dtype):
        return _list_array(dtype)
    if pa.types.is_struct(dtype):
        fields = list(dtype)
        inner = _fields(fields, frozenset())
        return lambda values: pa.StructArray.from_arrays(inner(values), fields=fields)
    if pa.types.is_string(dtype):
        return _typed(dtype, nullable, str)
    if pa.types.is_boolean(dtype):
        return _typed(dtype, nullable, bool)
    numbers = _typed(dtype, nullable, *((int, float) if pa.types.is_float64(dtype) else (int,)))

    def bounded(values: Sequence[Any]) -> pa.Array:
        array = numbers(values)
        odd = pc.equal(array, -_INT) if array.type == pa.int32() else _infinite(array)
        if pc.any(odd).as_py():
            raise _MisfitError
        return array

    return bounded


def _infinite(array: pa.Array) -> pa.Array:
    return pc.invert(pc.is_finite(array))


def _typed(dtype: pa.DataType, nullable: bool, *kinds: type) -> _Build:
    fine = (*kinds, type(None)) if nullable else kinds

    def build(values: Sequence[Any]) -> pa.Array:
        for kind in set(map(type, values)):
            if not issubclass(kind, fine) or (kind is bool and bool not in kinds):
                raise _MisfitError
        return pa.array(values, dtype)

    return build


def _list_array(dtype: pa.DataType) -> _Build:
    inner = _array(dtype.value_type, False)

    def build(values: Sequence[Any]) -> pa.Array:
        if not all(issubclass(kind, (list, tuple)) for kind in set(map(type, values))):
            raise _MisfitError
        offsets = np.zeros(len(values) + 1, np.int32)
        np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=offsets[1:])
        flat = list(chain.from_iterable(values))
        return pa.ListArray.from_arrays(pa.array(offsets), inner(flat), type=dtype)

    return build


def _plain(value: Any) -> Any:
    """The value in the plain types that it is made of; enum members are texts and numbers too."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return value


def _row_faults(
    row: Row, fits: Mapping[str, Callable[[Any], bool]], nullable: frozenset[str]
) -> Iterator[str]:
    for name in sorted(row.keys() - fits.keys()):
        yield f"unknown column {name}"
    for name, fit in fits.items():
        if name not in row:
            yield f"no column {name}"
        elif row[name] is None:
            if name not in nullable:
                yield f"null in {name}"
        elif not fit(row[name]):
            yield f"wrong type or value in {name}"


def _type_check(dtype: pa.DataType) -> Callable[[Any], bool]:
    """A test for single values of a type."""
    if pa.types.is_list(dtype):
        inner = _type_check(dtype.value_type)
        return lambda value: isinstance(value, (list, tuple)) and all(map(inner, value))
    if pa.types.is_struct(dtype):
        fields = {field.name: _type_check(field.type) for field in dtype}
        return lambda value: (
            isinstance(value, Mapping)
            and value.keys() == fields.keys()
            and all(fit(value[name]) for name, fit in fields.items())
        )
    if pa.types.is_string(dtype):
        return _is_text
    if pa.types.is_boolean(dtype):
        return lambda value: isinstance(value, bool)
    if pa.types.is_float64(dtype):
        return _is_float
    return lambda value: _is_number(value) and isinstance(value, int) and abs(value) < _INT


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and (value.isascii() or not _SURROGATE.search(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_float(value: Any) -> bool:
    """A finite number that a float64 holds; of integers arrow takes those up to 2**53."""
    if not _is_number(value):
        return False
    return abs(value) <= 2**53 if isinstance(value, int) else math.isfinite(value)
