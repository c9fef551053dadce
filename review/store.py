"""The answers of one repo on this machine: kept, each once, whatever happens to the server.

One SQLite file a repo in the review's data folder. Each change is one transaction on disk, so a
process that is killed leaves the state before or after it; readers never wait for writers.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, TextIO

from charter.errors import Failure, Fault, InputError
from charter.hub.manifest import check_repo
from charter.review.embedded.place import data_folder
from charter.review.reviewers import reviewer_key
from charter.review.spot_check import Human, Share, SpotCheck, Sure

__all__ = ["SCHEME", "Answer", "Reading", "ReviewStore", "spot_check_of"]

SCHEME: Final = 1
"""Version of the file's tables; a newer one is refused."""

_WAIT: Final = 60.0
_TABLES: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE answers (
    id TEXT PRIMARY KEY, version TEXT NOT NULL, dataset TEXT NOT NULL, updated TEXT NOT NULL,
    pass INTEGER NOT NULL, spot_check TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX answers_dataset ON answers (dataset, pass);
CREATE TABLE gone (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE readings (
    dataset TEXT PRIMARY KEY, name TEXT NOT NULL, mark TEXT, pass INTEGER NOT NULL,
    tally TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE sent (external_id TEXT PRIMARY KEY, version TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was read.

    Attributes:
        spot_check: what it says.
        updated: when the server last changed it, to the microsecond.
    """

    spot_check: SpotCheck
    updated: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What the last whole reading of an Argilla dataset found.

    Attributes:
        mark: the state of the dataset that was read; None where it may have changed meanwhile.
        tally: counts for people, plain values.
    """

    mark: str | None
    tally: dict[str, Any]


class ReviewStore:
    """The answers of one repo. A context manager; one thread at a time.

    Made by `ReviewStore.open(repo, data)`.
    """

    def __init__(self, path: Path, repo: str, key: bytes, database: sqlite3.Connection) -> None:
        self.path = path
        self.repo = repo
        self.key = key
        self._database = database

    @classmethod
    def open(cls, repo: str, data: Path | None = None) -> ReviewStore:
        """The store of a repo, made where there is none.

        Args:
            repo: `owner/name`.
            data: the review's data folder; by default the user's
                (`charter.review.embedded.place.data_folder`).

        Raises:
            InputError: the repo's name can't be used, or the file is of a newer Charter.
            Failure: the file can't be read or made.
        """
        path = data_folder(data) / "answers" / f"{check_repo(repo)}.sqlite"
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.parents[1].chmod(0o700)
            key = reviewer_key(path.parents[1])
            # SQLite does not wait for another that turns its log on at the same moment.
            with _lock_file(path.with_suffix(".opening")) as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                _make_private(path)
                database = _opened(path, repo)
        except (OSError, sqlite3.DatabaseError) as error:
            what = f"the answers cannot be read or kept: {error}"
            raise Failure(Fault(str(path), "", what, "make room or permission there")) from error
        return cls(path, repo, key, database)

    def __enter__(self) -> ReviewStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was done is on disk already."""
        self._database.close()

    # What people said

    def spot_checks(self) -> list[SpotCheck]:
        """Every submitted answer, by id."""
        found = self._database.execute("SELECT spot_check FROM answers ORDER BY id")
        return [spot_check_of(json.loads(text)) for (text,) in found]

    def gone(self) -> set[str]:
        """Ids of answers that were taken back, and not given again since."""
        return {each for (each,) in self._database.execute("SELECT id FROM gone")}

    # What was sent

    def sent(self) -> set[str]:
        """External ids of the records that were sent from this machine."""
        return {each for (each,) in self._database.execute("SELECT external_id FROM sent")}

    def note_sent(self, external_ids: Iterable[str], version: str) -> None:
        """Remember records that the server has taken.

        Args:
            external_ids: of the records; those that are known already stay as they are.
            version: tag that their rows are from.
        """
        rows = [(each, version) for each in external_ids]
        with self._writing():
            self._database.executemany("INSERT OR IGNORE INTO sent VALUES (?, ?)", rows)

    # Collecting

    @contextlib.contextmanager
    def alone(
        self,
        doing: Literal["collecting", "sending"],
        say: Callable[[str], None] = lambda _: None,
    ) -> Iterator[None]:
        """Be the only one who does this for the repo on this machine; another process waits.

        Two readings of the server at once could each undo what only the other has seen, and two
        draws would both take the same rows. The kernel takes the lock back from a process that
        dies.

        Raises:
            Failure: another process has held it for ten minutes.
        """
        with _lock_file(self.path.with_suffix(f".{doing}")) as handle:
            until, told = time.monotonic() + 10 * _WAIT, False
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        what = f"another process has been {doing} for ten minutes"
                        fix = "wait for it or end it, and run this again"
                        raise Failure(Fault(self.repo, "", what, fix)) from None
                    if not told:
                        say(f"another process is {doing}; waiting for it")
                        told = True
                    time.sleep(0.05)
            yield

    def reading(self, dataset: str) -> Reading | None:
        """What the last whole reading of a dataset found, by the dataset's id on the server."""
        row = self._database.execute(
            "SELECT mark, tally FROM readings WHERE dataset = ?", (dataset,)
        ).fetchone()
        return None if row is None else Reading(row[0], json.loads(row[1]))

    def readings(self) -> list[dict[str, Any]]:
        """The tallies of all datasets that were ever read whole, also of those that are gone."""
        found = self._database.execute("SELECT tally FROM readings ORDER BY dataset")
        return [json.loads(tally) for (tally,) in found]

    def start(self, dataset: str) -> int:
        """The number of a new reading of a dataset."""
        row = self._database.execute(
            "SELECT max(pass) FROM (SELECT pass FROM readings WHERE dataset = :dataset"
            " UNION ALL SELECT pass FROM answers WHERE dataset = :dataset)",
            {"dataset": dataset},
        ).fetchone()
        return int(row[0] or 0) + 1

    def keep(self, dataset: str, number: int, answers: Iterable[Answer]) -> tuple[int, int]:
        """Store what a page of a dataset holds, at once.

        Args:
            dataset: its id on the server.
            number: of the reading.
            answers: submitted ones. Of two with one id, from two datasets, the newer stays.

        Returns:
            How many are new, and how many changed.
        """
        new = changed = 0
        with self._writing():
            for answer in answers:
                row = answer.spot_check.as_row()
                text = json.dumps(row, ensure_ascii=False, allow_nan=False)
                held = self._database.execute(
                    "SELECT spot_check, dataset, updated FROM answers WHERE id = ?", (row["id"],)
                ).fetchone()
                if held and held[1] != dataset and held[2] > answer.updated:
                    continue
                new += held is None
                changed += held is not None and json.loads(held[0]) != row
                self._database.execute(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)",
                    (row["id"], row["version"], dataset, answer.updated, number, text),
                )
                self._database.execute("DELETE FROM gone WHERE id = ?", (row["id"],))
        return new, changed

    def finish(
        self, dataset: str, name: str, number: int, mark: str | None, tally: Mapping[str, Any]
    ) -> int:
        """End a whole reading: what it did not find in its dataset any more was taken back.

        Returns:
            How many answers were removed.
        """
        old = (dataset, number)
        with self._writing():
            self._database.execute(
                "INSERT OR IGNORE INTO gone SELECT id FROM answers"
                " WHERE dataset = ? AND pass < ?", old
            )  # fmt: skip
            done = self._database.execute(
                "DELETE FROM answers WHERE dataset = ? AND pass < ?", old
            ).rowcount
            self._database.execute(
                "INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?, ?)",
                (dataset, name, mark, number, json.dumps(dict(tally), ensure_ascii=False)),
            )
        return done

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def spot_check_of(row: Mapping[str, Any]) -> SpotCheck:
    """The spot-check of a row of the config `reviews`; the way back from `as_row`."""
    words = {"verdict": Human, "sure": Sure, "share": Share, "gold": Human}
    values: dict[str, Any] = {
        name: words[name](value) if name in words and value is not None else value
        for name, value in row.items()
    }
    return SpotCheck(**values)


def _lock_file(path: Path) -> TextIO:
    return open(path, "a", opener=lambda name, flags: os.open(name, flags, 0o600))


def _make_private(path: Path) -> None:
    """Make the file by us and not by SQLite, so that it is nobody else's at any time.

    One that is there is not touched: closing any handle of it would end the locks that other
    threads of this process hold on it.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _opened(path: Path, repo: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("BEGIN IMMEDIATE")
        there = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'about'").fetchone()
        if not there:
            for statement in _TABLES.split(";"):
                database.execute(statement)
            about = [("scheme", str(SCHEME)), ("repo", repo)]
            database.executemany("INSERT INTO about VALUES (?, ?)", about)
        database.execute("COMMIT")
        found = dict(database.execute("SELECT name, value FROM about").fetchall())
        if int(found["scheme"]) > SCHEME:
            what = f"its scheme {found['scheme']} is newer than {SCHEME}, the newest known here"
            raise InputError(Fault(str(path), "", what, "install a newer charter-ai"))
        if found["repo"] != repo:
            # A file system that takes Me/x and me/X for one name.
            what = f"it holds the answers of {found['repo']}, not of {repo}"
            raise InputError(Fault(str(path), "", what, f"write {found['repo']}, or use --data"))
    except BaseException:
        database.close()
        raise
    return database
