"""The benchmarks' server: what it counts, and that it fails and waits as it is told to."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "server.py"
FAULTS = ("429", "500", "hang", "truncated", "empty")


class Client:
    """The server's process, and one connection a request."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, SCRIPT], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            ready, url = lines.readline().split()
        assert ready == "ready"
        self.port = int(url.rsplit(":", 1)[1])

    def connect(self, timeout: float = 10) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def send(
        self, method: str, path: str, body: bytes | None = None, timeout: float = 10
    ) -> tuple[int, Any, bytes]:
        connection = self.connect(timeout)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def ask(self, text: str, timeout: float = 10, **more: Any) -> tuple[int, Any, bytes]:
        body = {"messages": [{"role": "user", "content": text}], **more}
        return self.send("POST", "/v1/chat/completions", json.dumps(body).encode(), timeout)

    def say(self, text: str, **more: Any) -> str:
        status, _, data = self.ask(text, **more)
        assert status == 200
        found: str = json.loads(data)["choices"][0]["message"]["content"]
        return found

    def reset(self, **settings: Any) -> None:
        fresh = {"latency": 0.0, "limit": 0, "over": "queue", "fault_share": 0.0, **settings}
        assert self.send("POST", "/reset", json.dumps(fresh).encode())[0] == 200

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.send("GET", "/stats")[2])
        return found

    def hold(self, text: str, arrived: int) -> http.client.HTTPConnection:
        """Send a request and leave its answer; back when so many have arrived in all."""
        connection = self.connect()
        connection.request("POST", "/v1/chat/completions", json.dumps({"messages": text}))
        while self.stats()["requests"] < arrived:
            time.sleep(0.005)
        return connection


@pytest.fixture(scope="module")
def process() -> Iterator[Client]:
    client = Client()
    yield client
    client.process.terminate()
    assert client.process.wait(10) == 0


@pytest.fixture
def server(process: Client) -> Client:
    process.reset()
    return process


def test_an_answer_follows_from_the_request(server: Client) -> None:
    first = server.say("How do tides work?")
    assert len(first.split()) == 60
    assert server.say("How do tides work?") == first
    assert server.say("How do tides work") != first
    usage = json.loads(server.ask("How do tides work?")[2])["usage"]
    assert usage["completion_tokens"] == 60
    assert usage["prompt_tokens"] > 0


def test_log_probabilities_when_asked(server: Client) -> None:
    _, _, data = server.ask("A or B?", logprobs=True, top_logprobs=20)
    choice = json.loads(data)["choices"][0]
    top = {e["token"]: e["logprob"] for e in choice["logprobs"]["content"][0]["top_logprobs"]}
    assert set(top) == {"A", "B"}
    assert choice["message"]["content"] == max(top, key=top.__getitem__)
    assert "logprobs" not in json.loads(server.ask("A or B?")[2])["choices"][0]


def test_one_connection_serves_many_requests(server: Client) -> None:
    connection = server.connect()
    for text in ("one", "two"):
        connection.request("POST", "/v1/chat/completions", json.dumps({"messages": text}))
        assert connection.getresponse().read()
    connection.close()
    assert server.send("GET", "/elsewhere")[0] == 404
    assert server.stats()["requests"] == 2


def test_counts(server: Client) -> None:
    before = time.monotonic()
    server.say("one")
    server.say("one")
    server.say("two")
    stats = server.stats()
    assert (stats["requests"], stats["distinct"], stats["most_in_flight"]) == (3, 2, 1)
    assert stats["injected"] == {}
    assert before <= stats["first_request"] <= stats["last_response"] <= time.monotonic()
    server.reset()
    assert server.stats()["requests"] == 0
    assert server.stats()["first_request"] is None


def test_latency(server: Client) -> None:
    server.reset(latency=0.2)
    assert server.say("one")
    stats = server.stats()
    # A timer may be a tick early; how late it is, is the machine's affair.
    assert stats["last_response"] - stats["first_request"] >= 0.19


def test_requests_are_served_at_the_same_time(server: Client) -> None:
    server.reset(latency=60)
    held = [server.hold(str(k), k + 1) for k in range(3)]
    stats = server.stats()
    assert (stats["most_in_flight"], stats["most_running"]) == (3, 3)
    for connection in held:
        connection.close()


def test_above_the_limit_requests_wait(server: Client) -> None:
    server.reset(limit=1, latency=60)
    held = [server.hold(str(k), k + 1) for k in range(3)]
    stats = server.stats()
    assert (stats["most_in_flight"], stats["most_running"]) == (3, 1)
    held[1].close()  # it gives up while it waits
    held[0].close()
    while server.stats()["abandoned"] < 2:
        time.sleep(0.005)
    assert server.stats()["most_running"] == 1
    held[2].close()


def test_who_waited_is_answered(server: Client) -> None:
    server.reset(limit=1, latency=0.05)
    first, second = server.hold("first", 1), server.hold("second", 2)
    for connection in (second, first):
        assert json.loads(connection.getresponse().read())["choices"]
        connection.close()
    assert server.stats()["most_running"] == 1


def test_above_the_limit_requests_are_turned_away(server: Client) -> None:
    server.reset(latency=60, limit=1, over="429", retry_after=3)
    held = server.hold("first", 1)
    status, headers, _ = server.ask("more")
    assert (status, headers["Retry-After"]) == (429, "3")
    assert server.stats()["throttled"] == 1
    held.close()


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind != "hang"])
def test_a_fault_comes_once(server: Client, kind: str) -> None:
    server.reset(fault_share=1.0, fault_kinds=[kind])
    status, headers, data = server.ask("one")
    if kind in ("429", "500"):
        assert status == int(kind)
        assert (headers["Retry-After"] is not None) == (kind == "429")
    elif kind == "empty":
        assert json.loads(data)["choices"][0]["message"]["content"] == ""
    else:
        assert status == 200
        with pytest.raises(json.JSONDecodeError):
            json.loads(data)
    assert server.say("one")
    stats = server.stats()
    assert (stats["requests"], stats["distinct"]) == (2, 1)
    assert stats["injected"] == {kind: 1}


def test_a_request_that_hangs_is_given_up(server: Client) -> None:
    server.reset(fault_share=1.0, fault_kinds=["hang"], limit=1)
    with pytest.raises(TimeoutError):
        server.ask("one", timeout=0.2)
    assert server.say("one")  # its place under the limit is free again
    stats = server.stats()
    assert (stats["injected"], stats["abandoned"]) == ({"hang": 1}, 1)


def test_the_schedule_of_faults_is_the_seeds(server: Client) -> None:
    def failing(seed: int) -> list[int]:
        server.reset(fault_share=0.2, fault_kinds=["500"], seed=seed)
        return [k for k in range(200) if server.ask(str(k))[0] == 500]

    first = failing(1)
    assert 20 <= len(first) <= 60
    assert failing(1) == first
    assert failing(2) != first
