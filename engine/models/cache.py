"""The call cache: every answer that was paid for, by what was asked of which model."""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from charter.errors import Failure, Fault
from charter.models.call import Answer
from charter.models.store import cache_root

__all__ = [
    "COLUMNS",
    "INSERT",
    "PAGE",
    "REPAIR",
    "SCHEMA_VERSION",
    "UNUSABLE",
    "CallCache",
    "Entry",
    "answer_of",
    "broken",
    "checksum",
    "connect",
    "default_cache_path",
    "lenient",
    "refuse_foreign",
    "row_of",
]

SCHEMA_VERSION = 2
SCHEME_1 = 1
_PATIENCE = 60.0  # seconds for another process's lock to go
_CHUNK = 500  # keys a query; SQLite takes 999 parameters everywhere
# Texts of chat models shrink by less than half below this, at the price of being unreadable.
_PACKED_FROM = 4096
# Bytes a page of the file.
PAGE = 2048
# 64 MiB of log before it is folded into the file: each folding waits for the disk twice.
_LOG_PAGES = 32768

COLUMNS = (
    "key",
    "model",
    "text",
    "finish",
    "logprobs",
    "prompt_tokens",
    "completion_tokens",
    "seconds",
    "made",
    "checksum",
)
# Answers lie in the order of their coming, so that writing appends; the keys have an index.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    model TEXT NOT NULL,
    text TEXT NOT NULL,
    finish TEXT NOT NULL,
    logprobs TEXT,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    made REAL NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS failures (
    key BLOB PRIMARY KEY,
    model TEXT NOT NULL,
    error TEXT NOT NULL,
    made REAL NOT NULL
) WITHOUT ROWID;
"""
# Not OR IGNORE, which would also pass over an entry that lacks a value.
_MARKS = "(?,?,?,?,?,?,?,?,?,?)"


def _inserting(rows: int) -> str:
    """The statement that puts so many rows, and leaves alone those whose key is there."""
    marks = ",".join([_MARKS] * rows)
    names = ", ".join(COLUMNS)
    return f"INSERT INTO calls ({names}) VALUES {marks} ON CONFLICT (key) DO NOTHING"  # noqa: S608


INSERT = _inserting(1)
_AT_ONCE = 8
_SELECT = "SELECT key, text, finish, logprobs, prompt_tokens, completion_tokens, seconds, checksum"

# What Python's sqlite3 raises of a damaged file: the second, where SQLite's own words about it
# quote bytes that are no text.
UNUSABLE = (sqlite3.Error, UnicodeDecodeError)
REPAIR = "`charter cache repair` saves what can be read"
_ADVICE = (
    (
        ("malformed", "not a database", "decode", "no such column", "no such table"),
        REPAIR,
    ),
    (("is full", "No space left"), "free space on its disk: what was kept before is still there"),
    (("is locked", "is busy"), "another process holds it: try again when that has ended"),
    (
        ("readonly", "Read-only", "Permission denied", "unable to open"),
        "make the file and its folder writable, or have another: CHARTER_CACHE=FOLDER",
    ),
)


class Entry(NamedTuple):
    """One answer on its way into the cache.

    Attributes:
        key: from `charter.models.keys.Keys`.
        model: name of the model, for people.
        answer: what it said, or why it did not.
    """

    key: bytes
    model: str
    answer: Answer


def default_cache_path() -> Path:
    """The user's cache of calls; `CHARTER_CACHE` moves it."""
    return cache_root() / "calls.sqlite"


def checksum(key: bytes, text: str | bytes, *rest: Any) -> int:
    """CRC-32 over an entry's key and values as they lie in the file."""
    found = zlib.crc32(text.encode() if isinstance(text, str) else text, zlib.crc32(key))
    return zlib.crc32("\0".join([str(value) for value in rest]).encode(), found)


def broken(path: Path, error: Exception) -> Failure:
    """What SQLite or the system said of a cache file, with what to do about it."""
    said = str(error)
    fix = "check disk and permissions"
    for signs, advice in _ADVICE:
        if any(sign in said for sign in signs):
            fix = advice
    return Failure(Fault(str(path), "", f"the cache cannot be used ({said})", fix))


