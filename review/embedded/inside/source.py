"""Records as Argilla's database has them, read past its ORM.

Argilla commits before it tells the search engine, so what was committed is what belongs in the
index; a record is always indexed from there, whole, whoever asks for it and why. Two annotators who
answer at once can't overwrite each other's answer here, and a record that was changed while the
server was being killed is found by comparing stamps.
"""

# ruff: noqa: S608 - statements are put together from our own words; values are bound

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import UUID

__all__ = [
    "STAMPS",
    "Document",
    "Scalar",
    "clean",
    "dataset_fields",
    "metadata_facts",
    "microseconds",
    "open_source",
    "read_documents",
    "scalars",
]

Scalar = str | int | float

_STAMP = "r.status || r.updated_at" + "".join(
    f" || (SELECT '|' || count(*) || coalesce(max(updated_at), '')"
    f" FROM {table} WHERE record_id = r.id)"
    for table in ("responses", "suggestions", "vectors")
)
"""Any change to a record, its answers, suggestions or vectors changes this text."""

STAMPS = (
    f"SELECT r.id, {_STAMP} FROM records r JOIN datasets d ON d.id = r.dataset_id"
    " WHERE d.status = 'ready'"
)
"""Gives the id (32 hex digits) and the stamp of every record of a published dataset."""

_RECORDS = (
    "SELECT r.id, r.dataset_id, r.fields, r.external_id, r.status, r.inserted_at,"
    f" r.updated_at, r.metadata, {_STAMP} FROM records r"
    " WHERE r.id IN (SELECT value FROM json_each(?)) ORDER BY r.inserted_at"
)
_RESPONSES = """
SELECT record_id, user_id, status, "values" FROM responses
WHERE record_id IN (SELECT value FROM json_each(?))
"""
_SUGGESTIONS = """
SELECT s.record_id, q.name, q.settings, s.value, s.score, s.agent, s.type
FROM suggestions s JOIN questions q ON q.id = s.question_id
WHERE s.record_id IN (SELECT value FROM json_each(?))
"""
_VECTORS = """
SELECT record_id, vector_settings_id, value FROM vectors
WHERE record_id IN (SELECT value FROM json_each(?))
"""
# A page of free text is not filtered by, nor are the parts of rankings and spans.
_FILTERABLE = ("rating", "label_selection", "multi_label_selection")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Document:
    """A record as it is indexed.

    Attributes:
        id: its UUID, with hyphens; `dataset` likewise.
        inserted_at: microseconds since 1970 UTC; `updated_at` likewise.
        fields: field -> what it holds, as JSON gave it.
        text_hash: differs where `fields` do.
        metadata: declared properties only.
        suggestions: (part, question) -> values; parts are value, score, agent and type.
        responses: (user, status, question -> values); users by their UUID, with hyphens.
        vectors: UUID of the vector's settings -> numbers.
        stamp: see `STAMPS`.
    """

    id: str
    dataset: str
    external_id: str | None
    status: str
    inserted_at: int
    updated_at: int
    fields: dict[str, Any]
    text_hash: bytes
    stamp: str
    metadata: dict[str, list[Scalar]] = field(default_factory=dict)
    suggestions: dict[tuple[str, str], list[Scalar]] = field(default_factory=dict)
    responses: list[tuple[str, str, dict[str, list[Scalar]]]] = field(default_factory=list)
    vectors: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Names:
    """What a dataset's records can be filtered by: declared metadata, questions with options."""

    metadata: list[str]
    questions: set[str]


def open_source(path: Path) -> sqlite3.Connection:
    """Argilla's database, to read; writing to it by this connection is an error."""
    connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def read_documents(source: sqlite3.Connection, ids: Iterable[str]) -> list[Document]:
    """The records with these UUIDs, oldest first; those that are gone are left out."""
    wanted = json.dumps([UUID(one).hex for one in ids])
    source.execute("BEGIN")
    try:
        rows = source.execute(_RECORDS, (wanted,)).fetchall()
        known = {dataset: _names(source, dataset) for dataset in {row[1] for row in rows}}
        documents = {row[0]: _document(row, known[row[1]].metadata) for row in rows}
        questions = {row[0]: known[row[1]].questions for row in rows}
        for record, user, status, values in source.execute(_RESPONSES, (wanted,)):
            answers = _answers(values, questions[record])
            documents[record].responses.append((_uuid(user), status, answers))
        for record, question, *parts in source.execute(_SUGGESTIONS, (wanted,)):
            documents[record].suggestions.update(_suggestion(question, *parts))
        for record, settings, value in source.execute(_VECTORS, (wanted,)):
            documents[record].vectors[_uuid(settings)] = json.loads(value)
    finally:
        source.execute("COMMIT")
    return list(documents.values())


