"""The embedded Hub: a loopback server that speaks the Hub's HTTP API, over a git store.

The names below are imported when they are first used, so that a command that only starts a
server in a child process need not import one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charter.hub.embedded.child import Running, launch, start
    from charter.hub.embedded.server import make_app, own_user, serve
    from charter.hub.embedded.store import Store
    from charter.hub.embedded.users import User, parse_org, parse_user

__all__ = [
    "Running",
    "Store",
    "User",
    "launch",
    "make_app",
    "own_user",
    "parse_org",
    "parse_user",
    "serve",
    "start",
]

_HOMES = {
    "Running": "child",
    "Store": "store",
    "User": "users",
    "launch": "child",
    "make_app": "server",
    "own_user": "server",
    "parse_org": "users",
    "parse_user": "users",
    "serve": "server",
    "start": "child",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"charter.hub.embedded.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
