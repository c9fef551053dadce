"""One embedded Hub for all tests of this folder, and the clients that talk to it."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from charter.hub.embedded import Running, User, start

ADA, BEN, GUEST = "hf_ada", "hf_ben", "hf_guest"
USERS = (User("ada", ADA), User("ben", BEN), User("ada", GUEST, "read"))
ORGS = {"lab": ("ada",)}
_numbers = itertools.count()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    address: str,
    method: str,
    path: str,
    *,
    token: str | None = None,
    body: bytes | None = None,
    value: Any = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request, its path sent as it is."""
    sent = dict(headers or {})
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    if value is not None:
        body, sent["Content-Type"] = json.dumps(value).encode(), "application/json"
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, body, sent)
        got = connection.getresponse()
        named = {name.lower(): text for name, text in got.getheaders()}
        return Answer(got.status, named, got.read())
    finally:
        connection.close()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="session")
def hub(store: Path) -> Iterator[Running]:
    with start(store, users=USERS, orgs=ORGS) as running:
        yield running


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients in this process may ask a server, and upload without Xet."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def client(hub: Running, online: None) -> Callable[..., Any]:
    from huggingface_hub import HfApi

    return lambda token=ADA: HfApi(endpoint=hub.address, token=token if token else False)


@pytest.fixture
def api(client: Callable[..., Any]) -> Any:
    return client()


@pytest.fixture
def repo(api: Any) -> str:
    """A new dataset repo of ada's."""
    made: str = api.create_repo(f"ada/data-{next(_numbers)}", repo_type="dataset").repo_id
    return made


@pytest.fixture
def call(hub: Running) -> Callable[..., Answer]:
    return lambda *given, **named: ask(hub.address, *given, **named)


def client_env(address: str, home: Path, **more: str) -> dict[str, str]:
    """The environment in which unmodified clients use a server."""
    env = {key: text for key, text in os.environ.items() if not key.startswith(("HF_", "CHARTER"))}
    return {
        **env,
        "HF_ENDPOINT": address,
        "HF_TOKEN": ADA,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        **more,
    }


def run_client(code: str, address: str, home: Path, **more: str) -> str:
    """Run a client's program in a process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=client_env(address, home, **more),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
