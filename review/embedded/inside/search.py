"""Everything that is asked of the index; each question is one SQL statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charter.review.embedded.inside.distance import within
from charter.review.embedded.inside.filters import Condition, Filter, condition
from charter.review.embedded.inside.index import unit
from charter.review.embedded.inside.query import MARK, match_expression
from charter.review.embedded.inside.schema import text_table
from charter.review.embedded.inside.sorting import Order, order_terms, shuffled, sort_value

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Found", "IndexReader", "Text"]

_EXPANSIONS = 10  # words that `word~` also looks for, as Argilla asks of Elasticsearch
_CHUNK = 2048


@dataclass(frozen=True, slots=True)
class Text:
    """What was typed, and the one field to look in; all where none is named."""

    query: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Records that were found.

    Attributes:
        items: UUID and score; no score where they were sorted.
        total: of how many these are a page.
    """

    items: list[tuple[str, float | None]]
    total: int


class IndexReader:
    """Reads the index.

    Args:
        index: a connection of `open_index`, used by one thread at a time.
    """

    def __init__(self, index: sqlite3.Connection) -> None:
        self._index = index
        self._words: dict[int, tuple[int, list[str]]] = {}

    def search(
        self,
        dataset: str,
        *,
        text: Text | None = None,
        wanted: Filter | None = None,
        sort: Sequence[Order] = (),
        user: str | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Found:
        """A page of the records of a dataset that match.

        Args:
            dataset: its UUID.
            text: words that must stand in the fields.
            wanted: a filter.
            sort: the orders, first things first. Without any: best match first; without a text
                oldest first; for a person (`user`, a UUID) in an order of their own.
            user: see `sort`.
            offset: how many records to leave out.
            limit: how many to give at most.

        Raises:
            WrongFilter: a filter or an order can't be applied.
            TooManyWords: the text is larger than can be answered.
            LookupError: no such field.
        """
        number = self._dataset(dataset)
        if number is None:
            return Found([], 0)
        hits = self._hits(number, text, wanted, sort, user)
        first = order_terms(sort) or (["score DESC"] if text or user else [])
        page = (
            f"WITH hits AS MATERIALIZED ({hits.sql})"  # noqa: S608 - our own names
            " SELECT NULL, count(*) FROM hits UNION ALL"
            " SELECT (SELECT id FROM records r WHERE r.doc = page.doc), score FROM"
            f" (SELECT doc, score FROM hits ORDER BY {', '.join([*first, 'age', 'doc'])}"
            " LIMIT ? OFFSET ?) AS page"
        )
        rows = self._index.execute(page, (*hits.values, limit, offset)).fetchall()
        (_, total), *items = rows
        return Found([(record, None if sort else score) for record, score in items], total)

    def similar(
        self,
        dataset: str,
        settings: str,
        vector: Sequence[float],
        *,
        text: Text | None = None,
        wanted: Filter | None = None,
        leave_out: str | None = None,
        limit: int = 100,
        threshold: float | None = None,
    ) -> Found:
        """The records whose vector points most nearly the same way.

        Args:
            dataset: its UUID.
            settings: UUID of the vector's settings.
            vector: to compare with.
            text: words that must stand in the fields.
            wanted: a filter.
            leave_out: UUID of a record not to give: the one that the vector is of.
            limit: how many to give at most.
            threshold: give none with a lower score.

        Returns:
            Scores are (1 + cosine) / 2, as Elasticsearch's; the total is of those within `limit`.
        """
        number = self._dataset(dataset)
        if number is None:
            return Found([], 0)
        also = self._where(number, text, wanted)
        rows = self._index.execute(
            "SELECT r.id, v.value FROM vectors v CROSS JOIN records r ON r.doc = v.doc"  # noqa: S608
            " WHERE v.key = (SELECT key FROM keys WHERE dataset = ? AND kind = 'vector'"
            f" AND name = ?) AND r.id IS NOT ? AND {also.sql} ORDER BY v.doc",
            (number, settings, leave_out, *also.values),
        )
        ids, scores = _scores(rows, unit(vector))
        best = (-scores).argsort(kind="stable")[:limit]
        items: list[tuple[str, float | None]] = [
            (ids[place], float(scores[place]))
            for place in best
            if threshold is None or scores[place] >= threshold
        ]
        return Found(items, len(best))

    def progress(self, dataset: str, user: str | None = None) -> dict[str, int]:
        """How many records have which status; of a person: how many answers have which."""
        table = "responses" if user else "records"
        mine = " AND t.user = ?" if user else ""
        rows = self._index.execute(
            f"SELECT t.status, count(*) FROM {table} t WHERE t.dataset ="  # noqa: S608
            f" (SELECT dataset FROM datasets WHERE id = ?){mine} GROUP BY t.status",
            (dataset, user) if user else (dataset,),
        )
        return dict(rows.fetchall())

    def terms(self, dataset: str, name: str, most: int) -> tuple[int, list[tuple[str, int]]]:
        """How often each value of a metadata property occurs, the most frequent first.

        Returns:
            How many values there are over all records, and up to `most` of them with counts.
        """
        rows = self._index.execute(
            "SELECT value, count(*) AS n FROM facts WHERE key = (SELECT key FROM keys"
            " JOIN datasets USING (dataset) WHERE id = ? AND kind = 'metadata' AND name = ?)"
            " GROUP BY value ORDER BY n DESC, value",
            (dataset, name),
        ).fetchall()
        return sum(n for _, n in rows), [(str(value), n) for value, n in rows[:most]]

    def bounds(self, dataset: str, name: str) -> tuple[float | None, float | None]:
        """The least and the greatest value of a numeric metadata property."""
        row: tuple[float | None, float | None] = self._index.execute(
            "SELECT min(value), max(value) FROM facts WHERE key = (SELECT key FROM keys"
            " JOIN datasets USING (dataset) WHERE id = ? AND kind = 'metadata' AND name = ?)"
            " AND typeof(value) <> 'text'",
            (dataset, name),
        ).fetchone()
        return row

    def counts(self) -> dict[str, int]:
        """How many datasets and records are in the index."""
        names = ("datasets", "records")
        return {
            name: self._index.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608
            for name in names
        }

    def _dataset(self, dataset: str) -> int | None:
        row = self._index.execute("SELECT dataset FROM datasets WHERE id = ?", (dataset,))
        found = row.fetchone()
        return int(found[0]) if found else None

    def _hits(
        self,
        dataset: int,
        text: Text | None,
        wanted: Filter | None,
        sort: Sequence[Order],
        user: str | None,
    ) -> Condition:
        """The statement that gives doc, age, score, s0, s1, ... of all that match."""
        table = text_table(dataset)
        score = "NULL" if sort else f"-bm25({table})" if text else "1.0"
        if text and not (wanted or sort or user):
            sql = f"SELECT rowid AS doc, rowid AS age, {score} AS score FROM {table}"  # noqa: S608
            return Condition(f"{sql} WHERE {table} MATCH ?", (self._match(dataset, text),))
        if user and not sort:
            score = f"({score}) * {shuffled(user).sql}"
        keys = [sort_value(order, dataset) for order in sort]
        columns = ["r.doc AS doc", "r.inserted_at AS age", f"{score} AS score"]
        columns += [f"{key.sql} AS s{place}" for place, key in enumerate(keys)]
        also = condition(wanted, dataset) if wanted else Condition("1")
        # CROSS JOIN: the other way round SQLite looks the text up once for each record.
        origin, where = f"{table} CROSS JOIN records r ON r.doc = {table}.rowid", f"{table} MATCH ?"
        bound: str | int = self._match(dataset, text) if text else dataset
        if text is None:
            origin, where = "records r", "r.dataset = ?"
        return Condition(
            f"SELECT {', '.join(columns)} FROM {origin} WHERE {where} AND ({also.sql})",  # noqa: S608
            (*(value for key in keys for value in key.values), bound, *also.values),
        )

    def _where(self, dataset: int, text: Text | None, wanted: Filter | None) -> Condition:
        also = condition(wanted, dataset) if wanted else Condition("1")
        if text is None:
            return Condition(f"({also.sql})", also.values)
        table = text_table(dataset)
        sql = f"r.doc IN (SELECT rowid FROM {table} WHERE {table} MATCH ?)"  # noqa: S608
        return Condition(f"{sql} AND ({also.sql})", (self._match(dataset, text), *also.values))

    def _match(self, dataset: int, text: Text) -> str:
        columns: list[str] = []
        if text.field is not None:
            row = self._index.execute(
                "SELECT place FROM columns WHERE dataset = ? AND name = ?", (dataset, text.field)
            ).fetchone()
            if row is None:
                raise LookupError(f"no field {text.field!r} that holds text")
            columns = [f"f{row[0]}"]
        return match_expression(text.query, columns, self._neighbours(dataset))

    def _neighbours(self, dataset: int) -> Callable[[str, int], list[str]]:
        """What gives the stored words nearest to a word, the nearest first."""

        def neighbours(word: str, edits: int) -> list[str]:
            # Of as many pieces as there may be edits and one more, one is left as it is.
            size = max(1, -(-len(word) // (edits + 1)))
            pieces = [word[start : start + size] for start in range(0, len(word), size)]
            near = [
                (within(word, term, edits), term)
                for term in self._vocabulary(dataset)
                if abs(len(term) - len(word)) <= edits
                and (len(pieces) <= edits or any(piece in term for piece in pieces))
            ]
            return [term for away, term in sorted(near) if away <= edits][:_EXPANSIONS]

        return neighbours

    def _vocabulary(self, dataset: int) -> list[str]:
        """All words of a dataset; kept until somebody writes."""
        state = self._index.execute("PRAGMA data_version").fetchone()[0]
        kept = self._words.get(dataset)
        if kept is None or kept[0] != state:
            name = f"words_of_{dataset}"
            # Made anew: the number may be that of another dataset than when it was made.
            self._index.execute(f"DROP TABLE IF EXISTS temp.{name}")
            self._index.execute(
                f"CREATE VIRTUAL TABLE temp.{name}"
                f" USING fts5vocab('main', '{text_table(dataset)}', 'row')"
            )
            rows = self._index.execute(f"SELECT term FROM temp.{name}")  # noqa: S608
            kept = self._words[dataset] = (state, [term for (term,) in rows if term != MARK])
        return kept[1]


def _scores(
    rows: sqlite3.Cursor, direction: np.ndarray[Any, np.dtype[np.float32]]
) -> tuple[list[str], np.ndarray[Any, np.dtype[np.float32]]]:
    import numpy as np

    ids: list[str] = []
    scores: list[np.ndarray[Any, np.dtype[np.float32]]] = [np.zeros(0, dtype=np.float32)]
    for chunk in _chunks(rows):
        ids += [record for record, _ in chunk]
        matrix = np.frombuffer(b"".join(value for _, value in chunk), dtype=np.float32)
        cosines = matrix.reshape(len(chunk), -1) @ direction
        scores.append(((1 + np.clip(cosines, -1, 1)) / 2).astype(np.float32))
    return ids, np.concatenate(scores)


def _chunks(rows: sqlite3.Cursor) -> Iterator[list[tuple[str, bytes]]]:
    while chunk := rows.fetchmany(_CHUNK):
        yield chunk
