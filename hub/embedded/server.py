"""The server: bound to loopback, ready with one line, ended by a signal."""

from __future__ import annotations

import errno
import ipaddress
import os
import secrets
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from charter.errors import Fault, InputError
from charter.hub.embedded.app import HubApp
from charter.hub.embedded.hub import Hub
from charter.hub.embedded.store import Store
from charter.hub.embedded.users import Accounts, User

__all__ = ["is_loopback", "make_app", "own_user", "serve"]

_GRACE = 5  # seconds


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_user(store: Store) -> User:
    """The user of a store that nobody named users for, with a token made once and kept.

    It stands in `credentials.json` in the store, which only its owner can read. The user may
    write everywhere: a recipe names the namespace that it will publish to, not who runs it.
    """
    name = "".join(char for char in os.environ.get("USER", "") if char.isalnum()) or "me"
    made = {"name": name, "token": f"hf_{secrets.token_urlsafe(24)}"}
    found = store.kept("credentials.json", made, mode=0o600)
    return User(str(found["name"]), str(found["token"]), "owner")


def make_app(
    store: Store,
    users: Sequence[User],
    orgs: dict[str, tuple[str, ...]] | None = None,
    *,
    local: bool = False,
) -> HubApp:
    """The ASGI application of a store, for servers and tests that bring their own loop."""
    hub = Hub(store, Accounts(tuple(users), orgs or {}), store.secret())
    return HubApp(hub, local=local)


def _opened(
    data: Path, users: Sequence[User], orgs: dict[str, tuple[str, ...]] | None, *, local: bool
) -> HubApp:
    try:
        store = Store(data)
        return make_app(store, users or [own_user(store)], orgs, local=local)
    except OSError as error:
        what = f"cannot be used as a store: {error.strerror}"
        fix = "name another folder with --data"
        raise InputError(Fault(str(data), "", what, fix)) from None


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        what = f"cannot listen on {host}:{port}: {error.strerror}"
        place = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
        raise InputError(Fault("charter hub serve", place, what, "name another")) from None
    return made


def serve(
    data: Path,
    *,
    users: Sequence[User] = (),
    orgs: dict[str, tuple[str, ...]] | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], None] = lambda address: print(f"ready {address}", flush=True),  # noqa: T201
) -> None:
    """Serve a store until SIGTERM or SIGINT. Call it in a process's main thread.

    Args:
        data: the store's folder; made where it is missing.
        users: who may write; none: the store's own user.
        orgs: organisation -> members.
        host: loopback, unless users are named.
        port: 0 picks a free one.
        ready: called once with the address, as soon as it answers.

    Raises:
        InputError: the folder, the port, or the users cannot be used.
    """
    if not host:  # the socket would take it for every address
        fix = "name an address, or leave --host out"
        raise InputError(Fault("charter hub serve", "--host", "it is empty", fix))
    if not users and not is_loopback(host):
        what = f"{host} can be reached from elsewhere, and no user is named"
        fix = "give --user NAME:TOKEN, or leave --host out"
        raise InputError(Fault("charter hub serve", "--host", what, fix))
    app = _opened(data, users, orgs, local=is_loopback(host))
    listening = _bound(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=75,
    )
    # The server passes a signal on once it has ended well; that must not end us badly.
    before = {number: signal.signal(number, _ignored) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        _Server(config, lambda: ready(address)).run(sockets=[listening])
    finally:
        listening.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignored(number: int, frame: FrameType | None) -> Any:
    return None
