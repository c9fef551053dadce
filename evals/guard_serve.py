"""Serve an application on one address: ready with one line, ended by a signal."""

from __future__ import annotations

import signal
import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from charter.errors import Fault, InputError

__all__ = ["Server", "serve_app"]

_GRACE: Final = 5  # seconds
_LONGEST_HEAD: Final = 64 * 2**10


class Server(uvicorn.Server):
    """Says when it answers, and closes what its loop has opened."""

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._close = close

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, then close the connections to others."""
        await super().shutdown(sockets=sockets)
        await self._close()


def serve_app(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    place: str,
    ready: Callable[[str], None],
    close: Callable[[], Awaitable[None]],
) -> None:
    """Serve until SIGTERM or SIGINT. Call it in a process's main thread.

    Args:
        app: what is served.
        host: where.
        port: 0 picks a free one.
        place: the command, for faults.
        ready: called once with the address, as soon as it answers.
        close: called in the server's loop at its end.

    Raises:
        InputError: the address cannot be listened on.
    """
    listening = _bound(host, port, place)
    address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        app,
        http="h11",
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    # The server passes a signal on once it has ended well; that must not end us badly.
    before = {number: signal.signal(number, _ignored) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        Server(config, lambda: ready(address), close).run(sockets=[listening])
    finally:
        listening.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def _bound(host: str, port: int, place: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        what = f"cannot listen on {host}:{port}: {error.strerror or error}"
        raise InputError(Fault(place, "--port", what, "name another")) from None
    return made


def _ignored(number: int, frame: FrameType | None) -> Any:
    return None
