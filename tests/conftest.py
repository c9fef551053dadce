"""What all tests share: a cache of their own, and a scripted server with OpenAI's protocol."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from charter.models.threads import wait_asleep

wait_asleep()
# The tests need no network, and nothing may wait for one.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# A job in a shell's background ignores Ctrl-C, and all that it starts would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A call cache for each test; the converted embedded model is shared with the user's."""
    from charter.models.store import cache_root

    shared = cache_root() / "models"
    shared.mkdir(parents=True, exist_ok=True)
    root = tmp_path / "cache"
    root.mkdir()
    (root / "models").symlink_to(shared)
    monkeypatch.setenv("CHARTER_CACHE", str(root))
    return root


def say(text: str, **extra: Any) -> Reply:
    """A chat completion with this text."""
    body = {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
                **extra,
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5},
    }
    return 200, {}, json.dumps(body).encode()


def odds(a: float, b: float, text: str = "A") -> Reply:
    """A completion of one token, with log-probabilities of the labels."""
    top = [{"token": "A", "logprob": a}, {"token": "B", "logprob": b}]
    return say(text, logprobs={"content": [{"token": text, "logprob": a, "top_logprobs": top}]})


class ScriptedServer:
    """A server whose every answer a test decides, and that counts what it was asked."""

    def __init__(self, script: Callable[[dict[str, Any]], Reply]) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.in_flight = self.most_in_flight = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    server.requests.append(body)
                    server.headers.append(dict(self.headers))
                    server.in_flight += 1
                    server.most_in_flight = max(server.most_in_flight, server.in_flight)
                try:
                    status, headers, data = server.script(body)
                finally:
                    with server._lock:
                        server.in_flight -= 1
                try:
                    self.send_response(status)
                    for name, value in {"Content-Length": str(len(data)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client has given up, as some tests want it to

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[dict[str, Any]], Reply]], ScriptedServer]]:
    """Start scripted servers; they end with the test."""
    servers: list[ScriptedServer] = []

    def start(script: Callable[[dict[str, Any]], Reply]) -> ScriptedServer:
        servers.append(ScriptedServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def _role_of(body: dict[str, Any]) -> str:
    last = body["messages"][-1]["content"]
    if "[response A " in last:
        return "judge"
    turns = sum(message["role"] == "user" for message in body["messages"])
    return "respond" if turns == 1 else "critique" if turns == 2 else "revise"


@pytest.fixture
def good_script() -> Callable[[dict[str, Any]], Reply]:
    """A model that works: texts by seed, and a judge that prefers the longer response."""

    def script(body: dict[str, Any]) -> Reply:
        role = _role_of(body)
        if role != "judge":
            filler = "word " * (body.get("seed", 0) % 7)
            return say(f"{role} {body.get('seed', 0)} {filler}".strip())
        text = body["messages"][-1]["content"]
        parts = [text.split(f"[response {x} ")[1].split("\n", 1)[1] for x in "AB"]
        lengths = [len(part.split("\n[end of")[0]) for part in parts]
        if body.get("logprobs"):
            lead = 0.5 + 0.2 * (lengths[0] - lengths[1])
            return odds(-1.0 + lead, -1.0)
        return say("A" if lengths[0] > lengths[1] else "B" if lengths[0] < lengths[1] else "TIE")

    return script


@pytest.fixture
def recipe_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a small recipe on a server; keywords replace whole blocks."""
    import yaml

    def write(url: str, prompts: int = 6, **blocks: Any) -> Path:
        lines = [
            json.dumps({"id": f"p{i}", "prompt": f"Question number {i} about topic {i * 37}?"})
            for i in range(prompts)
        ]
        (tmp_path / "prompts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        recipe = {
            "name": "small",
            "seed": 3,
            "constitution": "concise",
            "prompts": {"path": str(tmp_path / "prompts.jsonl"), "test_fraction": 0.2},
            "models": {"generator": {"llm": "openai", "model": "scripted", "base_url": url}},
            "publish": {"repo": "me/small"},
            "run": {"retries": 1, "timeout": 5.0, "in_flight": 8},
            **blocks,
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture
def replies() -> Any:
    """The makers of replies, for scripts: `say` and `odds`."""

    class Replies:
        say = staticmethod(say)
        odds = staticmethod(odds)
        role_of = staticmethod(_role_of)
        sleep = staticmethod(time.sleep)

    return Replies
