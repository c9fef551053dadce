"""The call cache: every answer that was paid for, by what was asked of which model."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from charter.errors import Failure, Fault
from charter.models.call import Answer, Call
from charter.models.store import cache_root
from charter.rows import digest

__all__ = ["CallCache", "call_key", "default_cache_path"]

SCHEME = 1
_CHUNK = 500  # keys a query; SQLite takes 999 parameters everywhere


def default_cache_path() -> Path:
    """The user's cache of calls; `CHARTER_CACHE` moves it."""
    return cache_root() / "calls.sqlite"


def call_key(identity: Mapping[str, Any], call: Call) -> str:
    """SHA-256 of model identity, messages, labels, seed and sample index (scheme 1).

    Not in it: the step's name and the prompt's id, which change no answer.
    """
    messages = [[m["role"], m["content"]] for m in call.messages]
    return digest("call", SCHEME, identity, messages, list(call.labels), call.seed, call.index)


class CallCache:
    """Answers in one SQLite file in WAL mode: safe with several processes and after a crash.

    The answer is JSON text, readable with the `sqlite3` tool. A failed call is never kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, answer TEXT NOT NULL) "
                "WITHOUT ROWID"
            )
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEME):
                what = f"the cache has schema {version}, this charter reads {SCHEME}"
                raise Failure(Fault(str(path), "", what, "upgrade charter"))
            self._db.execute(f"PRAGMA user_version={SCHEME}")
        except (sqlite3.DatabaseError, OSError) as error:
            raise self._broken(error) from None

    def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers that are there, by key.

        Raises:
            Failure: the file cannot be read.
        """
        found: dict[str, Answer] = {}
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT key, answer FROM calls WHERE key IN ({marks})"  # noqa: S608
            try:
                for key, text in self._db.execute(query, chunk):
                    found[key] = Answer(**json.loads(text))
            except (sqlite3.DatabaseError, ValueError, TypeError) as error:
                raise self._broken(error) from None
        return found

    def put(self, answers: Iterable[tuple[str, Answer]]) -> None:
        """Keep answers, all or none of them; those with an error are left out.

        Raises:
            Failure: the file cannot be written.
        """
        rows = [
            (key, json.dumps(asdict(answer), ensure_ascii=False))
            for key, answer in answers
            if answer.ok
        ]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO calls VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from None
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _broken(self, error: Exception) -> Failure:
        fix = "check disk and permissions, or move the file away: calls are then paid for again"
        return Failure(Fault(str(self.path), "", f"the cache cannot be used ({error})", fix))

    def close(self) -> None:
        """Close the file."""
        self._db.close()
