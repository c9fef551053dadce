"""A damaged cache: what can be read of it goes to a new file, which takes its place."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from charter.errors import CharterError, Failure, Fault, InputError
from charter.models.cache import COLUMNS, INSERT, SCHEMA_VERSION, UNUSABLE, broken, connect
from charter.models.cache_files import KEY_BYTES, Tick, kept_of, read_cache, walk
from charter.models.cache_pages import Pages, Record, page_sizes

__all__ = ["Repaired", "repair"]

_BATCH = 2000
# SQLite's own lock bytes: every process that has a file in WAL mode open holds some of these.
_SHARED, _SHARED_LENGTH = 0x4000_0002, 510
_LOGS = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did.

    Attributes:
        repaired: false where nothing was wrong, and nothing was done.
        saved: entries that are in the cache now.
        lost: entries of which the key or some bytes were found, but no whole entry. There may have
            been more, of which nothing was left to be counted.
        failures: notes of failed calls that were saved.
        damaged: where the damaged file is now; None where nothing was wrong.
    """

    repaired: bool
    saved: int
    lost: int = 0
    failures: int = 0
    damaged: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def repair(path: Path, tick: Tick) -> Repaired:
    """Save every entry that can be read and whose checksum is right, from the file and its log.

    The damaged file is only read, then kept beside the new one as `NAME.damaged-1` (`-2`, ...),
    with its log.

    Args:
        path: of the cache.
        tick: is told of rows looked at.

    Raises:
        InputError: there is no such file.
        Failure: another process uses it, nothing in it can be read, or the disk is full.
    """
    if not path.is_file():
        raise InputError(Fault(str(path), "", "no such cache file", "check --cache"))
    with _alone(path):
        before = _state(path)
    sound = _sound(path)
    if sound is not None and len(before) < 2:
        return Repaired(False, sound)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.repaired")
    try:
        found = _salvage(path, fresh, tick)
        # SQLite passes over what follows a damaged frame in the log, and finds nothing wrong.
        if sound is not None and found[0] <= sound:
            return Repaired(False, sound)
        with _alone(path):
            if _state(path) != before:
                what = "another process changed the file while it was read"
                raise Failure(Fault(str(path), "", what, "end it, then repair again"))
            damaged = _exchange(path, fresh)
    except UNUSABLE as error:
        raise broken(fresh, error) from None
    except OSError as error:
        raise broken(path, error) from None
    finally:
        for end in ("", *_LOGS, "-journal"):
            fresh.with_name(fresh.name + end).unlink(missing_ok=True)
    return Repaired(True, *found, str(damaged))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the file against every process that has it open or wants to.

    The system's lock is taken, not SQLite's: that one asks for a file that is no worse than busy.

    Raises:
        Failure: another process has it open.
    """
    with path.open("r+b") as held:
        try:
            fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_LENGTH, _SHARED)
        except OSError:
            what = "another process uses the cache"
            raise Failure(Fault(str(path), "", what, "end it, then repair again")) from None
        yield


def _state(path: Path) -> list[tuple[int, int]]:
    files = (path, path.with_name(f"{path.name}-wal"))
    known = [file.stat() for file in files if file.exists()]
    # An empty log is as good as none; looking at a file makes one.
    return [(stat.st_size, stat.st_mtime_ns) for stat in known if stat.st_size]


def _sound(path: Path) -> int | None:
    """How many entries there are, when nothing is wrong with the file.

    Raises:
        Failure: it is a newer charter's, and sound as far as can be told.
    """
    try:
        with read_cache(path) as db:
            columns = [name for _, name, *_ in db.execute("PRAGMA table_info(calls)")]
            if columns != ["id", *COLUMNS] or not _whole(db):
                return None
            entries = 0
            for _, kept in walk(db):
                if kept is None:
                    return None
                entries += 1
            return entries
    except CharterError as error:
        if error.faults[0].fix == "upgrade charter" and _newer(path):
            raise
        return None


def _newer(path: Path) -> bool:
    """Whether a file of a higher version has other columns, so that its version is no damage."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    with suppress(*UNUSABLE), closing(sqlite3.connect(address, uri=True)) as db:
        columns = [name for _, name, *_ in db.execute("PRAGMA table_info(calls)")]
        return columns != ["id", *COLUMNS] and _whole(db)
    return False


