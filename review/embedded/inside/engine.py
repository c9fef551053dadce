"""Argilla's search engine without Elasticsearch: `SearchEngine` of argilla-server 2.8.0.

What belongs in the index is read from Argilla's database, not from the objects that the server
hands over (see `source.py`): each method that changes something names the records that changed.
SQLite blocks, so it runs in threads: one that writes, a few that read.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from argilla_server.enums import MetadataPropertyType, SimilarityOrder, SortOrder
from argilla_server.errors.future import UnprocessableEntityError
from argilla_server.search_engine.base import (
    AndFilter,
    FloatMetadataMetrics,
    IntegerMetadataMetrics,
    MetadataFilterScope,
    RangeFilter,
    RecordFilterScope,
    ResponseFilterScope,
    SearchEngine,
    SearchResponseItem,
    SearchResponses,
    SuggestionFilterScope,
    TermsFilter,
    TermsMetrics,
    TextQuery,
)

from charter.review.embedded.inside import filters, mend, sorting
from charter.review.embedded.inside.index import IndexWriter
from charter.review.embedded.inside.query import TooManyWords
from charter.review.embedded.inside.schema import VERSION, open_index
from charter.review.embedded.inside.search import Found, IndexReader, Text
from charter.review.embedded.inside.source import open_source

__all__ = ["CharterSearchEngine"]

_READERS = 3
_MOST_TERMS = 2**14  # values of one metadata property, as the other engines of Argilla
_PARTS = ("value", "score", "agent", "type")  # of a suggestion
_T = TypeVar("_T")


class _Store:
    """The index file, open in this process: threads with a connection each."""

    def __init__(self, index: Path, database: Path) -> None:
        self._index = index
        self._database = database
        self._local = threading.local()
        self._writers = ThreadPoolExecutor(1, "charter-index-writer")
        self._readers = ThreadPoolExecutor(_READERS, "charter-index-reader")

    async def write(self, work: Callable[[IndexWriter], _T]) -> _T:
        """Do something in the one thread that writes."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writers, lambda: work(self._writer()))

    async def read(self, work: Callable[[IndexReader], _T]) -> _T:
        """Do something in a thread that reads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: work(self._reader()))

    async def mend(self) -> mend.Mended:
        """See `mend.rebuild_if_stale`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._writers, mend.rebuild_if_stale, self._database, self._index
        )

    def _writer(self) -> IndexWriter:
        if not hasattr(self._local, "writer"):
            self._local.writer = IndexWriter(open_index(self._index), open_source(self._database))
        return cast(IndexWriter, self._local.writer)

    def _reader(self) -> IndexReader:
        if not hasattr(self._local, "reader"):
            self._local.reader = IndexReader(open_index(self._index))
        return cast(IndexReader, self._local.reader)


_stores: dict[tuple[int, Path, Path], _Store] = {}


def _store() -> _Store:
    """The process's one store; a process that was forked makes its own."""
    from argilla_server.database import sync_engine

    database = sync_engine.url
    if database.get_backend_name() != "sqlite" or not database.database:
        raise RuntimeError("the search engine charter needs Argilla's database in SQLite")
    path = Path(database.database).resolve()
    index = Path(os.environ.get("CHARTER_INDEX") or path.with_name("index.db")).resolve()
    key = (os.getpid(), index, path)
    if key not in _stores:
        _stores[key] = _Store(index, path)
    return _stores[key]


