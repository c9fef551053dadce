"""The embedded Argilla: the real server with its own web UI, installed apart, on loopback."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charter.review.embedded.credentials import Credentials, read_credentials
    from charter.review.embedded.install import ensure_environment
    from charter.review.embedded.place import data_folder, environment_folder
    from charter.review.embedded.process import find_process, stop_process
    from charter.review.embedded.server import Person, parse_person, serve

# Name -> module. Imported when asked for: clients read credentials and need no server.
_HOMES = {
    "Credentials": "credentials",
    "read_credentials": "credentials",
    "ensure_environment": "install",
    "data_folder": "place",
    "environment_folder": "place",
    "find_process": "process",
    "stop_process": "process",
    "Person": "server",
    "parse_person": "server",
    "serve": "server",
}

__all__ = [
    "Credentials",
    "Person",
    "data_folder",
    "ensure_environment",
    "environment_folder",
    "find_process",
    "parse_person",
    "read_credentials",
    "serve",
    "stop_process",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
