"""The search index: one SQLite file beside Argilla's database, made from it and never more than it.

Tables (`doc` numbers a record, `key` a named property of a dataset):

- `records`: what a record has once. `shuffle` is drawn from the record's id, `stamp` says which
  state of the record in Argilla's database stands here, `text_hash` which text.
- `text_N` for each dataset N: FTS5, a column for each field, and `mark`, the same in every record.
- `facts`: metadata and suggestions, one row a value, so that a list matches by any of its elements.
- `responses`, `answers`: who answered with which status, and what.
- `vectors`: of length one, 32-bit floats.

Values have no declared type: a number is stored as a number and text as text, and SQLite compares
them as such.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Final

__all__ = ["VERSION", "open_index", "text_table"]

VERSION: Final = 1
"""Of what stands in the index and how text is cut into words. Another one: made anew."""

_TABLES = """
CREATE TABLE datasets (dataset INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE columns (
  dataset INTEGER NOT NULL, name TEXT NOT NULL, place INTEGER NOT NULL,
  PRIMARY KEY (dataset, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE keys (
  key INTEGER PRIMARY KEY, dataset INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
  UNIQUE (dataset, kind, name)
) STRICT;
CREATE TABLE records (
  doc INTEGER PRIMARY KEY, dataset INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, external_id TEXT,
  status TEXT NOT NULL, inserted_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  shuffle INTEGER NOT NULL, text_hash BLOB NOT NULL, stamp TEXT NOT NULL
) STRICT;
CREATE INDEX records_in_order ON records (dataset, inserted_at, doc);
CREATE INDEX records_by_status ON records (dataset, status);
CREATE TABLE facts (
  doc INTEGER NOT NULL, key INTEGER NOT NULL, value, PRIMARY KEY (doc, key, value)
) WITHOUT ROWID;
CREATE INDEX facts_by_value ON facts (key, value);
CREATE TABLE responses (
  doc INTEGER NOT NULL, user TEXT NOT NULL, dataset INTEGER NOT NULL, status TEXT NOT NULL,
  PRIMARY KEY (doc, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX responses_by_user ON responses (dataset, user, status);
CREATE TABLE answers (
  doc INTEGER NOT NULL, key INTEGER NOT NULL, user TEXT NOT NULL, value,
  PRIMARY KEY (doc, key, user, value)
) WITHOUT ROWID;
CREATE TABLE vectors (
  key INTEGER NOT NULL, doc INTEGER NOT NULL, value BLOB NOT NULL, UNIQUE (key, doc)
) STRICT;
CREATE INDEX vectors_by_doc ON vectors (doc);
"""

_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "cache_size = -65536",
    "temp_store = MEMORY",
    "mmap_size = 268435456",
)
_WAIT = 60.0  # seconds for another process that writes: a job of the Hub
_OPENING = threading.Lock()


def text_table(dataset: int) -> str:
    """Name of the FTS5 table of a dataset, by the number that it has here."""
    return f"text_{int(dataset)}"


def open_index(path: Path) -> sqlite3.Connection:
    """Open the index; make it where it is missing, of another version, or no database.

    What stands in it can be made again from Argilla's database, so a crash of the machine may cost
    the last changes (`mend` finds them) but never leaves a broken file.

    Raises:
        sqlite3.OperationalError: the file can't be opened or made, or another process holds it.
    """
    with _OPENING:
        try:
            return _opened(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # not a database, or one that was cut short
            for end in ("", "-wal", "-shm", "-journal"):
                path.with_name(path.name + end).unlink(missing_ok=True)
            return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    if not path.exists():
        path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if not _is_current(connection):
            connection.execute("BEGIN IMMEDIATE")
            if not _is_current(connection):  # nobody was faster
                _make(connection)
            connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_current(connection: sqlite3.Connection) -> bool:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        connection.execute("SELECT 1 FROM records, facts, answers LIMIT 1").fetchone()
    return version == VERSION


def _make(connection: sqlite3.Connection) -> None:
    tables = connection.execute(
        # An FTS5 table takes its own tables along: they are no longer there when their turn comes.
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        " ORDER BY sql LIKE 'CREATE VIRTUAL%' DESC"
    ).fetchall()
    for (name,) in tables:
        quoted = name.replace('"', '""')
        connection.execute(f'DROP TABLE IF EXISTS "{quoted}"')
    for statement in _TABLES.split(";"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