@SearchEngine.register("charter")
class CharterSearchEngine(SearchEngine):  # type: ignore[misc]
    """Text search by SQLite's FTS5, filters and orders by SQL, similarity by cosines.

    The index file is `CHARTER_INDEX`, or `index.db` beside the database. Instances are cheap:
    Argilla makes one for each request.
    """

    def __init__(self) -> None:
        self._store = _store()

    @classmethod
    async def new_instance(cls) -> CharterSearchEngine:
        """An engine on the process's open index."""
        return cls()

    @staticmethod
    async def rebuild_if_stale() -> mend.Mended:
        """Bring in what the database has and the index lacks; call it before the first request."""
        return await _store().mend()

    async def close(self) -> None:
        """Nothing: the index stays open for the next request."""

    async def ping(self) -> bool:
        """Whether the index answers."""
        return bool(await self._store.read(lambda index: index.counts()))

    async def info(self) -> dict[str, Any]:
        """What the engine is and how much is in it."""
        counts = await self._store.read(lambda index: index.counts())
        return {"name": "charter", "version": str(VERSION), "tagline": "SQLite FTS5", **counts}

    async def create_index(self, dataset: Any) -> None:
        """A dataset was published."""
        await self._store.write(lambda index: index.create_dataset(str(dataset.id)))

    async def delete_index(self, dataset: Any) -> None:
        """A dataset was deleted."""
        await self._store.write(lambda index: index.drop_dataset(str(dataset.id)))

    async def configure_metadata_property(self, dataset: Any, metadata_property: Any) -> None:
        """A metadata property was added to a published dataset."""
        name = metadata_property.name
        await self._store.write(lambda index: index.configure_metadata(str(dataset.id), name))

    async def configure_index_vectors(self, vector_settings: Any) -> None:
        """Vectors were added to a published dataset."""
        dataset, settings = str(vector_settings.dataset_id), str(vector_settings.id)
        await self._store.write(lambda index: index.configure_vectors(dataset, settings))

    async def index_records(self, dataset: Any, records: Iterable[Any]) -> None:
        """Records were added or changed."""
        await self._refresh(record.id for record in records)

    async def partial_record_update(self, record: Any, **update: Any) -> None:
        """A record's own columns were changed."""
        await self._refresh([record.id])

    async def delete_records(self, dataset: Any, records: Iterable[Any]) -> None:
        """Records were deleted."""
        ids = [str(record.id) for record in records]
        await self._store.write(lambda index: index.remove(ids))

    async def update_record_response(self, response: Any) -> None:
        """Somebody answered, or changed their answer."""
        await self._refresh([response.record_id])

    async def delete_record_response(self, response: Any) -> None:
        """Somebody took their answer back."""
        await self._refresh([response.record_id])

    async def update_record_suggestion(self, suggestion: Any) -> None:
        """A suggestion was made or changed."""
        await self._refresh([suggestion.record_id])

    async def delete_record_suggestion(self, suggestion: Any) -> None:
        """A suggestion was deleted."""
        await self._refresh([suggestion.record_id])

    async def get_dataset_progress(self, dataset: Any) -> dict[str, int]:
        """How many records have which status."""
        return await self._progress(dataset, None)

    async def get_dataset_user_progress(self, dataset: Any, user: Any) -> dict[str, int]:
        """How many of a person's answers have which status."""
        return await self._progress(dataset, str(user.id))

    async def search(
        self,
        dataset: Any,
        query: TextQuery | str | None = None,
        filter: Any = None,  # noqa: A002 - the names are Argilla's
        sort: list[Any] | None = None,
        offset: int = 0,
        limit: int = 100,
        user_id: Any = None,
    ) -> SearchResponses:
        """A page of records; with `user_id` and no order, in an order of that person's own."""
        found = await self._ask(
            lambda index: index.search(
                str(dataset.id),
                text=_text(query),
                wanted=_filter(filter) if filter else None,
                sort=[_order(one) for one in sort or ()],
                user=str(user_id) if user_id else None,
                offset=offset,
                limit=limit,
            )
        )
        return _responses(found)

    async def similarity_search(
        self,
        dataset: Any,
        vector_settings: Any,
        value: list[float] | None = None,
        record: Any = None,
        query: TextQuery | str | None = None,
        filter: Any = None,  # noqa: A002
        max_results: int = 100,
        order: SimilarityOrder = SimilarityOrder.most_similar,
        threshold: float | None = None,
    ) -> SearchResponses:
        """The records nearest to a vector, or to a record's; or the farthest from it.

        Raises:
            ValueError: not one of `value` and `record`, a record without that vector, or one of
                another length.
        """
        if bool(value) == bool(record):
            raise ValueError("one of a vector and a record must be given to compare with")
        vector = value or record.vector_value_by_vector_settings(vector_settings)
        if not vector:
            raise ValueError("the record has no vector of these settings")
        if len(vector) != vector_settings.dimensions:
            has = f"{vector_settings.dimensions} numbers, not {len(vector)}"
            raise ValueError(f"a vector {vector_settings.name!r} has {has}")
        if order == SimilarityOrder.least_similar:
            vector = [-number for number in vector]
        found = await self._ask(
            lambda index: index.similar(
                str(dataset.id),
                str(vector_settings.id),
                vector,
                text=_text(query),
                wanted=_filter(filter) if filter else None,
                leave_out=str(record.id) if record else None,
                limit=max_results,
                threshold=threshold,
            )
        )
        return _responses(found)

    async def compute_metrics_for(self, metadata_property: Any) -> Any:
        """Counts of the terms, or the least and greatest number, of a metadata property."""
        dataset, name = str(metadata_property.dataset_id), metadata_property.name
        if metadata_property.type == MetadataPropertyType.terms:
            total, counted = await self._store.read(
                lambda index: index.terms(dataset, name, _MOST_TERMS)
            )
            terms = [TermsMetrics.TermCount(term=term, count=n) for term, n in counted]
            return TermsMetrics(total=total, values=terms)
        low, high = await self._store.read(lambda index: index.bounds(dataset, name))
        whole = metadata_property.type == MetadataPropertyType.integer
        metrics = IntegerMetadataMetrics if whole else FloatMetadataMetrics
        return metrics(min=low, max=high)

    async def _refresh(self, ids: Iterable[Any]) -> None:
        wanted = [str(one) for one in ids]
        await self._store.write(lambda index: index.refresh(wanted))

    async def _progress(self, dataset: Any, user: str | None) -> dict[str, int]:
        if dataset.is_draft:
            return {}
        counts = await self._store.read(lambda index: index.progress(str(dataset.id), user))
        return {"total": sum(counts.values()), **counts}

    async def _ask(self, question: Callable[[IndexReader], Found]) -> Found:
        try:
            return await self._store.read(question)
        except (filters.WrongFilter, TooManyWords, LookupError) as fault:
            raise UnprocessableEntityError(str(fault)) from fault


