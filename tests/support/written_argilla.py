"""A database as Argilla writes it, filled by hand: what the search index is made from."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from charter.review.embedded.inside.index import IndexWriter
from charter.review.embedded.inside.schema import open_index
from charter.review.embedded.inside.search import IndexReader, Text
from charter.review.embedded.inside.source import open_source

SCHEMA = """
CREATE TABLE datasets (id CHAR(32) PRIMARY KEY, status VARCHAR);
CREATE TABLE fields (id CHAR(32) PRIMARY KEY, name VARCHAR, settings JSON, dataset_id CHAR(32),
  inserted_at DATETIME);
CREATE TABLE questions (id CHAR(32) PRIMARY KEY, name VARCHAR, settings JSON, dataset_id CHAR(32));
CREATE TABLE metadata_properties (id CHAR(32) PRIMARY KEY, name VARCHAR, dataset_id CHAR(32));
CREATE TABLE records (id CHAR(32) PRIMARY KEY, fields JSON, external_id VARCHAR,
  dataset_id CHAR(32), inserted_at DATETIME, updated_at DATETIME, metadata JSON,
  status VARCHAR DEFAULT 'pending');
CREATE TABLE responses (id CHAR(32) PRIMARY KEY, "values" JSON, status VARCHAR,
  record_id CHAR(32), user_id CHAR(32), updated_at DATETIME);
CREATE TABLE suggestions (id CHAR(32) PRIMARY KEY, value JSON, score JSON, agent VARCHAR,
  type VARCHAR, record_id CHAR(32), question_id CHAR(32), updated_at DATETIME);
CREATE TABLE vectors (id CHAR(32) PRIMARY KEY, value JSON, record_id CHAR(32),
  vector_settings_id CHAR(32), updated_at DATETIME);
CREATE INDEX a ON responses (record_id);
CREATE INDEX b ON suggestions (record_id);
CREATE INDEX c ON vectors (record_id);
"""


class Written:
    """Argilla's database with one published dataset; `clock` ticks with each write."""

    def __init__(self, path: Path, fields: dict[str, str], questions: dict[str, str]) -> None:
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = OFF")  # a test's database need not survive
        self.db.executescript(SCHEMA)
        self.dataset = str(uuid.uuid4())
        self.hex = uuid.UUID(self.dataset).hex
        self.questions: dict[str, str] = {}
        self.clock = datetime(2026, 1, 1)
        self.db.execute("INSERT INTO datasets VALUES (?, 'ready')", (self.hex,))
        for name, kind in fields.items():
            self._put(
                "fields",
                name=name,
                settings=json.dumps({"type": kind}),
                dataset_id=self.hex,
                inserted_at=self.now(),
            )
        for name, kind in questions.items():
            self.questions[name] = self._put(
                "questions", name=name, settings=json.dumps({"type": kind}), dataset_id=self.hex
            )

    def now(self) -> str:
        self.clock += timedelta(seconds=1)
        return self.clock.isoformat(" ", "microseconds")

    def _put(self, table: str, **columns: object) -> str:
        one = uuid.uuid4().hex
        names = ", ".join(f'"{name}"' for name in columns)
        signs = ", ".join("?" * (len(columns) + 1))
        self.db.execute(
            f"INSERT INTO {table} (id, {names}) VALUES ({signs})", (one, *columns.values())
        )
        return one

    def property(self, name: str) -> None:
        self._put("metadata_properties", name=name, dataset_id=self.hex)

    def record(
        self, fields: dict, metadata: dict | None = None, external: str | None = None
    ) -> str:
        now = self.now()
        return str(
            uuid.UUID(
                self._put(
                    "records",
                    fields=json.dumps(fields),
                    external_id=external,
                    dataset_id=self.hex,
                    inserted_at=now,
                    updated_at=now,
                    metadata=json.dumps(metadata),
                )
            )
        )

    def change(self, record: str, **columns: object) -> None:
        names = ", ".join(f"{name} = ?" for name in columns)
        self.db.execute(
            f"UPDATE records SET {names}, updated_at = ? WHERE id = ?",
            (*columns.values(), self.now(), uuid.UUID(record).hex),
        )

    def answer(self, record: str, user: str, status: str = "submitted", **values: object) -> None:
        given = json.dumps({name: {"value": value} for name, value in values.items()})
        record, user = uuid.UUID(record).hex, uuid.UUID(user).hex
        self.db.execute("DELETE FROM responses WHERE record_id = ? AND user_id = ?", (record, user))
        self._put(
            "responses",
            values=given,
            status=status,
            record_id=record,
            user_id=user,
            updated_at=self.now(),
        )

    def suggest(
        self,
        record: str,
        question: str,
        value: object,
        score: object = None,
        agent: str | None = None,
        kind: str | None = None,
    ) -> None:
        record, question = uuid.UUID(record).hex, self.questions[question]
        self.db.execute(
            "DELETE FROM suggestions WHERE record_id = ? AND question_id = ?", (record, question)
        )
        self._put(
            "suggestions",
            value=json.dumps(value),
            agent=agent,
            type=kind,
            score=None if score is None else json.dumps(score),
            record_id=record,
            question_id=question,
            updated_at=self.now(),
        )

    def vector(self, record: str, settings: str, value: list[float]) -> None:
        self._put(
            "vectors",
            value=json.dumps(value),
            record_id=uuid.UUID(record).hex,
            vector_settings_id=uuid.UUID(settings).hex,
            updated_at=self.now(),
        )

    def delete(self, record: str) -> None:
        for table, column in (
            ("records", "id"),
            ("responses", "record_id"),
            ("suggestions", "record_id"),
            ("vectors", "record_id"),
        ):
            self.db.execute(f"DELETE FROM {table} WHERE {column} = ?", (uuid.UUID(record).hex,))


@dataclass
class Indexed:
    """A database, and the index of it."""

    argilla: Written
    index: Path
    writer: IndexWriter
    reader: IndexReader

    def add(self, fields: Any, **more: Any) -> str:
        """A new record, in the index; a text alone stands in the field `text`."""
        given = {"text": fields} if isinstance(fields, str) else fields
        record = self.argilla.record(given, **more)
        self.writer.refresh([record])
        return record

    def find(self, query: str | None = None, field: str | None = None, **more: Any) -> list[str]:
        """UUIDs of the first hundred that match; the total must say how many match."""
        text = None if query is None else Text(query, field)
        found = self.reader.search(self.argilla.dataset, text=text, **more)
        ids = [record for record, _ in found.items]
        if "limit" not in more and "offset" not in more:
            assert found.total == len(ids)
        return ids


@contextmanager
def indexed(folder: Path) -> Iterator[Indexed]:
    """A dataset with two text fields, a chat, and a question of each kind that is filtered by."""
    fields = {"text": "text", "other": "text", "talk": "chat", "picture": "image"}
    questions = {
        "better": "label_selection",
        "labels": "multi_label_selection",
        "stars": "rating",
        "comment": "text",
    }
    argilla = Written(folder / "argilla.db", fields, questions)
    for name in ("topic", "length", "share"):
        argilla.property(name)
    index = open_index(folder / "index.db")
    reading, source = open_index(folder / "index.db"), open_source(argilla.path)
    writer = IndexWriter(index, source)
    writer.create_dataset(argilla.dataset)
    try:
        yield Indexed(argilla, folder / "index.db", writer, IndexReader(reading))
    finally:
        for connection in (index, reading, source, argilla.db):
            connection.close()
