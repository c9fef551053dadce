"""Whether two parquet files say the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["same_rows"]

_ROWS: Final = 1024  # compared at once


def same_rows(one: Path, other: Path) -> bool:
    """Whether two parquet files hold the same rows in the same order, whoever wrote them."""
    with pq.ParquetFile(one) as left, pq.ParquetFile(other) as right:
        if left.metadata.num_rows != right.metadata.num_rows:
            return False
        if not left.schema_arrow.equals(right.schema_arrow):
            return False
        pairs = zip(_even(left), _even(right), strict=True)
        return all(mine.equals(theirs) for mine, theirs in pairs)


def _even(file: pq.ParquetFile) -> Iterator[pa.Table]:
    """The rows in tables of one length, wherever the row groups end."""
    held = file.schema_arrow.empty_table()
    for batch in file.iter_batches(_ROWS):
        held = pa.concat_tables([held, pa.Table.from_batches([batch])])
        while held.num_rows >= _ROWS:
            yield held.slice(0, _ROWS)
            held = held.slice(_ROWS)
    yield held