def _whole(db: sqlite3.Connection) -> bool:
    said: str = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    return said == "ok"


def _salvage(path: Path, fresh: Path, tick: Tick) -> tuple[int, int, int]:
    """Fill a new file: entries saved, entries lost, notes saved."""
    for size in page_sizes(path):
        fresh.unlink(missing_ok=True)
        with ExitStack() as stack:
            db = stack.enter_context(closing(connect(fresh)))
            source = stack.enter_context(path.open("rb"))
            log_path = path.with_name(f"{path.name}-wal")
            log = stack.enter_context(log_path.open("rb")) if log_path.exists() else None
            saved, lost, failures = _fill(db, Pages(source, log, size), tick)
            if saved and not _whole(db):
                raise Failure(Fault(str(path), "", "the new file is not whole", "check the disk"))
        if saved:
            with fresh.open("rb") as done:
                os.fsync(done.fileno())
            return saved, lost, failures
    what = f"no entry of schema {SCHEMA_VERSION} can be read in the file"
    fix = "move it away: its calls are then paid for again"
    raise Failure(Fault(str(path), "", what, fix))


def _fill(db: sqlite3.Connection, pages: Pages, tick: Tick) -> tuple[int, int, int]:
    # The file is thrown away when this fails, so nothing need be safe before the end.
    db.execute("PRAGMA journal_mode=OFF")
    db.execute("PRAGMA synchronous=OFF")
    db.execute("PRAGMA cache_size=-65536")
    db.execute("CREATE TEMP TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
    db.execute("BEGIN")
    nameless = 0
    batches: dict[str, list[Any]] = {"calls": [], "failures": [], "seen": []}
    for record in pages.records():
        table, row = _sorted_out(record)
        nameless += table == "nameless"
        if table in batches:
            batches[table].append(row)
            if len(batches[table]) == _BATCH:
                _write(db, table, batches[table], tick)
    for table, rows in batches.items():
        _write(db, table, rows, tick)
    db.execute("COMMIT")
    saved: int = db.execute("SELECT count(*) FROM calls").fetchone()[0]
    failures: int = db.execute("SELECT count(*) FROM failures").fetchone()[0]
    query = "SELECT count(*) FROM seen WHERE key NOT IN (SELECT key FROM calls)"
    lost: int = db.execute(query).fetchone()[0]
    # Rows with a damaged key are known by their key in the index as well, unless that is gone.
    return saved, max(lost, nameless), failures


_STATEMENTS = {
    "calls": INSERT,
    "failures": "INSERT OR IGNORE INTO failures VALUES (?,?,?,?)",
    "seen": "INSERT OR IGNORE INTO seen VALUES (?)",
}


def _write(db: sqlite3.Connection, table: str, rows: list[Any], tick: Tick) -> None:
    db.executemany(_STATEMENTS[table], rows)
    if table == "calls":
        tick(len(rows))
    rows.clear()


def _sorted_out(record: Record) -> tuple[str, tuple[Any, ...]]:
    """Which table a row is of, and what of it is taken; "" for none."""
    table, values = record
    if table and len(values) == len(COLUMNS) + 1 and values[0] is None:
        row = tuple(values[1:])
        # SQLite stores whole numbers of a REAL column as integers.
        row = (*row[:7], *(float(v) if isinstance(v, int) else v for v in row[7:9]), row[9])
        if _is_key(row[0]):
            return ("calls", row) if kept_of(row) is not None else ("seen", (row[0],))
        return "nameless", ()
    if not table and len(values) == 2 and _is_key(values[0]):
        return "seen", (values[0],)
    if not table and len(values) == 4 and _is_key(values[0]):
        key, model, error, made = values
        if isinstance(model, str) and isinstance(error, str) and isinstance(made, int | float):
            return "failures", (key, model, error, float(made))
    return "", ()


def _is_key(value: Any) -> bool:
    return isinstance(value, bytes) and len(value) == KEY_BYTES


def _exchange(path: Path, fresh: Path) -> Path:
    """Put the new file in place of the old one, which is kept under another name."""
    number = 1
    while (damaged := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        damaged.hardlink_to(path)
    except OSError:  # a file system without links
        path.rename(damaged)
    # The old log goes first: SQLite would apply it to the new file.
    for end in _LOGS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(damaged.with_name(damaged.name + end))
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return damaged
