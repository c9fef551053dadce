"""Entries out of a cache for good: by age, by model, or because no run needs them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from charter.errors import Fault, InputError
from charter.models.cache import UNUSABLE, broken, connect
from charter.models.cache_files import KEY_BYTES, Tick, read_cache, size_of

__all__ = ["RUN_KEYS", "Pruned", "Which", "age", "prune"]

RUN_KEYS = "calls.keys"  # in a run's folder: the keys of its calls, one after the other
_STEP = 10_000  # ids a transaction
_VACUUM_WAIT = 5.0  # seconds for other processes to let go of the file


@dataclass(frozen=True, slots=True)
class Which:
    """What to prune: entries to which all that is given applies.

    Attributes:
        before: kept before this time, in seconds since 1970.
        model: of this model.
        runs: not asked for by any run in these folders: folders of runs, or runs.
        failures: the notes of failed calls instead of answers.
    """

    before: float | None = None
    model: str | None = None
    runs: tuple[Path, ...] = ()
    failures: bool = False


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was pruned.

    Attributes:
        pruned: entries that went, or would.
        kept: entries that stay.
        bytes_before: on disk.
        bytes_after: on disk; the same while space could not be given back.
        held: another process uses the file, so that its space is given back another time.
    """

    pruned: int
    kept: int
    bytes_before: int
    bytes_after: int
    held: bool = False

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def key_files(runs: Sequence[Path]) -> list[Path]:
    """The lists of keys of these runs.

    Raises:
        InputError: a folder is none of runs, or a run has no list: what it needs is not known.
    """
    found: list[Path] = []
    faults = []
    for folder in runs:
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        each = [folder, *(child for child in inside if child.is_dir())]
        with_keys = [run / RUN_KEYS for run in each if (run / RUN_KEYS).is_file()]
        found += with_keys
        bare = [run for run in each if (run / "state.json").exists()]
        for run in bare:
            if run / RUN_KEYS not in with_keys:
                what = f"the run has no {RUN_KEYS}: which answers it needs is not known"
                faults.append(Fault(str(run), "", what, "resume it first, or move it away"))
        if not with_keys and not bare:
            what = "no run in this folder" if folder.is_dir() else "no such folder"
            faults.append(Fault(str(folder), "", what, "name a folder of runs, as out/runs"))
    if faults:
        raise InputError(faults)
    return found


def prune(path: Path, which: Which, dry_run: bool, tick: Tick) -> Pruned:
    """Take entries out, some thousand at a time, and give their space back.

    Args:
        path: of the cache.
        which: what goes.
        dry_run: only count.
        tick: is told of rows looked at.

    Raises:
        InputError: no such cache or folder of runs.
        Failure: the file cannot be read or written.
    """
    files = key_files(which.runs)
    before = size_of(path)
    with read_cache(path) as db:
        table = "failures" if which.failures else "calls"
        total: int = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        if dry_run:
            where, given = _where(db, which, files)
            query = f"SELECT count(*) FROM {table} WHERE {where}"  # noqa: S608
            gone: int = db.execute(query, given).fetchone()[0]
            return Pruned(gone, total - gone, before, before)
    try:
        with closing(connect(path)) as db:
            where, given = _where(db, which, files)
            gone = _delete(db, table, where, given, tick)
            held = not _vacuum(db) if gone else False
    except UNUSABLE as error:
        raise broken(path, error) from None
    return Pruned(gone, total - gone, before, size_of(path), held)


def _where(
    db: sqlite3.Connection, which: Which, files: Sequence[Path]
) -> tuple[str, tuple[Any, ...]]:
    """The condition in SQL, with its values; the keys of runs go to a temporary table."""
    parts: list[str] = ["1"]
    given: list[Any] = []
    if which.before is not None:
        parts.append("made < ?")
        given.append(which.before)
    if which.model is not None:
        parts.append("model = ?")
        given.append(which.model)
    if which.runs:
        db.execute("CREATE TEMP TABLE needed (key BLOB PRIMARY KEY) WITHOUT ROWID")
        for file in files:
            _need(db, file)
        parts.append("key NOT IN (SELECT key FROM needed)")
    return " AND ".join(parts), tuple(given)


def _need(db: sqlite3.Connection, file: Path) -> None:
    """Note the keys of one run as needed."""
    with file.open("rb") as source:
        while block := source.read(KEY_BYTES * _STEP):
            keys = [block[i : i + KEY_BYTES] for i in range(0, len(block), KEY_BYTES)]
            # A run that was killed may have left half a key: all that begin with it are needed.
            torn = keys.pop() if len(keys[-1]) < KEY_BYTES else b""
            db.execute("BEGIN")
            db.executemany("INSERT OR IGNORE INTO needed VALUES (?)", ((key,) for key in keys))
            db.execute("COMMIT")
            if torn:
                for table in ("calls", "failures"):
                    db.execute(
                        f"INSERT OR IGNORE INTO needed SELECT key FROM {table} "  # noqa: S608
                        "WHERE key BETWEEN ? AND ?",
                        (torn, torn + b"\xff" * KEY_BYTES),
                    )


def _delete(
    db: sqlite3.Connection, table: str, where: str, given: tuple[Any, ...], tick: Tick
) -> int:
    if table == "failures":
        return db.execute(f"DELETE FROM failures WHERE {where}", given).rowcount  # noqa: S608
    gone = 0
    first, last = db.execute("SELECT min(id), max(id) FROM calls").fetchone()
    query = f"DELETE FROM calls WHERE id BETWEEN ? AND ? AND {where}"  # noqa: S608
    while first is not None and first <= last:
        end = min(first + _STEP - 1, last)
        gone += db.execute(query, (first, end, *given)).rowcount
        tick(end - first + 1)
        # Ids may have wide gaps.
        (first,) = db.execute("SELECT min(id) FROM calls WHERE id > ?", (end,)).fetchone()
    return gone


def _vacuum(db: sqlite3.Connection) -> bool:
    """Give free space back to the disk; whether that could be done."""
    db.execute(f"PRAGMA busy_timeout={int(_VACUUM_WAIT * 1000)}")
    try:
        db.execute("VACUUM")
        busy: int = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            return False
        raise
    return not busy


def age(text: str, now: float | None = None) -> float:
    """The time that lies `30d` or `12h` back, in seconds since 1970.

    Raises:
        ValueError: it is no such span.
    """
    units = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isdecimal():
        raise ValueError(text)
    return (time.time() if now is None else now) - int(number) * units[unit]