def refuse_foreign(path: Path, db: sqlite3.Connection) -> int:
    """The schema version of an open file: 0 where it is new, else `SCHEMA_VERSION`.

    Raises:
        Failure: it is of another schema, or no cache at all.
        sqlite3.DatabaseError: it is no database, or is damaged.
    """
    db.execute("BEGIN")  # one moment for both: another process may be making the file
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    views = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='view'")}
    db.execute("COMMIT")
    strange = not views.isdisjoint({"calls", "failures"})  # they may have rows without end
    if version > SCHEMA_VERSION:
        what = f"the cache has schema {version}, this charter reads {SCHEMA_VERSION}"
        raise Failure(Fault(str(path), "", what, "upgrade charter"))
    if not strange and (version == SCHEMA_VERSION or (version == 0 and not tables)):
        return version
    what = "the file is no call cache that this charter reads"
    fix = "move the file away: its calls are then paid for again"
    if tables >= {"calls", "failures"}:
        what, fix = f"its schema version {version} cannot be right", REPAIR
    elif version == 1:
        # Scheme 1 had other keys, of which the new ones cannot be made.
        what = "the cache is of charter's first scheme, whose keys are no longer made"
    raise Failure(Fault(str(path), "", what, fix))


def _set_aside(path: Path) -> Path | None:
    """Move a file of the first scheme out of the way: of its keys the new ones cannot be made.

    Its calls are of no use to this charter, and whoever upgrades wants to go on. Returns where it
    is now; None where there is no such file.
    """
    if not path.is_file():
        return None
    try:
        db = sqlite3.connect(path, timeout=_PATIENCE)
        with closing(db):
            names = db.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != SCHEME_1 or names != [("calls",)]:
                return None
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except UNUSABLE:
        return None  # what is wrong with it is told when it is opened
    aside = path.with_name(f"{path.name}.scheme-1")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside


