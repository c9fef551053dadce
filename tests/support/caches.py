"""Cache files for tests: filled, looked into, and changed behind the cache's back."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing

from charter.models.cache import CallCache, Entry
from charter.models.call import Answer


def silent(*_):
    pass


def key(name) -> bytes:
    return hashlib.sha256(str(name).encode()).digest()


def filled(path, answers, model="m"):
    cache = CallCache(path)
    cache.put(Entry(k, model, answer) for k, answer in answers.items())
    cache.close()
    return path


def some(count=40, start=0):
    made = {}
    for i in range(start, start + count):
        text = ["short", "ü" * 300, "x" * 3900, "packed \x00" * 900][i % 4] + str(i)
        labels = {"A": -0.25 * i, "B": float("-inf")} if i % 3 == 0 else {}
        made[key(i)] = Answer(text, labels, "stop", i, i * 2, seconds=i / 7)
    return made


def held_by(path, keys):
    cache = CallCache(path)
    found = cache.get(list(keys))
    cache.close()
    return found


def change(path, sql, *values):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql, values)
