"""A server of which a test decides every byte, and one try of a call there."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

from charter.models.call import Answer, Call
from charter.models.server import ServerLLM

__all__ = ["CALL", "GOOD", "RawServer", "Talk", "attempt", "http"]

CALL = Call("respond", "p", 0, 42, ({"role": "user", "content": "Why?"},))
GOOD = {
    "choices": [{"message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
}

Talk = Callable[[socket.socket, bytes], None]


def http(status=200, body=GOOD, headers=()):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(raw)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + raw


class RawServer:
    """A server on a socket, whose every byte a test decides."""

    def __init__(self, *talks: Talk | bytes) -> None:
        self.talks = list(talks)
        self.requests: list[bytes] = []
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while request := _request(connection):
                self.requests.append(request)
                talk = self.talks.pop(0) if len(self.talks) > 1 else self.talks[0]
                try:
                    if isinstance(talk, bytes):
                        connection.sendall(talk)
                    else:
                        talk(connection, request)
                        return
                except OSError:
                    return

    def close(self) -> None:
        self._socket.close()


def _request(connection: socket.socket) -> bytes:
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            got = connection.recv(65536)
            if not got:
                return b""
            data += got
        head, _, rest = data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(rest) < int(fields[b"content-length"]):
            rest += connection.recv(65536)
    except OSError:
        return b""
    return head + b"\r\n\r\n" + rest


def attempt(url: str, call: Call = CALL, **kw: Any) -> Answer:
    """One try of a call, of a fresh LLM."""
    llm = ServerLLM(model="m", base_url=url, **{"timeout": 2.0, **kw})

    async def go() -> Answer:
        try:
            return await llm.attempt(call)
        finally:
            await llm.aclose()

    return asyncio.run(go())
