"""The embedded Argilla for tests: the real server in a process of its own, on a free port.

(Not `argilla.py`: this folder stands before the SDK of that name in the tests' path.)
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

PATIENCE = 300.0  # seconds; on a machine that has never had it, its environment is made first


@dataclass
class RunningArgilla:
    """A server that answers.

    `request` speaks to its HTTP API as the owner; `client()` is the SDK, as the owner.
    """

    data: Path
    url: str
    api_key: str
    username: str
    password: str
    process: subprocess.Popen[bytes]
    said: str = field(repr=False, default="")  # what it said on stderr until it was ready
    took: float = 0.0  # seconds until it was ready

    def request(self, method: str, path: str, *, key: str | None = None, **more: Any) -> Any:
        """Call `/api/v1/PATH`; the answer as `requests` gives it."""
        headers = {"X-Argilla-Api-Key": key or self.api_key}
        url = f"{self.url}/api/v1/{path}"
        return requests.request(method, url, headers=headers, timeout=60, **more)

    def client(self, key: str | None = None) -> Any:
        import argilla

        return argilla.Argilla(api_url=self.url, api_key=key or self.api_key)

    def get(self, path: str, **more: Any) -> Any:
        """The JSON of `/api/v1/PATH`, which must be there."""
        return checked(self.request("GET", path, **more))

    def post(self, path: str, body: Any, **more: Any) -> Any:
        """What `/api/v1/PATH` answers to a body that it must take."""
        return checked(self.request("POST", path, json=body, **more))

    def workspace(self, name: str) -> str:
        """The id of a workspace, made where it is missing."""
        for one in self.get("me/workspaces")["items"]:
            if one["name"] == name:
                return one["id"]
        return self.post("workspaces", {"name": name})["id"]

    def user(self, name: str, workspace: str | None, role: str = "annotator") -> str:
        """A new person's API key, a member of a workspace."""
        body = {"username": name, "first_name": name, "password": "only-for-tests", "role": role}
        person = self.post("users", body)
        if workspace is not None:
            self.post(f"workspaces/{self.workspace(workspace)}/users", {"user_id": person["id"]})
        return person["api_key"]

    def dataset(self, name: str, texts: list[str], *, workspace: str = "charter") -> str:
        """The id of a new dataset with a text field and a question `better`, with these records.

        External ids are r0, r1 and so on.
        """
        body = {"name": name, "workspace_id": self.workspace(workspace)}
        made = self.post("datasets", body)["id"]
        field = {"name": "text", "title": "Text", "required": True}
        settings = {"type": "text", "use_markdown": True}
        self.post(f"datasets/{made}/fields", {**field, "settings": settings})
        options = [{"value": value, "text": value} for value in ("A", "B", "TIE")]
        question = {"name": "better", "title": "Which is better?", "required": True}
        choice = {"type": "label_selection", "options": options, "visible_options": 3}
        self.post(f"datasets/{made}/questions", {**question, "settings": choice})
        checked(self.request("PUT", f"datasets/{made}/publish"))
        items = [{"fields": {"text": t}, "external_id": f"r{i}"} for i, t in enumerate(texts)]
        for start in range(0, len(items), 500):
            self.post(f"datasets/{made}/records/bulk", {"items": items[start : start + 500]})
        return made

    @property
    def environment(self) -> dict[str, str]:
        """What makes the client commands find this server."""
        return {"ARGILLA_API_URL": self.url, "ARGILLA_API_KEY": self.api_key}

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it as a person would; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        """End it as a power cut would."""
        self.stop(signal.SIGKILL)


def checked(response: requests.Response) -> Any:
    """Its JSON; an answer that is no success fails the test, with what it says."""
    assert response.ok, f"{response.request.method} {response.url}: {response.text[:2000]}"
    return response.json() if response.content else None


def start_argilla(
    data: Path, *, environment: dict[str, str] | None = None, **options: Any
) -> RunningArgilla:
    """`charter review serve` on a free port, ready.

    Args:
        data: the data folder; made where it is missing.
        environment: variables beside this process's own.
        options: of the command, by name: `user=["ann", "bob:admin"]`, `workspace="mine"`.
    """
    arguments = ["review", "serve", "--port", "0", "--data", str(data)]
    for name, value in options.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            arguments += [f"--{name.replace('_', '-')}", str(one)]
    data.mkdir(parents=True, exist_ok=True)
    errors = data / "stderr.txt"
    started = time.monotonic()
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", "from charter.cli import main; main()", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
        )
    url = _ready(process, errors)
    took = time.monotonic() - started
    found = json.loads((data / "credentials.json").read_bytes())
    assert found["url"] == url
    return RunningArgilla(
        data=data,
        url=url,
        api_key=found["api_key"],
        username=found["username"],
        password=found["password"],
        process=process,
        said=errors.read_text("utf-8"),
        took=took,
    )


def _ready(process: subprocess.Popen[bytes], errors: Path) -> str:
    assert process.stdout is not None
    said, until = b"", time.monotonic() + PATIENCE
    while not said.endswith(b"\n") and time.monotonic() < until:
        if select.select([process.stdout], [], [], 1.0)[0]:
            part = os.read(process.stdout.fileno(), 4096)
            if not part:
                break
            said += part
    word, _, url = said.decode(errors="replace").strip().partition(" ")
    if word != "ready":
        process.kill()
        process.wait()
        process.stdout.close()
        raise RuntimeError(f"no server: {said!r}\n{errors.read_text('utf-8')}")
    return url


def skip_without_environment() -> None:
    """Skip, with the reason, where the server's environment can't be made (no network)."""
    from charter.errors import CharterError
    from charter.review.embedded import ensure_environment

    try:
        ensure_environment()
    except CharterError as error:
        pytest.skip(f"no environment for Argilla's server: {error}")
