"""The desk: between calls and the cache; to a far one, many calls are taken together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from charter.models.cache import Entry
from charter.models.call import Answer

__all__ = ["Desk", "Store"]


class Store(Protocol):
    """Where answers are kept: `charter.models.cache.CallCache`, or one on another machine.

    Attributes:
        near: look-ups and entries take microseconds, and are not worth waiting for company.
    """

    near: ClassVar[bool]

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        """The answers that are there, by key."""

    def put(self, entries: Sequence[Entry]) -> dict[bytes, Answer]:
        """Keep answers, all or none of them; gives those that were there before, which stay."""


class Desk:
    """Look-ups and entries of single calls.

    A near store is asked at once: an answer is kept before anything else happens, so a call holds
    its place in the lane no longer than it must. A far one is asked once for all that came in
    since the loop last went round: under load that is many calls, alone it is no wait.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries: list[tuple[Entry, asyncio.Future[Answer]]] = []
        self._keys: list[tuple[bytes, asyncio.Future[Answer | None]]] = []

    async def get(self, key: bytes) -> Answer | None:
        """The answer of a key, or None.

        Raises:
            Failure: the store cannot be read.
        """
        if self._store.near:
            return self._store.get((key,)).get(key)
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Answer | None] = loop.create_future()
        if not self._keys:
            loop.call_soon(self._look_up)
        self._keys.append((key, found))
        return await found

    async def put(self, entry: Entry) -> Answer:
        """Keep an answer; it is kept when this returns.

        Returns:
            The answer that the store has now: another run's, where that came first.

        Raises:
            Failure: the store cannot be written.
        """
        if self._store.near:
            return self._store.put((entry,)).get(entry.key, entry.answer)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        if not self._entries:
            loop.call_soon(self._write)
        self._entries.append((entry, done))
        return await done

    def _look_up(self) -> None:
        asked, self._keys = self._keys, []
        try:
            known = self._store.get([key for key, _ in asked])
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            _fail([found for _, found in asked], error)
            return
        for key, found in asked:
            if not found.done():
                found.set_result(known.get(key))

    def _write(self) -> None:
        given, self._entries = self._entries, []
        try:
            before = self._store.put([entry for entry, _ in given])
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            _fail([done for _, done in given], error)
            return
        for entry, done in given:
            if not done.done():
                done.set_result(before.get(entry.key, entry.answer))


def _fail(waiting: Sequence[asyncio.Future[Any]], error: Exception) -> None:
    for each in waiting:
        if not each.done():
            each.set_exception(error)