def _text(query: TextQuery | str | None) -> Text | None:
    if query is None:
        return None
    return Text(query) if isinstance(query, str) else Text(query.q, query.field)


def _filter(given: Any) -> filters.Filter:
    if isinstance(given, AndFilter):
        return filters.All([_filter(one) for one in given.filters])
    if isinstance(given, TermsFilter):
        return filters.OneOf(_scope(given.scope), [str(value) for value in given.values])
    if isinstance(given, RangeFilter):
        return filters.Between(_scope(given.scope), given.ge, given.le)
    raise filters.WrongFilter(f"unknown filter {type(given).__name__}")


def _order(given: Any) -> sorting.Order:
    return sorting.Order(_scope(given.scope), given.order == SortOrder.desc)


def _scope(given: Any) -> filters.Scope:
    if isinstance(given, RecordFilterScope):
        return filters.Scope("record", str(given.property))
    if isinstance(given, MetadataFilterScope):
        return filters.Scope("metadata", given.metadata_property)
    if isinstance(given, SuggestionFilterScope):
        part = str(given.property)  # Argilla lets none be named: the value, then
        return filters.Scope(part if part in _PARTS else "value", given.question)  # type: ignore[arg-type]
    if isinstance(given, ResponseFilterScope):
        user = str(given.user.id) if given.user else None
        if given.question:
            return filters.Scope("response", given.question, user)
        if given.property == "status":
            return filters.Scope("status", user=user)
        raise filters.WrongFilter("of a response, name a question or the status")
    raise filters.WrongFilter(f"unknown scope {type(given).__name__}")


def _responses(found: Found) -> SearchResponses:
    items = [SearchResponseItem(record_id=record, score=score) for record, score in found.items]
    return SearchResponses(items=items, total=found.total)
