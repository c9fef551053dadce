"""Entries of the call cache, under keys that can be read."""

from __future__ import annotations

from charter.models.cache import Entry
from charter.models.call import Answer

__all__ = ["entry", "key"]


def key(name: object) -> bytes:
    return str(name).encode().rjust(32, b"-")


def entry(name: object, answer: Answer, model: str = "m") -> Entry:
    return Entry(key(name), model, answer)
