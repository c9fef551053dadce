"""A loopback server with OpenAI's protocol that is much faster than any client of it.

    python benchmarks/server.py --port 0 --latency 0.05

prints `ready URL` and serves until SIGTERM. Chat completions are at `URL/v1/chat/completions`.
HTTP/1.1 with keep-alive is parsed by hand, on uvloop where that is installed.

- An answer of 60 words follows from the bytes of the request, so that chains differ by row. With
  `logprobs` asked for, it is one token, `A` or `B`, with the odds of both.
- An answer takes `latency` seconds. Of more than `limit` requests (0: no limit) the rest wait
  (`over: queue`) or are answered 429 at once, with `Retry-After` (`over: "429"`).
- A share of the distinct requests, drawn by a hash of the seed, fails on its first arrival in one
  of five ways: 429, 500, hang, truncated JSON, empty text. Sent again, it is answered.

`GET /stats` says what was counted; `POST /reset` clears the counts and takes any field of
`Settings` as JSON. Times are of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import json
import signal
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Any

FAULTS = ("429", "500", "hang", "truncated", "empty")
# 256 words, one a byte
_TAILS = ("nder", "lin", "rmon", "st")
WORDS = [c + v + tail for c in "bcdfghjklmnprstv" for v in "aeio" for tail in _TAILS]
ANSWER_WORDS = 60
_REASONS = {200: "OK", 404: "Not Found", 411: "Length Required", 429: "Too Many", 500: "Error"}


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server behaves.

    Attributes:
        latency: seconds an answer takes.
        limit: most requests served at once; 0 is no limit.
        over: `queue` or `429`, for requests above the limit.
        retry_after: seconds that every 429 asks to wait.
        fault_share: share of the distinct requests whose first arrival fails.
        fault_kinds: in which ways, all equally often.
        seed: of the schedule of faults.
    """

    latency: float = 0.05
    limit: int = 0
    over: str = "queue"
    retry_after: float = 0.1
    fault_share: float = 0.0
    fault_kinds: tuple[str, ...] = FAULTS
    seed: int = 0


@dataclass(slots=True)
class State:
    """The settings, and what was counted under them."""

    settings: Settings
    requests: int = 0
    seen: set[bytes] = field(default_factory=set)
    injected: Counter[str] = field(default_factory=Counter)
    throttled: int = 0
    abandoned: int = 0
    open: int = 0
    most_open: int = 0
    running: int = 0
    most_running: int = 0
    first: float | None = None
    last: float | None = None
    cpu: float = field(default_factory=time.process_time)
    waiting: deque[Connection] = field(default_factory=deque)

    def fault(self, digest: bytes) -> str:
        """The fault of a request that is seen for the first time; mostly none."""
        if digest in self.seen:
            return ""
        self.seen.add(digest)
        share, kinds = self.settings.fault_share, self.settings.fault_kinds
        if not share:
            return ""
        drawn = hashlib.blake2b(digest, key=b"%d" % self.settings.seed, digest_size=16).digest()
        if int.from_bytes(drawn[:8]) >= share * 2**64:
            return ""
        return kinds[int.from_bytes(drawn[8:]) % len(kinds)]

    def stats(self) -> dict[str, Any]:
        """What `GET /stats` answers."""
        return {
            "requests": self.requests,
            "distinct": len(self.seen),
            "injected": dict(self.injected),
            "throttled": self.throttled,
            "abandoned": self.abandoned,
            "most_in_flight": self.most_open,
            "most_running": self.most_running,
            "first_request": self.first,
            "last_response": self.last,
            "cpu_seconds": time.process_time() - self.cpu,
        }


class Server:
    """Holds the state that `POST /reset` replaces; requests keep the one they arrived under."""

    def __init__(self, settings: Settings) -> None:
        self.state = State(settings)

    def reset(self, body: bytes) -> None:
        """Clear the counts and change settings."""
        changes = json.loads(body or b"{}")
        if "fault_kinds" in changes:
            changes["fault_kinds"] = tuple(changes["fault_kinds"])
        self.state = State(replace(self.state.settings, **changes))


