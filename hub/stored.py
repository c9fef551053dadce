"""Rows on disk before they are published: written as they are made, read batch by batch.

A run hands over each row when it is done and keeps none of them, and publication reads them a
batch at a time, so neither grows in memory with the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import polars as pl
import pyarrow as pa

from charter.hub.columns import Columns, Row, unknown_config
from charter.hub.schema import CONFIGS

__all__ = ["RowWriter", "StoredRows", "stored_rows"]

_BATCH_ROWS: Final = 1024
# Rows may be long; what is held of them should not be. The first batch is small for that reason.
_BATCH_BYTES: Final = 4 << 20
_FIRST_ROWS: Final = 128


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The rows of one config, on disk or in Arrow batches.

    Attributes:
        config: of the rows.
        count: rows that were given, whether they fit or not; `len()` of this.
        problems: what the check `columns` has found. The batch of a row that does not fit is
            not stored: no such version can be published.
        source: where the batches are.
    """

    config: str
    count: int
    problems: tuple[str, ...]
    source: Path | tuple[pa.RecordBatch, ...]

    def __len__(self) -> int:
        return self.count

    def first(self) -> dict[str, Any] | None:
        """The first row, or None where there is none."""
        for batch in self.batches():
            found: dict[str, Any] = batch.slice(0, 1).to_pylist()[0]
            return found
        return None

    def batches(self, *columns: str) -> Iterator[pa.RecordBatch]:
        """The rows in the order in which they were given, some 1,000 at a time.

        Args:
            columns: those that are wanted; all when none is named.
        """
        if not isinstance(self.source, Path):
            yield from (each.select(columns) if columns else each for each in self.source)
            return
        wanted = [CONFIGS[self.config].get_field_index(name) for name in columns]
        options = pa.ipc.IpcReadOptions(included_fields=wanted, use_threads=False)
        with pa.OSFile(str(self.source)) as file, pa.ipc.open_stream(file, options=options) as read:
            yield from (each.select(columns) if columns else each for each in read)

    def distinct(self, column: str) -> list[str]:
        """The values of a text column, each once, in the order of their first rows."""
        found: dict[str, None] = {}
        for batch in self.batches(column):
            values = pl.Series(values=batch.column(column)).unique(maintain_order=True)
            found.update(dict.fromkeys(values.to_list()))
        return list(found)


class _Encoder:
    """Rows of one config into batches of a good size."""

    def __init__(self, config: str, sink: Callable[[pa.RecordBatch], object]) -> None:
        self.config = config
        self.count = 0
        self._columns = Columns(config)
        self._sink = sink
        self._held: list[Row] = []
        self._room = _FIRST_ROWS

    def add(self, rows: Sequence[Row]) -> None:
        held = self._held
        held.extend(rows)
        while len(held) >= self._room:
            # Read once: `_write` sets it for the batch after this one.
            room = self._room
            self._write(held[:room])
            del held[:room]

    def end(self) -> tuple[str, ...]:
        """Write what is held.

        Returns:
            What did not fit.
        """
        if self._held:
            self._write(self._held)
            self._held = []
        return self._columns.problems()

    def _write(self, rows: Sequence[Row]) -> None:
        self.count += len(rows)
        batch = self._columns.batch(rows)
        if batch is None:
            return
        self._sink(batch)
        fit = _BATCH_BYTES * batch.num_rows // max(batch.nbytes, 1)
        self._room = min(max(fit, 1), _BATCH_ROWS)


class RowWriter:
    """Writes rows to one Arrow stream a config, and checks their columns as it goes.

    Rows are held until a batch of them is full: they are the writer's from the moment they are
    given, and may not be changed any more. A context manager; what is written is there after it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._encoders: dict[str, _Encoder] = {}
        self._unknown: dict[str, int] = {}
        self._asked: dict[str, None] = {}
        self._open: dict[str, tuple[Any, Any]] = {}
        self._stored: dict[str, StoredRows] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._shut()

    def declare(self, config: str) -> None:
        """Say that a config was asked for, though it may get no rows."""
        self._asked.setdefault(config)
        if config not in CONFIGS:
            self._unknown.setdefault(config, 0)

    def add(self, config: str, rows: Sequence[Row]) -> None:
        """Take rows of a config, in the order in which they are to be published.

        Raises:
            OSError: they can't be written.
            ValueError: the writer is closed.
        """
        encoder = self._encoders.get(config)
        if encoder is None or self._stored is not None:
            if self._stored is not None:
                raise ValueError("rows are given to a writer that is closed")
            self.declare(config)
            if config not in CONFIGS:
                self._unknown[config] += len(rows)
                return
            encoder = self._encoders[config] = _Encoder(config, self._sink(config))
        encoder.add(rows)

    def close(self) -> None:
        """Write what is held and finish the files; a second time nothing happens.

        Raises:
            OSError: they can't be written.
        """
        if self._stored is not None:
            return
        try:
            ended = {name: encoder.end() for name, encoder in self._encoders.items()}
        finally:
            self._shut()
        self._stored = {config: self._result(config, ended) for config in self._asked}

    def stored(self) -> dict[str, StoredRows]:
        """The rows by config, in the order in which the configs were first named.

        Raises:
            ValueError: the writer is not closed yet.
        """
        if self._stored is None:
            raise ValueError("rows can be read when their writer is closed")
        return dict(self._stored)

    def _result(self, config: str, ended: Mapping[str, tuple[str, ...]]) -> StoredRows:
        if config in self._unknown:
            return StoredRows(config, self._unknown[config], (unknown_config(config),), ())
        encoder = self._encoders.get(config)
        path = self._path(config)
        source: Path | tuple[()] = path if config in self._open else ()
        return StoredRows(config, encoder.count if encoder else 0, ended.get(config, ()), source)

    def _path(self, config: str) -> Path:
        return self._folder / f"{config}.arrow"

    def _sink(self, config: str) -> Callable[[pa.RecordBatch], None]:
        def write(batch: pa.RecordBatch) -> None:
            if config not in self._open:
                file = pa.OSFile(str(self._path(config)), "wb")
                options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
                stream = pa.ipc.new_stream(file, CONFIGS[config], options=options)
                self._open[config] = (stream, file)
            self._open[config][0].write_batch(batch)

        return write

    def _shut(self) -> None:
        for each in self._open.values():
            for part in each:
                part.close()


def stored_rows(
    rows: Mapping[str, StoredRows | Sequence[Row]],
) -> dict[str, StoredRows]:
    """Rows in lists as stored rows, in memory; those that are stored already as they are."""
    return {
        config: each if isinstance(each, StoredRows) else _in_memory(config, each)
        for config, each in rows.items()
    }


def _in_memory(config: str, rows: Sequence[Row]) -> StoredRows:
    if config not in CONFIGS:
        return StoredRows(config, len(rows), (unknown_config(config),), ())
    batches: list[pa.RecordBatch] = []
    encoder = _Encoder(config, batches.append)
    encoder.add(rows)
    problems = encoder.end()
    return StoredRows(config, encoder.count, problems, tuple(batches))
