"""A proxy that lets so many HTTP requests through and then cuts the line, for good."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any


class CuttingProxy:
    """Every request gets a connection of its own, so that connections count requests.

    Args:
        target: `http://HOST:PORT` behind it.
        limit: requests that reach the target; None for all.
        answered: whether the last of them gets its answer; else the line is cut before it.
    """

    def __init__(self, target: str, limit: int | None = None, answered: bool = True) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self.limit = limit
        self.answered = answered
        self.seen = 0
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def cut(self) -> bool:
        """Whether a request was cut."""
        return self.limit is not None and self.seen > self.limit - (not self.answered)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                part = client.recv(65536)
                if not part:
                    return
                head += part
            with self._lock:
                self.seen += 1
                number = self.seen
            if self.limit is not None and number > self.limit:
                return
            last = number == self.limit and not self.answered
            lines, _, rest = head.partition(b"\r\n\r\n")
            kept = [
                line for line in lines.split(b"\r\n") if not line.lower().startswith(b"connection:")
            ]
            with socket.create_connection(self._target) as server:
                server.sendall(b"\r\n".join([*kept, b"Connection: close"]) + b"\r\n\r\n" + rest)
                up = threading.Thread(target=_pour, args=(client, server), daemon=True)
                up.start()
                if last:
                    while server.recv(65536):  # it is done there, and nobody hears of it
                        pass
                else:
                    _pour(server, client)
                # Closing alone would wait for the other thread, which reads from it.
                client.shutdown(socket.SHUT_RDWR)


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
