"""Everything that changes the index. One writer at a time; a batch is one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from uuid import UUID

from charter.review.embedded.inside.query import MARK
from charter.review.embedded.inside.schema import text_table
from charter.review.embedded.inside.source import (
    Document,
    Scalar,
    clean,
    dataset_fields,
    metadata_facts,
    read_documents,
)
from charter.review.embedded.inside.words import stored

if TYPE_CHECKING:
    import numpy as np

__all__ = ["IndexWriter", "unit"]

_UPSERT = """
INSERT INTO records (dataset, id, external_id, status, inserted_at, updated_at, shuffle, text_hash,
  stamp) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET external_id = excluded.external_id, status = excluded.status,
  inserted_at = excluded.inserted_at, updated_at = excluded.updated_at,
  text_hash = excluded.text_hash, stamp = excluded.stamp
RETURNING doc
"""
_PARTS = ("facts", "responses", "answers", "vectors")


class IndexWriter:
    """Writes the index from Argilla's database.

    Args:
        index: a connection of `open_index`, used by one thread at a time.
        source: a connection of `open_source`.
    """

    def __init__(self, index: sqlite3.Connection, source: sqlite3.Connection) -> None:
        self._index = index
        self._source = source

    def refresh(self, ids: Iterable[str]) -> int:
        """Have the index say what the database says of these records: new, changed or gone.

        Returns:
            How many of them are there.
        """
        wanted = [str(UUID(str(one))) for one in ids]
        with self._transaction():
            # Read after the index is locked: who comes later has read a later state.
            documents = read_documents(self._source, wanted)
            known = self._known(wanted)
            self._remove([known[one][0] for one in known.keys() - {doc.id for doc in documents}])
            self._clear([known[doc.id][0] for doc in documents if doc.id in known])
            self._write(documents, known)
        return len(documents)

    def remove(self, ids: Iterable[str]) -> None:
        """Take records out."""
        with self._transaction():
            known = self._known([str(UUID(str(one))) for one in ids])
            self._remove([doc for doc, _ in known.values()])

    def create_dataset(self, dataset: str) -> None:
        """Make the tables of a dataset (its UUID) where they are missing."""
        with self._transaction():
            self._dataset(dataset)

    def drop_dataset(self, dataset: str) -> None:
        """Take out a dataset with all of its records."""
        with self._transaction():
            row = self._index.execute("SELECT dataset FROM datasets WHERE id = ?", (dataset,))
            for (number,) in row.fetchall():
                for table in _PARTS:
                    self._index.execute(
                        f"DELETE FROM {table} WHERE doc IN"  # noqa: S608 - our own names
                        " (SELECT doc FROM records WHERE dataset = ?)",
                        (number,),
                    )
                for table in ("records", "keys", "columns", "datasets"):
                    self._index.execute(f"DELETE FROM {table} WHERE dataset = ?", (number,))  # noqa: S608
                self._index.execute(f"DROP TABLE {text_table(number)}")

    def configure_metadata(self, dataset: str, name: str) -> None:
        """Make a metadata property searchable, in the records that have it already too."""
        with self._transaction():
            key = self._key(self._dataset(dataset), "metadata", name)
            self._index.execute("DELETE FROM facts WHERE key = ?", (key,))
            docs = dict(
                self._index.execute(
                    "SELECT r.id, r.doc FROM records r JOIN datasets d USING (dataset)"
                    " WHERE d.id = ?",
                    (dataset,),
                )
            )
            self._facts(
                (docs[record], key, value)
                for record, values in metadata_facts(self._source, dataset, name)
                if record in docs
                for value in values
            )

    def configure_vectors(self, dataset: str, settings: str) -> None:
        """Make a place for the vectors of some settings (their UUID)."""
        with self._transaction():
            self._key(self._dataset(dataset), "vector", settings)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._index.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._index.execute("ROLLBACK")
            raise
        self._index.execute("COMMIT")

    def _known(self, ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        rows = self._index.execute(
            "SELECT id, doc, text_hash FROM records WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(ids),),
        )
        return {record: (doc, text_hash) for record, doc, text_hash in rows}

    def _remove(self, docs: Sequence[int]) -> None:
        self._clear(docs)
        for doc in docs:
            (dataset,) = self._index.execute(
                "DELETE FROM records WHERE doc = ? RETURNING dataset", (doc,)
            ).fetchone()
            self._index.execute(f"DELETE FROM {text_table(dataset)} WHERE rowid = ?", (doc,))  # noqa: S608

    def _clear(self, docs: Sequence[int]) -> None:
        for table in _PARTS:
            self._index.executemany(
                f"DELETE FROM {table} WHERE doc = ?",  # noqa: S608 - our own names
                [(doc,) for doc in docs],
            )

    def _write(self, documents: Sequence[Document], known: dict[str, tuple[int, bytes]]) -> None:
        facts: list[tuple[int, int, Scalar]] = []
        responses, answers, vectors = [], [], []
        changed: dict[int, list[tuple[int, Document]]] = {}
        key = cache(self._key)
        for document in documents:
            dataset = self._dataset(document.dataset)
            doc = self._record(document, dataset)
            if document.id not in known or known[document.id][1] != document.text_hash:
                changed.setdefault(dataset, []).append((doc, document))
            for kind, name, values in _named(document):
                facts += [(doc, key(dataset, kind, name), value) for value in values]
            for user, status, given in document.responses:
                responses.append((doc, user, dataset, status))
                for question, values in given.items():
                    mine = key(dataset, "response", question)
                    answers += [(doc, mine, user, value) for value in values]
            for settings, numbers in document.vectors.items():
                vectors.append((key(dataset, "vector", settings), doc, unit(numbers).tobytes()))
        self._facts(facts)
        for table, rows, signs in (
            ("responses", responses, "?, ?, ?, ?"),
            ("answers", answers, "?, ?, ?, ?"),
            ("vectors", vectors, "?, ?, ?"),
        ):
            self._index.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({signs})", rows)  # noqa: S608
        # Last of all: each of the statements above would have FTS5 write out what it has gathered
        # so far, in a piece of its own (SQLite sets a savepoint in every virtual table).
        for dataset, texts in changed.items():
            self._texts(dataset, texts)

    def _facts(self, rows: Iterable[tuple[int, int, Scalar]]) -> None:
        # A value that stands twice in a list is one value.
        self._index.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?, ?)", rows)

    def _record(self, document: Document, dataset: int) -> int:
        values = (
            dataset,
            document.id,
            document.external_id,
            document.status,
            document.inserted_at,
            document.updated_at,
            int.from_bytes(blake2b(document.id.encode(), digest_size=4).digest()) >> 1,
            document.text_hash,
            document.stamp,
        )
        doc: int = self._index.execute(_UPSERT, values).fetchone()[0]
        return doc

    def _texts(self, dataset: int, changed: Sequence[tuple[int, Document]]) -> None:
        table = text_table(dataset)
        names = self._index.execute(
            "SELECT name FROM columns WHERE dataset = ? ORDER BY place", (dataset,)
        ).fetchall()
        self._index.executemany(
            f"DELETE FROM {table} WHERE rowid = ?",  # noqa: S608 - our own names
            [(doc,) for doc, _ in changed],
        )
        signs = ", ".join("?" * (len(names) + 2))
        self._index.executemany(
            f"INSERT INTO {table} (rowid, {_column_list(len(names))}) VALUES ({signs})",  # noqa: S608
            (
                (doc, *(stored(_readable(document.fields.get(name))) for (name,) in names), MARK)
                for doc, document in changed
            ),
        )

    def _dataset(self, dataset: str) -> int:
        row = self._index.execute("SELECT dataset FROM datasets WHERE id = ?", (dataset,))
        found = row.fetchone()
        if found:
            return int(found[0])
        number = self._index.execute(
            "INSERT INTO datasets (id) VALUES (?) RETURNING dataset", (dataset,)
        ).fetchone()[0]
        names = dataset_fields(self._source, dataset)
        self._index.executemany(
            "INSERT INTO columns VALUES (?, ?, ?)",
            [(number, name, place) for place, name in enumerate(names)],
        )
        # Texts come cut into words: all that is left to FTS5 is to part them at the spaces.
        self._index.execute(
            f"CREATE VIRTUAL TABLE {text_table(number)} USING"
            f" fts5({_column_list(len(names))}, tokenize = 'ascii', prefix = '1 2')"
        )
        return int(number)

    def _key(self, dataset: int, kind: str, name: str) -> int:
        row = self._index.execute(
            "SELECT key FROM keys WHERE dataset = ? AND kind = ? AND name = ?",
            (dataset, kind, name),
        ).fetchone()
        if row:
            return int(row[0])
        made = self._index.execute(
            "INSERT INTO keys (dataset, kind, name) VALUES (?, ?, ?) RETURNING key",
            (dataset, kind, name),
        ).fetchone()
        return int(made[0])


def unit(numbers: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A vector of length one in the same direction; nought stays nought."""
    import numpy as np  # a fifth of a second that a server without vectors need not spend

    vector = np.asarray(numbers, dtype=np.float64)
    greatest = float(np.abs(vector).max(initial=0.0))
    if not greatest:
        return vector.astype(np.float32)
    vector = vector / greatest  # squares of very large numbers have no float
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _column_list(fields: int) -> str:
    return ", ".join([*(f"f{place}" for place in range(fields)), "mark"])


def _named(document: Document) -> Iterator[tuple[str, str, list[Scalar]]]:
    for name, values in document.metadata.items():
        yield "metadata", name, values
    for (part, question), values in document.suggestions.items():
        yield part, question, values


def _readable(value: Any) -> str:
    """The text of a field: of a chat what was said, of a custom field all that stands in it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        if value and all(isinstance(one, dict) and "content" in one for one in value):
            return "\n".join(_readable(one["content"]) for one in value)
        return "\n".join(_readable(one) for one in value)
    if isinstance(value, dict):
        return "\n".join(f"{clean(str(key))} {_readable(one)}" for key, one in value.items())
    return str(value)