class Connection(asyncio.Protocol):
    """One connection, one request at a time; what is sent ahead waits."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._buffer = b""
        self._busy = False
        self._gone = False
        # of the request being served
        self._state = server.state
        self._body = self._digest = b""
        self._fault = ""
        self._running = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        self._parse()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        if not self._busy:
            return
        self._state.abandoned += 1
        if self._timer is not None:
            self._timer.cancel()
        self._leave()

    def _parse(self) -> None:
        while not self._busy and not self._gone:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            at = head.find(b"\r\ncontent-length:")
            length = 0 if at < 0 else int(head[at + 17 :].split(b"\r\n", 1)[0])
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            if head.startswith(b"post /v1/chat/completions "):
                self._arrive(body)
            else:
                self._answer_other(head, body)

    def _answer_other(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get /stats "):
            self._write(200, json.dumps(self._server.state.stats()).encode())
        elif head.startswith(b"post /reset "):
            self._server.reset(body)
            self._write(200, b"{}")
        else:
            self._write(404, b'{"error": "no such path"}')

    def _arrive(self, body: bytes) -> None:
        state = self._state = self._server.state
        now = time.monotonic()
        state.requests += 1
        if state.first is None:
            state.first = now
        settings = state.settings
        if settings.limit and state.running >= settings.limit and settings.over != "queue":
            state.throttled += 1
            state.last = now
            self._write(429, b'{"error": "too many"}', settings.retry_after)
            return
        self._body = body
        self._digest = hashlib.blake2b(body).digest()
        self._fault = state.fault(self._digest[:16])
        self._busy = True
        state.open += 1
        state.most_open = max(state.most_open, state.open)
        if settings.limit and state.running >= settings.limit:
            state.waiting.append(self)
        else:
            self._serve()

    def _serve(self) -> None:
        state = self._state
        self._running = True
        state.running += 1
        state.most_running = max(state.most_running, state.running)
        if self._fault:
            state.injected[self._fault] += 1
        if self._fault != "hang":
            self._timer = self._loop.call_later(state.settings.latency, self._finish)

    def _finish(self) -> None:
        state = self._state
        if self._fault == "429":
            self._write(429, b'{"error": "injected"}', state.settings.retry_after)
        elif self._fault == "500":
            self._write(500, b'{"error": "injected"}')
        else:
            data = completion(self._body, self._digest, empty=self._fault == "empty")
            self._write(200, data[: len(data) // 2] if self._fault == "truncated" else data)
        state.last = time.monotonic()
        self._leave()
        self._parse()

    def _leave(self) -> None:
        state = self._state
        self._busy = False
        self._timer = None
        state.open -= 1
        if not self._running:
            return  # it was still waiting
        self._running = False
        state.running -= 1
        while state.waiting and state.running < state.settings.limit:
            following = state.waiting.popleft()
            if not following._gone:
                following._serve()

    def _write(self, status: int, body: bytes, retry_after: float | None = None) -> None:
        extra = b"" if retry_after is None else b"Retry-After: %g\r\n" % retry_after
        self._transport.write(
            b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s"
            % (status, _REASONS[status].encode(), extra, len(body), body)
        )


def completion(body: bytes, digest: bytes, *, empty: bool = False) -> bytes:
    """The answer to a request: its words, or its token, follow from the digest of the request."""
    logprobs = b""
    if b'"logprobs": true' in body or b'"logprobs":true' in body:
        text, logprobs = _odds(digest)
        written = 1
    else:
        text = " ".join([WORDS[byte] for byte in digest[:ANSWER_WORDS]])
        written = ANSWER_WORDS
    if empty:
        text, written, logprobs = "", 0, b""
    return (
        b'{"id":"chatcmpl-%s","object":"chat.completion","created":1700000000,"model":"bench",'
        b'"choices":[{"index":0,"message":{"role":"assistant","content":"%s"},%s'
        b'"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}'
    ) % (
        digest[:12].hex().encode(),
        text.encode(),
        logprobs,
        len(body) // 4,
        written,
        len(body) // 4 + written,
    )


def _odds(digest: bytes) -> tuple[str, bytes]:
    """A or B, with log-probabilities of both."""
    odds = {"A": -0.1 - digest[0] / 100, "B": -0.1 - digest[1] / 100}
    text = max(odds, key=odds.__getitem__)
    top = [{"token": token, "logprob": odds[token]} for token in odds]
    content = [{"token": text, "logprob": odds[text], "top_logprobs": top}]
    return text, b'"logprobs":%s,' % json.dumps({"content": content}).encode()


async def serve(settings: Settings, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    server = Server(settings)
    listener = await loop.create_server(lambda: Connection(server), "127.0.0.1", port, backlog=4096)
    gc.freeze()
    print(f"ready http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", flush=True)
    await ended.wait()
    listener.close()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--over", choices=("queue", "429"), default="queue")
    options = parser.parse_args()
    settings = Settings(latency=options.latency, limit=options.limit, over=options.over)
    try:
        import uvloop as loops
    except ImportError:
        loops = asyncio  # type: ignore[assignment]
    loops.run(serve(settings, options.port))


if __name__ == "__main__":
    main()
