"""Whether the index says what Argilla's database says, and making it so, record by record.

Argilla commits first and tells the search engine afterwards: a server that is killed in between
leaves an index that lacks the last answer. Counting records would not show it; each record's stamp
(`source.STAMPS`) does. A missing, foreign or broken index file is an empty index, so that all is
put in again.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from charter.review.embedded.inside.index import IndexWriter
from charter.review.embedded.inside.schema import open_index
from charter.review.embedded.inside.source import STAMPS, open_source

__all__ = ["Mended", "rebuild_if_stale"]

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Mended:
    """What was wrong in the index.

    Attributes:
        indexed: records that were missing or in an older state.
        removed: records that are no longer in the database.
        datasets: datasets that were missing or are no longer there.
    """

    indexed: int
    removed: int
    datasets: int

    def __bool__(self) -> bool:
        return bool(self.indexed or self.removed or self.datasets)


def rebuild_if_stale(database: Path, index: Path) -> Mended:
    """Make the index say what the database says.

    Args:
        database: Argilla's SQLite file, with the schema of 2.8.0.
        index: the index file, which need not be there.

    Returns:
        What had to be done; false where nothing was.
    """
    source, target = open_source(database), open_index(index)
    try:
        return _mend(source, target)
    finally:
        target.close()
        source.close()


def _mend(source: sqlite3.Connection, target: sqlite3.Connection) -> Mended:
    writer = IndexWriter(target, source)
    there = {
        _uuid(one) for (one,) in source.execute("SELECT id FROM datasets WHERE status='ready'")
    }
    known = {one for (one,) in target.execute("SELECT id FROM datasets")}
    for dataset in known - there:
        writer.drop_dataset(dataset)
    for dataset in there - known:
        writer.create_dataset(dataset)
    stamps = {_uuid(record): stamp for record, stamp in source.execute(STAMPS)}
    indexed = dict(target.execute("SELECT id, stamp FROM records").fetchall())
    gone = [record for record in indexed if record not in stamps]
    stale = [record for record, stamp in stamps.items() if indexed.get(record) != stamp]
    for start in range(0, len(gone), _BATCH):
        writer.remove(gone[start : start + _BATCH])
    for start in range(0, len(stale), _BATCH):
        writer.refresh(stale[start : start + _BATCH])
    return Mended(len(stale), len(gone), len(known ^ there))


def _uuid(digits: str) -> str:
    return str(UUID(digits))
