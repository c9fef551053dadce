"""Rows to parquet files that are the same bytes for the same rows, however these arrive."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import (
    FIRST_EXCEPTION,
    CancelledError,
    Future,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from charter.hub.part import Part, parts
from charter.hub.schema import CONFIGS, NULLABLE, SPLITS
from charter.hub.stored import StoredRows

__all__ = ["DataFile", "Layout", "SplitFile", "data_path", "write_data"]

# The least bytes of a row group; from there on it ends after as many again on average, and after
# four times as many at the latest. Larger ones share more of their bytes with a later version,
# smaller ones let a reader that streams stop early without having fetched much.
_GROUP_BYTES: Final = 8 << 20
_GROUP_MOST: Final = 4
_OPTIONS: Final[dict[str, Any]] = {
    "version": "2.6",
    "data_page_version": "1.0",
    "compression": "zstd",
    # Level 3 took 44 % more CPU time to write for 6 % fewer bytes.
    "compression_level": 1,
    # A dictionary is one page over all rows of a group, and new with any of them; zstd finds
    # what repeats all the same.
    "use_dictionary": False,
    "write_statistics": True,
    "write_page_index": True,
    # The chunk sizes of `datasets`: a page ends where the content says so, so that a later
    # version shares most of its bytes with this one in content-addressed storage.
    "use_content_defined_chunking": {
        "min_chunk_size": 256 << 10,
        "max_chunk_size": 1 << 20,
        "norm_level": 0,
    },
}
# Configs that are written at once: rows of the one are read while those of the other are encoded.
_AT_ONCE: Final = 2
# After so many row groups what they left is given back to the system: allocators keep it between
# pieces that are in use, and more of it with every group. After each group it would take time.
_GIVEN_BACK: Final = 4

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DataFile:
    """A parquet file that is written.

    Attributes:
        path: where it is.
        rows: in it.
        memory: bytes of the rows in Arrow's memory.
        size: of the file, in bytes.
        sha256: of the file.
    """

    path: Path
    rows: int
    memory: int
    size: int
    sha256: str


class Layout:
    """How many rows each split of each config has, and which of its columns hold a null."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], int] = {}
        self._nulls: dict[tuple[str, str], set[str]] = {}

    def see(self, part: Part) -> None:
        """Count one batch."""
        lacking = {
            name: part.column(name).is_null().to_numpy()
            for name in NULLABLE[part.config]
            if part.batch.column(name).null_count
        }
        for split, mask in part.masks.items():
            key = (part.config, split)
            self._rows[key] = self._rows.get(key, 0) + int(mask.sum())
            nulls = self._nulls.setdefault(key, set())
            nulls.update(name for name, lacks in lacking.items() if (lacks & mask).any())

    def rows(self, config: str, split: str) -> int:
        """Rows of a split."""
        return self._rows.get((config, split), 0)

    def bitmaps(self, config: str, split: str) -> int:
        """How many columns of a split take a bit a row: yes or no, or null or not."""
        flags = [each for each in CONFIGS[config].types if pa.types.is_boolean(each)]
        return len(flags) + len(self._nulls.get((config, split), ()))


def data_path(config: str, split: str) -> str:
    """Where the rows of a split stand in a version."""
    return f"{config}/{split}.parquet"


def write_data(
    rows: Mapping[str, StoredRows], splits: Mapping[str, str], layout: Layout, folder: Path
) -> dict[str, dict[str, DataFile]]:
    """Write the rows of every split to its file; a split without rows has none.

    Args:
        rows: config -> rows, in the order in which they are published.
        splits: prompt id -> split.
        layout: as counted over the same rows.
        folder: gets the files, each at its `data_path`.

    Returns:
        Config -> split -> file; only of splits that have rows.
    """
    pa.default_memory_pool().release_unused()  # what the checks left
    used = [config for config in CONFIGS if any(layout.rows(config, each) for each in SPLITS)]
    stop = Event()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            written = {
                config: pool.submit(
                    _write_config,
                    config,
                    parts(config, rows.get(config), splits),
                    layout,
                    folder,
                    stop,
                )
                for config in used
            }
            ended, _ = wait(written.values(), return_when=FIRST_EXCEPTION)
            for each in ended:
                each.result()
        finally:
            stop.set()  # where one failed, or an interrupt came, the others need not go on
    return {config: files.result() for config, files in written.items()}


def _write_config(
    config: str, rows: Iterable[Part], layout: Layout, folder: Path, stop: Event
) -> dict[str, DataFile]:
    """Write one config; its files by split."""
    with contextlib.ExitStack() as stack:
        files = {
            split: stack.enter_context(
                SplitFile(
                    folder / data_path(config, split),
                    CONFIGS[config],
                    layout.rows(config, split),
                    layout.bitmaps(config, split),
                )
            )
            for split in SPLITS
            if layout.rows(config, split)
        }
        for part in rows:
            if stop.is_set():
                raise CancelledError
            measured = Measured.of(part)
            for split, mask in part.masks.items():
                files[split].add(measured, mask)
    return {split: file.done() for split, file in files.items()}


@dataclass(frozen=True, slots=True)
class Measured:
    """A batch of rows, and where a row group may end among them.

    Attributes:
        batch: the rows.
        sizes: bytes of each row.
        ends: after which rows a group may end.
    """

    batch: pa.RecordBatch
    sizes: Ints
    ends: Bools

    @staticmethod
    def of(part: Part) -> Measured:
        """The rows of a batch."""
        sizes = np.zeros(len(part), np.int64)
        for column in part.batch.columns:
            sizes += _row_bytes(column)
        return Measured(part.batch, sizes, _may_end(part, sizes))


