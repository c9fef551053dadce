"""The desk: what a near and a far store are asked."""

from __future__ import annotations

import asyncio

import pytest

from charter.errors import Failure, Fault
from charter.models.cache import Entry
from charter.models.call import Answer
from charter.models.desk import Desk


class Store:
    def __init__(self, near):
        self.near = near
        self.kept = {}
        self.gets, self.puts = [], []

    def get(self, keys):
        self.gets.append(list(keys))
        return {key: self.kept[key] for key in keys if key in self.kept}

    def put(self, entries):
        self.puts.append([entry.key for entry in entries])
        before = {e.key: self.kept[e.key] for e in entries if e.key in self.kept}
        for entry in entries:
            self.kept.setdefault(entry.key, entry.answer)
        return before


def key(number):
    return bytes([number]) * 32


async def many(desk, count):
    puts = (desk.put(Entry(key(i), "m", Answer(str(i)))) for i in range(count))
    answers = await asyncio.gather(*puts)
    found = await asyncio.gather(*(desk.get(key(i)) for i in range(count + 1)))
    return answers, found


@pytest.mark.parametrize("near", [True, False])
def test_what_is_kept_is_found_and_the_first_answer_stays(near):
    store = Store(near)
    desk = Desk(store)
    answers, found = asyncio.run(many(desk, 5))
    assert [a.text for a in answers] == [a.text for a in found[:5]] == list("01234")
    assert found[5] is None
    again = asyncio.run(desk.put(Entry(key(3), "m", Answer("other"))))
    assert again.text == "3"


def test_a_far_store_is_asked_once_a_turn():
    store = Store(near=False)
    asyncio.run(many(Desk(store), 20))
    assert len(store.puts) == 1 and len(store.gets) == 1


def test_a_near_store_is_asked_at_once():
    store = Store(near=True)
    asyncio.run(many(Desk(store), 20))
    assert len(store.puts) == 20


@pytest.mark.parametrize("near", [True, False])
def test_whoever_waits_is_told_of_a_failure(near):
    class Full(Store):
        def put(self, entries):
            raise Failure(Fault("disk", "", "full", "make room"))

        get = put

    async def both():
        desk = Desk(Full(near))
        entry = Entry(key(1), "m", Answer("x"))
        return await asyncio.gather(desk.put(entry), desk.get(key(1)), return_exceptions=True)

    assert all(isinstance(error, Failure) for error in asyncio.run(both()))


def test_who_stops_waiting_does_not_take_the_others_along():
    async def go():
        store = Store(near=False)
        desk = Desk(store)
        tasks = [
            asyncio.create_task(desk.put(Entry(key(i), "m", Answer(str(i))))) for i in range(3)
        ]
        await asyncio.sleep(0)
        tasks[1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True), store

    answers, store = asyncio.run(go())
    assert answers[0].text == "0" and answers[2].text == "2"
    assert isinstance(answers[1], asyncio.CancelledError)
    assert len(store.kept) == 3  # it was paid for
