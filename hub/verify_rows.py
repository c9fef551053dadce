"""The rows of a published version, a batch at a time, for the gate and for a new publication."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from charter.errors import Failure, Fault
from charter.hub.data import data_path
from charter.hub.schema import CONFIGS, NULLABLE
from charter.hub.stored import StoredRows
from charter.hub.version import Version

__all__ = ["SINCE", "ParquetRows", "published_rows", "schema_of", "splits_in"]

_BATCH_ROWS: Final = 1024

SINCE: Final[dict[int, dict[str, frozenset[str]]]] = {
    2: {
        "preference": frozenset({"source_label"}),
        "judgments": frozenset({"sample", "score_a", "score_b", "source_label"}),
    }
}
"""Schema version -> config -> the columns that came with it."""

# What an older row says in a column that must not be null.
_BEFORE: Final = {"sample": 0}


def schema_of(config: str, schema_version: int) -> pa.Schema:
    """The columns that a config had in a schema version."""
    later = {
        name
        for since, configs in SINCE.items()
        if since > schema_version
        for name in configs.get(config, ())
    }
    return pa.schema([each for each in CONFIGS[config] if each.name not in later])


@dataclass(frozen=True, slots=True)
class ParquetRows(StoredRows):
    """Rows in parquet files, in their order, perhaps without some and with some more.

    Columns that came after the files were written are there and say nothing: null, sample 0.

    Attributes:
        files: the files, in order.
        drop: column -> values; a row that has one of them is left out.
        more: batches that follow the files.
    """

    files: tuple[Path, ...] = ()
    drop: Mapping[str, pa.Array] = field(default_factory=dict)
    more: tuple[pa.RecordBatch, ...] = ()

    def batches(self, *columns: str) -> Iterator[pa.RecordBatch]:
        """The rows, 1,024 at a time.

        Args:
            columns: those that are wanted; all when none is named.

        Raises:
            Failure: a file can't be read, or has a null or a number where none may be.
        """
        names = columns or tuple(CONFIGS[self.config].names)
        for file in self.files:
            yield from self._file(file, names)
        yield from (each.select(names) for each in self.more)

    def _file(self, path: Path, names: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        try:
            with pq.ParquetFile(path) as file:
                there = file.schema_arrow.names
                read = [name for name in dict.fromkeys((*names, *self.drop)) if name in there]
                for batch in file.iter_batches(_BATCH_ROWS, columns=read):
                    kept = self._kept(batch)
                    if kept.num_rows:
                        yield self._completed(path, kept, names)
        except (OSError, pa.ArrowException) as error:
            what = f"cannot be read: {error}"
            fault = Fault(str(path), "", what, "publish or download the version again")
            raise Failure(fault) from error

    def _kept(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        masks = [
            pc.is_in(batch.column(name), value_set=values)
            for name, values in self.drop.items()
            if len(values)
        ]
        return batch.filter(pc.invert(reduce(pc.or_, masks))) if masks else batch

    def _completed(self, path: Path, batch: pa.RecordBatch, names: Iterable[str]) -> pa.RecordBatch:
        schema = CONFIGS[self.config]
        fields = [schema.field(name) for name in names]
        arrays = [
            batch.column(each.name)
            if each.name in batch.schema.names
            else _unsaid(each, batch.num_rows)
            for each in fields
        ]
        for each, array in zip(fields, arrays, strict=True):
            if odd := _odd(array, each.name in NULLABLE[self.config]):
                what = f"{odd} in a row"
                raise Failure(Fault(str(path), each.name, what, "publish the version again"))
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _unsaid(column: pa.Field, rows: int) -> pa.Array:
    if column.name in _BEFORE:
        return pa.array([_BEFORE[column.name]] * rows, column.type)
    return pa.nulls(rows, column.type)


def _odd(array: pa.Array, nullable: bool) -> str:
    """What no row may have: a null, also inside of a list, or a number that is none."""
    if array.null_count and not nullable:
        return "null"
    if pa.types.is_list(array.type):
        return _odd(array.flatten(), False)
    if pa.types.is_struct(array.type):
        return next((odd for each in array.flatten() if (odd := _odd(each, False))), "")
    if pa.types.is_floating(array.type) and pc.any(pc.invert(pc.is_finite(array))).as_py():
        return "a number that is not finite"
    return ""


def published_rows(version: Version) -> dict[str, ParquetRows]:
    """Config -> its rows, of the configs that have some: of `train` and then of `test`."""
    found = {}
    for config in version.configs():
        files = tuple(version.path / data_path(config, split) for split in version.splits(config))
        count = sum(version.manifest.counts[config].values())
        found[config] = ParquetRows(config, count, (), (), files)
    return found


def splits_in(version: Version) -> tuple[dict[str, str], list[str]]:
    """Prompt id -> the split that its rows stand in, and the prompts that stand in both.

    A prompt that only has rejects stands where these do; what never was a prompt is left out.
    """
    splits: dict[str, str] = {}
    both: dict[str, None] = {}
    for config in version.configs():
        if config == "reviews":
            continue  # they stand where their rows do, and gold rows are nobody's
        for split in version.splits(config):
            scan = pl.scan_parquet(version.path / data_path(config, split))
            if config == "rejects":
                # A record refused twice may share its id with a prompt, and is in train.
                scan = scan.filter(pl.col("ledger") != "input")
            ids = scan.select(pl.col("prompt_id").drop_nulls().unique(maintain_order=True))
            for prompt_id in ids.collect().to_series().to_list():
                if splits.setdefault(prompt_id, split) != split:
                    both[prompt_id] = None
    return splits, list(both)
