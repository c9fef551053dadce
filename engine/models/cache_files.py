"""Cache files as a whole: opened to be read, walked, counted."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charter.errors import Failure, Fault, InputError
from charter.models.cache import (
    COLUMNS,
    UNUSABLE,
    answer_of,
    broken,
    lenient,
    refuse_foreign,
)
from charter.models.call import Answer

__all__ = [
    "KEY_BYTES",
    "Kept",
    "ModelStats",
    "Stats",
    "Tick",
    "count",
    "count_damaged",
    "kept_of",
    "read_cache",
    "size_of",
    "stats",
    "walk",
]

KEY_BYTES = 32
_PAGE = 2000  # rows a query: no reader holds other processes' log back for longer

Tick = Callable[[int], None]


# Read


@contextmanager
def read_cache(path: Path) -> Iterator[sqlite3.Connection]:
    """A cache file, opened to be read: it is never made, changed or locked for writers.

    Also one in a place that cannot be written to, which SQLite must be told.

    Raises:
        InputError: there is no such file.
        Failure: it is no cache of this schema, is damaged, or becomes unreadable meanwhile.
    """
    if not path.is_file():
        what = "is a folder, not a cache file" if path.is_dir() else "no such cache file"
        raise InputError(Fault(str(path), "", what, "check the path, --cache or CHARTER_CACHE"))
    try:
        with closing(_open(path)) as db:
            if refuse_foreign(path, db) == 0:
                raise Failure(Fault(str(path), "", "the cache file is empty", "remove it"))
            # Damaged text is for the checksum to find, not for SQLite to stumble over.
            db.text_factory = lenient
            yield db
    except UNUSABLE as error:
        raise broken(path, error) from None


def _open(path: Path) -> sqlite3.Connection:
    address = path.absolute().as_uri()
    try:
        return _tried(f"{address}?mode=ro")
    except (sqlite3.OperationalError, UnicodeDecodeError):
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            # `immutable` would pass over what stands in the log alone.
            raise
        return _tried(f"{address}?immutable=1")


def _tried(address: str) -> sqlite3.Connection:
    db = sqlite3.connect(address, uri=True, timeout=60, isolation_level=None)
    try:
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except BaseException:
        db.close()
        raise
    return db


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry as it was kept.

    Attributes:
        key: 32 bytes.
        model: its name, for people.
        answer: what it said.
        made: when it was kept, in seconds since 1970.
    """

    key: bytes
    model: str
    answer: Answer
    made: float


def kept_of(row: Sequence[Any]) -> Kept | None:
    """The entry of a row of `COLUMNS`; None where it is damaged."""
    key, model, text, finish, logprobs, read, written, seconds, made, found = row
    answer = answer_of((key, text, finish, logprobs, read, written, seconds, found))
    if answer is None or len(key) != KEY_BYTES or not isinstance(model, str):
        return None
    if not isinstance(made, float) or not math.isfinite(made + seconds):
        return None
    try:
        model.encode()
    except UnicodeEncodeError:
        return None
    return Kept(key, model, answer, made)


def walk(db: sqlite3.Connection, model: str | None = None) -> Iterator[tuple[int, Kept | None]]:
    """All entries with their ids, in the order of their coming; None for a damaged one."""
    only = "" if model is None else "AND model = ?"
    given = () if model is None else (model,)
    query = (
        f"SELECT id, {', '.join(COLUMNS)} FROM calls "  # noqa: S608 - names of ours
        f"WHERE id > ? {only} ORDER BY id LIMIT {_PAGE}"
    )
    last, before = -(1 << 63), None
    while last != before:
        before = last
        for row in db.execute(query, (last, *given)):
            last = row[0]
            yield last, kept_of(row[1:])


def count(db: sqlite3.Connection, model: str | None = None) -> int:
    """How many entries there are."""
    if model is None:
        found: int = db.execute("SELECT count(*) FROM calls").fetchone()[0]
    else:
        query = "SELECT count(*) FROM calls WHERE model = ?"
        found = db.execute(query, (model,)).fetchone()[0]
    return found


def count_damaged(db: sqlite3.Connection, tick: Tick) -> int:
    """Check every entry against its checksum."""
    damaged = 0
    for seen, (_, kept) in enumerate(walk(db), 1):
        damaged += kept is None
        if seen % _PAGE == 0:
            tick(_PAGE)
    return damaged


# Count


@dataclass(frozen=True, slots=True)
class ModelStats:
    """What a cache holds of one model.

    Attributes:
        answers: entries.
        prompt_tokens: tokens read.
        completion_tokens: tokens written.
        seconds: time of the model for all of them.
        first: when the first was kept, in seconds since 1970.
        last: when the last was.
    """

    answers: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Stats:
    """What a cache holds.

    Attributes:
        entries: answers.
        bytes: on disk, with the log.
        failures: calls noted as failed or empty.
        models: by name.
    """

    entries: int
    bytes: int
    failures: int
    models: dict[str, ModelStats] = field(default_factory=dict)


def size_of(path: Path) -> int:
    """Bytes on disk of a cache file and its log."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def stats(path: Path, db: sqlite3.Connection) -> Stats:
    """Count a cache, by model: a scan of the file, no entry is unpacked."""
    query = (
        "SELECT model, count(*), total(prompt_tokens), total(completion_tokens), "
        # Damage may have made any number of these, which no checksum covers.
        "total(CASE WHEN seconds BETWEEN 0 AND 1e9 THEN seconds END), "
        "min(CAST(made AS REAL)), max(CAST(made AS REAL)) "
        "FROM calls GROUP BY model ORDER BY model"
    )
    models = {
        str(name): ModelStats(answers, int(read), int(written), seconds, first, last)
        for name, answers, read, written, seconds, first, last in db.execute(query)
    }
    failures: int = db.execute("SELECT count(*) FROM failures").fetchone()[0]
    return Stats(sum(m.answers for m in models.values()), size_of(path), failures, models)