def _where(batch: pa.RecordBatch, mask: Bools) -> list[pa.RecordBatch]:
    """The rows that the mask names, in pieces."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    rows = int(mask.sum())
    # Slices are not copied, but keep the whole batch: they are for most of its rows, in few runs.
    if 2 * rows < len(mask) or 4 * len(edges) > len(mask):
        return [batch.filter(pa.array(mask))]
    runs = edges.reshape(-1, 2).tolist()
    return [batch.slice(start, end - start) for start, end in runs]


class SplitFile:
    """Writes the rows of one split as a parquet file: fixed options, no times.

    Where a row group ends, the prompt ids say: from 8 MiB on at the next row whose hash does, so
    that rows added, dropped or changed anywhere leave all groups but those around them as they
    were. What is held is little more than three groups. A context manager; the file is there
    after it.
    """

    def __init__(self, path: Path, schema: pa.Schema, rows: int, bitmaps: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._total = rows
        self._bitmaps = bitmaps
        self._memory = 0
        self._at = 0  # where the next group starts
        self._groups = 0
        self._held: deque[pa.RecordBatch] = deque()
        self._bytes = np.empty(0, np.int64)
        self._ends = np.empty(0, np.bool_)
        self._writing: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1)
        self._file = _HashedFile(path)
        self._writer = pq.ParquetWriter(self._file, schema, **_OPTIONS)

    def __enter__(self) -> SplitFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file, self._thread:
            self._wait()
            self._writer.close()
        pa.default_memory_pool().release_unused()
        if kind is None:
            assert (self._at, len(self._bytes)) == (self._total, 0), "not the rows of the layout"

    def add(self, rows: Measured, mask: Bools) -> None:
        """Take the next rows, those of a batch that the mask names; write what is complete."""
        sizes = rows.sizes[mask]
        self._memory += int(sizes.sum())
        self._held.extend(_where(rows.batch, mask))
        self._bytes = np.concatenate([self._bytes, sizes])
        self._ends = np.concatenate([self._ends, rows.ends[mask]])
        while size := self._next():
            self._write(size)

    def _next(self) -> int:
        """Rows of the next group; 0 while its end is not there yet."""
        sums = np.cumsum(self._bytes)
        ends = np.flatnonzero(
            (self._ends & (sums >= _GROUP_BYTES)) | (sums >= _GROUP_MOST * _GROUP_BYTES)
        )
        if len(ends):
            return int(ends[0]) + 1
        held = len(self._bytes)
        return held if self._at + held == self._total else 0

    def done(self) -> DataFile:
        """What was written."""
        # The bitmaps as in one table of the whole split.
        memory = self._memory + self._bitmaps * -(-self._total // 8)
        return DataFile(self._path, self._total, memory, self._file.size, self._file.sha256())

    def _write(self, size: int) -> None:
        # In one piece: where the pieces of a column end would show in the pages.
        group = pa.Table.from_batches(self._taken(size)).combine_chunks()
        # While it is encoded, the next rows are read.
        self._wait()
        self._writing = self._thread.submit(self._writer.write_table, group, size)
        self._bytes = self._bytes[size:]
        self._ends = self._ends[size:]
        self._at += size
        self._groups += 1
        if self._groups % _GIVEN_BACK == 0:
            pa.default_memory_pool().release_unused()

    def _taken(self, size: int) -> Iterator[pa.RecordBatch]:
        """The first rows of those that are held, which are held no more."""
        while size:
            piece = self._held.popleft()
            if piece.num_rows > size:
                self._held.appendleft(piece.slice(size))
                piece = piece.slice(0, size)
            size -= piece.num_rows
            yield piece

    def _wait(self) -> None:
        """Until the group that is being encoded is written.

        Raises:
            OSError: it can't be.
        """
        if self._writing is not None:
            self._writing.result()
            self._writing = None


def _row_bytes(array: pa.Array) -> Ints:
    """Bytes of each value in Arrow's memory, but for bitmaps: the same in any batch."""
    dtype = array.type
    sizes = np.zeros(len(array), np.int64)
    if pa.types.is_list(dtype):
        offsets = array.offsets.to_numpy()
        inner = np.concatenate([[0], np.cumsum(_row_bytes(array.flatten()))])
        sizes += 4 + np.diff(inner[offsets - offsets[0]])
    elif pa.types.is_struct(dtype):
        for each in array.flatten():
            sizes += _row_bytes(each)
    elif pa.types.is_string(dtype):
        lengths = pc.binary_length(array)
        sizes += 4 + (lengths.fill_null(0) if lengths.null_count else lengths).to_numpy()
    elif not pa.types.is_boolean(dtype):
        sizes += dtype.bit_width // 8
    return sizes


def _may_end(part: Part, sizes: Ints) -> Bools:
    """After which rows a group may end: a share of them by their bytes, drawn from their prompts.

    CRC-32 since it is the same everywhere and always; mixed, for ids that count up are near each
    other in it.
    """
    names, rows = part.prompts
    texts = names.cast(pa.binary()).fill_null(b"").to_pylist()
    sums = np.fromiter(map(zlib.crc32, texts), np.uint64, len(texts))
    drawn = (sums * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    ends: Bools = np.repeat(drawn, rows) < sizes * (2**32 / _GROUP_BYTES)
    return ends


class _HashedFile:
    """A new file that is hashed while it is written, and on disk when it is closed."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self._hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> _HashedFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def sha256(self) -> str:
        return self._hash.hexdigest()
