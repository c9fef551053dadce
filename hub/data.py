"""Rows to parquet files that are the same bytes for the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from charter.hub.gate import row_split
from charter.hub.schema import CONFIGS, SPLITS

__all__ = ["data_path", "parquet_bytes", "tables"]

# Small row groups let a reader that streams stop early without having fetched 50 MB for a row.
_GROUP_BYTES: Final = 4 << 20
_GROUP_ROWS: Final = 8192
# The chunk sizes of `datasets`: a page ends where the content says so, so that a later version
# shares most of its bytes with this one in content-addressed storage.
_CHUNKING: Final = {"min_chunk_size": 256 << 10, "max_chunk_size": 1 << 20, "norm_level": 0}


def data_path(config: str, split: str) -> str:
    """Where the rows of a split stand in a version."""
    return f"{config}/{split}.parquet"


def tables(
    rows: Mapping[str, Sequence[Mapping[str, Any]]], splits: Mapping[str, str]
) -> dict[str, dict[str, pa.Table]]:
    """Config -> split -> its rows in their order; a split without rows is left out."""
    result: dict[str, dict[str, pa.Table]] = {}
    for config, schema in CONFIGS.items():
        parts: dict[str, list[Mapping[str, Any]]] = {split: [] for split in SPLITS}
        for row in rows.get(config, ()):
            parts[row_split(row, splits)].append(row)
        found = {
            split: pa.Table.from_pylist(part, schema=schema)
            for split, part in parts.items()
            if part
        }
        if found:
            result[config] = found
    return result


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as a parquet file: fixed options, no times, row groups of at most 4 MiB.

    Groups are cut at fixed row numbers and halved where they are too large, so that rows added at
    the end leave the groups before them as they were. A single row may be larger.
    """
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=3,
        use_dictionary=True,
        write_statistics=True,
        write_page_index=True,
        use_content_defined_chunking=_CHUNKING,
    ) as writer:
        for group in _groups(table):
            writer.write_table(group, row_group_size=group.num_rows)
    result: bytes = sink.getvalue().to_pybytes()
    return result


def _groups(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, _GROUP_ROWS):
        yield from _halved(table.slice(start, _GROUP_ROWS))


def _halved(group: pa.Table) -> Iterator[pa.Table]:
    if group.nbytes <= _GROUP_BYTES or group.num_rows == 1:
        yield group
        return
    middle = group.num_rows // 2
    yield from _halved(group.slice(0, middle))
    yield from _halved(group.slice(middle))