def dataset_fields(source: sqlite3.Connection, dataset: str) -> list[str]:
    """Names of the fields of a dataset (its UUID) that hold text, in order."""
    rows = source.execute(
        "SELECT name, settings FROM fields WHERE dataset_id = ? ORDER BY inserted_at, rowid",
        (UUID(dataset).hex,),
    )
    return [name for name, settings in rows if json.loads(settings).get("type") != "image"]


def metadata_facts(
    source: sqlite3.Connection, dataset: str, name: str
) -> Iterator[tuple[str, list[Scalar]]]:
    """The UUID of each record of a dataset that has a metadata property, and the values of it."""
    rows = source.execute(
        "SELECT id, metadata FROM records WHERE dataset_id = ? AND metadata IS NOT NULL",
        (UUID(dataset).hex,),
    )
    for record, text in rows:
        values = scalars((json.loads(text) or {}).get(name))
        if values:
            yield _uuid(record), values


def scalars(value: Any) -> list[Scalar]:
    """What can be filtered and sorted by in a value: itself, or the elements of a list."""
    found: list[Scalar] = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, bool):
            found.append(str(one).lower())
        elif isinstance(one, str):
            found.append(clean(one))
        elif isinstance(one, int | float):
            found += _storable(one)
    return found


def _storable(number: float) -> list[Scalar]:
    """A number as SQLite holds it; none where there is no such number."""
    if isinstance(number, int) and -(2**63) <= number < 2**63:
        return [number]
    try:
        floating = float(number)
    except OverflowError:
        return []
    return [floating] if math.isfinite(floating) else []


def clean(text: str) -> str:
    """Text that SQLite can hold: half a surrogate pair, which JSON can bring, is replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _from_json(stored: str | float | None) -> Any:
    """A column declared JSON keeps a number as a number, not as its JSON."""
    return json.loads(stored) if isinstance(stored, str) else stored


def _uuid(digits: str) -> str:
    return str(UUID(digits))


def microseconds(moment: datetime) -> int:
    """Since 1970; a moment without zone is UTC, as everywhere in Argilla."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    passed = aware - _EPOCH
    return (passed.days * 86400 + passed.seconds) * 1_000_000 + passed.microseconds


def _names(source: sqlite3.Connection, dataset: str) -> _Names:
    properties = source.execute(
        "SELECT name FROM metadata_properties WHERE dataset_id = ?", (dataset,)
    )
    questions = source.execute(
        "SELECT name, settings FROM questions WHERE dataset_id = ?", (dataset,)
    )
    return _Names(
        [name for (name,) in properties],
        {name for name, settings in questions if json.loads(settings).get("type") in _FILTERABLE},
    )


def _document(row: Sequence[Any], properties: Sequence[str]) -> Document:
    record, dataset, fields, external, status, inserted, updated, metadata, stamp = row
    given = (json.loads(metadata) if metadata else None) or {}
    return Document(
        id=_uuid(record),
        dataset=_uuid(dataset),
        external_id=external,
        status=status,
        inserted_at=microseconds(datetime.fromisoformat(inserted)),
        updated_at=microseconds(datetime.fromisoformat(updated)),
        fields=json.loads(fields),
        text_hash=blake2b(fields.encode("utf-8", "surrogatepass"), digest_size=16).digest(),
        stamp=stamp,
        metadata={name: scalars(given[name]) for name in properties if name in given},
    )


def _answers(values: str | None, questions: set[str]) -> dict[str, list[Scalar]]:
    given = (json.loads(values) if values else None) or {}
    return {
        question: scalars(answer["value"])
        for question, answer in given.items()
        if question in questions and isinstance(answer, dict) and "value" in answer
    }


def _suggestion(
    question: str, settings: str, value: Any, score: Any, agent: str | None, kind: str | None
) -> dict[tuple[str, str], list[Scalar]]:
    parts = {
        "score": scalars(_from_json(score)),
        "agent": scalars(agent),
        "type": scalars(kind),
    }
    if json.loads(settings).get("type") in _FILTERABLE:
        parts["value"] = scalars(_from_json(value))
    return {(part, question): values for part, values in parts.items()}
