"""The server's settings: what the command line gives, and what Argilla reads from its environment.

Argilla reads `ARGILLA_*` at import. A person may have some of them set for a server elsewhere, or
for the SDK: none of those must reach this one.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from charter.review.embedded.inside.files import write_private

__all__ = [
    "DATABASE",
    "INDEX",
    "LOG",
    "Options",
    "Person",
    "clear_temporary",
    "parse_options",
    "set_environment",
]

DATABASE = "argilla.db"
INDEX = "index.db"
LOG = "server.log"
_SECRET = "auth.key"  # noqa: S105 - the name of a file
_TEMPORARY = "tmp"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who shall have an account: `NAME:ROLE`."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Options:
    """What `charter review serve` hands over. No secret is among it: everyone can read it.

    Attributes:
        data: the data folder.
        url: where people reach the server.
        listening: number of the socket's file descriptor, already bound.
        workspace: where people are members; made where it is missing.
        people: who shall have an account beside the owner.
        as_json: the ready line is a JSON object.
        detach: leave the terminal once ready.
    """

    data: Path
    url: str
    listening: int
    workspace: str
    people: tuple[Person, ...]
    as_json: bool
    detach: bool


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the command line that `charter.review.embedded.server` wrote."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--listening", type=int, required=True)
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--person", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--detach", action="store_true")
    given = parser.parse_args(arguments)
    people = tuple(Person(*text.rsplit(":", 1)) for text in given.person)
    return Options(
        given.data, given.url, given.listening, given.workspace, people, given.json, given.detach
    )


def set_environment(data: Path) -> None:
    """Set what Argilla reads at import, and go to the data folder.

    The key that signs sessions is made once: with Argilla's own default, one at random for each
    start, everybody would have to log in again.
    """
    for name in [name for name in os.environ if re.match("ARGILLA_", name, re.IGNORECASE)]:
        del os.environ[name]
    data = data.resolve()
    os.environ |= {
        "ARGILLA_HOME_PATH": str(data),
        # A name beside the working folder: a path may hold what means something in an address.
        "ARGILLA_DATABASE_URL": f"sqlite+aiosqlite:///{DATABASE}?check_same_thread=False",
        "ARGILLA_DATABASE_SQLITE_TIMEOUT": "30",
        "ARGILLA_SEARCH_ENGINE": "charter",
        "ARGILLA_AUTH_SECRET_KEY": _auth_key(data),
        "ARGILLA_AUTH_OAUTH_CFG": str(data / "oauth.yaml"),
        "ARGILLA_CORS_ORIGINS": "[]",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "CHARTER_INDEX": str(data / INDEX),
        "TMPDIR": str(data / _TEMPORARY),
    }
    os.chdir(data)


def _auth_key(data: Path) -> str:
    file = data / _SECRET
    if not file.exists():
        write_private(file, secrets.token_hex(32))
    return file.read_text("utf-8")


def clear_temporary(data: Path) -> None:
    """Empty the folder where Argilla puts a copy of its web UI on each start, for ever."""
    folder = data / _TEMPORARY
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, exist_ok=True)
