"""One batch of a config's rows as the checks and figures look at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from charter.hub.split_index import Splits, known, split_of
from charter.hub.stored import StoredRows
from charter.rows import normalised

__all__ = ["Part", "frames", "parts"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass
class Part:
    """A batch of one config.

    Attributes:
        config: of the rows.
        batch: their columns, all or some.
        splits: prompt id -> split.
    """

    config: str
    batch: pa.RecordBatch
    splits: Mapping[str, str]

    def __len__(self) -> int:
        rows: int = self.batch.num_rows
        return rows

    def frame(self, *columns: str) -> pl.DataFrame:
        """Some columns as a table."""
        return _frame(self.batch, columns)

    def column(self, name: str) -> pl.Series:
        """One column."""
        return self.frame(name).to_series()

    @cached_property
    def prompts(self) -> tuple[pa.StringArray, Ints]:
        """The prompt of each run of rows that share one, and how many rows these are."""
        runs = pc.run_end_encode(self.batch.column("prompt_id"))
        ends = runs.run_ends.to_numpy().astype(np.int64)
        return runs.values, np.diff(ends, prepend=0)

    @cached_property
    def row_splits(self) -> list[str]:
        """The split of each row: its prompt's; `train` for what never became a prompt."""
        names, rows = self.prompts
        splits = np.array(split_of(self.splits, names.to_pylist()), dtype=object)
        found: list[str] = np.repeat(splits, rows).tolist()
        return found

    def without_split(self) -> list[str]:
        """The prompts that have none, in the order of their first rows."""
        names = self.column("prompt_id").unique(maintain_order=True)
        return names.filter(pl.Series(~known(self.splits, names.to_list()))).to_list()

    @cached_property
    def masks(self) -> dict[str, Bools]:
        """Split -> which rows are in it; splits without rows in this batch are left out."""
        if isinstance(self.splits, Splits):
            names, rows = self.prompts
            test = np.repeat(self.splits.in_test(names.to_pylist()), rows)
            return {split: mask for split, mask in (("train", ~test), ("test", test)) if mask.any()}
        splits = np.array(self.row_splits, dtype=object)
        return {split: splits == split for split in dict.fromkeys(self.row_splits)}

    def contents(self, column: str) -> list[str]:
        """The text of each conversation in a column of messages."""
        contents = pl.Series(values=self._flat(column).field("content")).to_list()
        return [
            contents[start] if end == start + 1 else "\n".join(contents[start:end])
            for start, end in pairwise(self._offsets(column).tolist())
        ]

    def texts(self, column: str) -> list[str]:
        """The same, normalised."""
        return [normalised(text) for text in self.contents(column)]

    def lengths(self, column: str) -> Ints:
        """Characters of each conversation in a column of messages."""
        contents = pc.utf8_length(self._flat(column).field("content")).to_numpy()
        sums = np.concatenate(([0], np.cumsum(contents, dtype=np.int64)))
        return np.diff(sums[self._offsets(column)])

    def other_roles(self, column: str, known: frozenset[str]) -> Bools:
        """Which conversations have no message, or one of a role that is not in `known`."""
        role = self._flat(column).field("role")
        fine = pc.is_in(role, value_set=pa.array(sorted(known))).to_numpy(zero_copy_only=False)
        sums = np.concatenate(([0], np.cumsum(~fine.astype(bool), dtype=np.int64)))
        offsets = self._offsets(column)
        odd: Bools = (np.diff(offsets) == 0) | (np.diff(sums[offsets]) > 0)
        return odd

    def _offsets(self, column: str) -> Ints:
        offsets = self.batch.column(column).offsets.to_numpy()
        start: Ints = offsets.astype(np.int64) - offsets[0]
        return start

    def _flat(self, column: str) -> pa.StructArray:
        return self.batch.column(column).flatten()


def parts(config: str, rows: StoredRows | None, splits: Mapping[str, str]) -> Iterator[Part]:
    """The batches of a config, with all columns."""
    if isinstance(splits, Splits):
        splits = copy(splits)  # it knows where the last prompt was found: here or elsewhere
    for batch in rows.batches() if rows is not None else ():
        yield Part(config, batch, splits)


def frames(rows: StoredRows | None, *columns: str) -> Iterator[pl.DataFrame]:
    """Some columns of a config, a batch at a time."""
    for batch in rows.batches(*columns) if rows is not None else ():
        yield _frame(batch, columns)


def _frame(batch: pa.RecordBatch, columns: tuple[str, ...]) -> pl.DataFrame:
    found = pl.from_arrow(batch.select(list(columns)))
    assert isinstance(found, pl.DataFrame)
    return found
