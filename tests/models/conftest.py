"""The embedded model, loaded once for all tests of this folder, and ways to ask it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from raw_server import RawServer, Talk

from charter.models.call import Call
from charter.models.threads import wait_asleep
from charter.rows import Message, draw_int

# Before any test imports torch: other work on the machine would slow these tests many times.
wait_asleep()

if TYPE_CHECKING:
    from charter.models.local import LocalModel


@pytest.fixture(scope="session")
def embedded() -> LocalModel:
    from charter.models.local import load_local

    return load_local()


@pytest.fixture
def server() -> Iterator[Callable[..., RawServer]]:
    """Starts servers, each of which says what it is given, and then its last word again."""
    servers: list[RawServer] = []

    def start(*talks: Talk | bytes) -> RawServer:
        servers.append(RawServer(*talks))
        return servers[-1]

    yield start
    for each in servers:
        each.close()


@pytest.fixture(scope="session")
def ask() -> Callable[..., Call]:
    """A call: from one text, or from messages, with a seed of its own."""

    def make(what: str | list[Message], labels: tuple[str, ...] = (), **fields: Any) -> Call:
        messages = [Message(role="user", content=what)] if isinstance(what, str) else what
        name = hashlib.sha256(repr(what).encode()).hexdigest()[:8]
        index = fields.get("index", 0)
        seed = fields.get("seed", draw_int(7, name, index))
        return Call("respond", name, index, seed, tuple(messages), labels)

    return make