def connect(path: Path) -> sqlite3.Connection:
    """Open or make a cache file.

    Raises:
        Failure: it has another schema.
        sqlite3.DatabaseError: it is no cache, or is damaged, or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    patient_until = time.monotonic() + _PATIENCE
    try:
        while not _made_ready(path, db, patient_until):
            time.sleep(0.01)
    except BaseException:
        db.close()
        raise
    return db


def _made_ready(path: Path, db: sqlite3.Connection, patient_until: float) -> bool:
    """Set a connection up; false when that is to be tried again."""
    try:
        version = refuse_foreign(path, db)
        # Each answer dirties a page of the index at random: small ones are less to write.
        db.execute(f"PRAGMA page_size={PAGE}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
        if version == 0:
            made = f"PRAGMA user_version={SCHEMA_VERSION}"
            db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {made}; COMMIT")
    except sqlite3.OperationalError as error:
        # Processes that make the file at the same moment: SQLite itself does not wait then.
        if "locked" not in str(error) or time.monotonic() > patient_until:
            raise
        if db.in_transaction:
            db.execute("ROLLBACK")
        return False
    return True


class CallCache:
    """Answers in one SQLite file in WAL mode: safe with several processes and after a crash.

    A process that is killed loses what it had not given to `put` yet; a machine that loses power
    may lose the last answers, never the file. Every entry has a checksum, and one whose bytes
    were changed is as good as absent. Texts are plain, those of 4 KiB and more zlib-packed.

    Attributes:
        near: True; see `charter.models.desk.Store`.
        path: the file.
        damaged: entries met so far whose checksum was wrong.
        set_aside: where a cache of the first scheme was moved to, whose place this one takes.
    """

    near: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        try:
            self.set_aside = _set_aside(path)
            self._db = connect(path)
        except (*UNUSABLE, OSError) as error:
            raise broken(path, error) from None

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        """The answers that are there, by key.

        Raises:
            Failure: the file cannot be read.
        """
        found: dict[bytes, Answer] = {}
        damaged: list[bytes] = []
        for start in range(0, len(keys), _CHUNK):
            for row in self._rows(keys[start : start + _CHUNK]):
                answer = answer_of(row)
                if answer is None:
                    damaged.append(row[0])
                else:
                    found[row[0]] = answer
        if damaged:
            self.damaged += len(damaged)
            self.forget(damaged)
        return found

    def _rows(self, keys: Sequence[bytes]) -> list[Any]:
        query = f"{_SELECT} FROM calls WHERE key IN ({','.join('?' * len(keys))})"
        try:
            return self._db.execute(query, keys).fetchall()
        except UNUSABLE as error:
            if "decode to UTF-8" not in str(error):
                raise broken(self.path, error) from None
        # One text is damaged; read again in a way that lets its checksum say so.
        self._db.text_factory = lenient
        try:
            return self._db.execute(query, keys).fetchall()
        except UNUSABLE as error:
            raise broken(self.path, error) from None
        finally:
            self._db.text_factory = str

    def put(self, entries: Iterable[Entry]) -> dict[bytes, Answer]:
        """Keep answers, all or none of them; a failed or empty one is noted, never kept as one.

        Returns:
            The answers that were there before, by key: the first answer of a call stays.

        Raises:
            Failure: the file cannot be written.
        """
        now = time.time()
        kept, failed = [], []
        for key, model, answer in entries:
            if answer.ok and not answer.empty:
                kept.append(row_of(key, model, answer, now))
            else:
                failed.append((key, model, _whole(answer.error) or "empty", now))
        try:
            new = self._put(kept, failed)
        except (*UNUSABLE, OverflowError) as error:  # a count of tokens over 63 bits
            raise broken(self.path, error) from None
        finally:
            with suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
        return self.get([row[0] for row in kept]) if new < len(kept) else {}

    def _put(self, kept: list[tuple[Any, ...]], failed: list[tuple[Any, ...]]) -> int:
        if 0 < len(kept) <= _AT_ONCE and not failed:  # one statement is one transaction
            values = [value for row in kept for value in row]
            return self._db.execute(_inserting(len(kept)), values).rowcount
        new = 0
        self._db.execute("BEGIN IMMEDIATE")
        if kept:
            new = self._db.executemany(INSERT, kept).rowcount
        if failed:
            self._db.executemany("INSERT OR REPLACE INTO failures VALUES (?,?,?,?)", failed)
        self._db.execute("COMMIT")
        return new

    def forget(self, keys: Iterable[bytes]) -> None:
        """Take entries out, so that they can be put anew.

        Raises:
            Failure: the file cannot be written.
        """
        try:
            self._db.executemany("DELETE FROM calls WHERE key = ?", ((key,) for key in keys))
        except UNUSABLE as error:
            raise broken(self.path, error) from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def row_of(key: bytes, model: str, answer: Answer, made: float) -> tuple[Any, ...]:
    """The values of `COLUMNS` of an answer, as `INSERT` takes them."""
    logprobs = json.dumps(answer.label_logprobs) if answer.label_logprobs else None
    text: str | bytes = answer.text
    if len(text) >= _PACKED_FROM:
        text = zlib.compress(answer.text.encode(), 6)
    finish = answer.finish_reason
    if not finish.isascii():
        finish = _whole(finish)
    tokens = (answer.prompt_tokens, answer.completion_tokens)
    found = checksum(key, text, finish, logprobs, *tokens)
    return (key, model, text, finish, logprobs, *tokens, answer.seconds, made, found)


def _whole(text: str) -> str:
    """Text of a server without half surrogate pairs, which no file can hold."""
    return text.encode("utf-8", "replace").decode()


def lenient(text: bytes) -> str:
    """Text as it lies in a file, also where damage has made it no UTF-8."""
    return text.decode("utf-8", "surrogateescape")


def answer_of(row: Sequence[Any]) -> Answer | None:
    """The answer of a row (key, text, finish, logprobs, tokens read, written, seconds, checksum).

    None where the bytes are not those that were written.
    """
    key, text, finish, logprobs, read, written, seconds, found = row
    try:
        if checksum(key, text, finish, logprobs, read, written) != found:
            return None
        if not isinstance(seconds, float):
            return None
        if isinstance(text, bytes):
            text = zlib.decompress(text).decode()
        labels = json.loads(logprobs) if logprobs else {}
        return Answer(text, labels, finish, read, written, seconds=seconds)
    except (TypeError, ValueError, AttributeError, zlib.error):
        return None
