"""Become the server: claim the data folder and the port, then hand over to its environment."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from charter.errors import Failure, Fault, InputError, nearest
from charter.review.embedded.credentials import keep_credentials
from charter.review.embedded.inside.settings import LOG
from charter.review.embedded.install import ensure_environment
from charter.review.embedded.process import claim

__all__ = ["ROLES", "Person", "parse_person", "serve"]

ROLES = ("annotator", "admin", "owner")
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]+")  # as Argilla has it
_BOOT = Path(__file__).parent / "inside" / "boot.py"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who shall have an account."""

    name: str
    role: str


def parse_person(text: str) -> Person:
    """Read `NAME` or `NAME:ROLE`; an annotator where no role is given.

    Raises:
        InputError: the name or the role is none.
    """
    name, colon, role = text.partition(":")
    if not _NAME.fullmatch(name):
        what, fix = f'"{name}" is not a name', "use letters, digits, - and _"
        raise InputError(Fault("charter review serve", "--user", what, fix))
    if colon and role not in ROLES:
        fault = Fault("charter review serve", "--user", f'no role "{role}"', nearest(role, ROLES))
        raise InputError(fault)
    return Person(name, role if colon else "annotator")


def serve(
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 6900,
    people: Sequence[Person] = (),
    workspace: str = "charter",
    background: bool = False,
    as_json: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> int:
    """Serve a data folder; in the foreground this process becomes the server and never returns.

    Args:
        data: the folder; made where it is missing.
        host: what can reach it; loopback unless the person chose otherwise.
        port: 0 picks a free one.
        people: accounts to make beside the owner's; who is there already stays as they are.
        workspace: of which the people are members.
        background: leave it running and return once it answers.
        as_json: the ready line is a JSON object.
        say: told what people must know before it is ready.

    Returns:
        The process's number, with `background`.

    Raises:
        InputError: the data folder is served already, or can't be written, or the port is taken.
        Failure: the environment can't be made, or the server does not start.
    """
    with ExitStack() as held:
        claimed = _claimed(data)
        held.callback(os.close, claimed)
        listening, url = _bound(host, port)
        held.enter_context(listening)
        python = ensure_environment(say)
        _introduce(data, url, host, say)
        arguments = [
            *(str(python), "-I", str(_BOOT), "--data", str(data.absolute()), "--url", url),
            *("--listening", str(listening.fileno()), "--workspace", workspace),
            *(part for one in people for part in ("--person", f"{one.name}:{one.role}")),
            *(["--json"] if as_json else []),
            *(["--detach"] if background else []),
        ]
        handed = (claimed, listening.fileno())
        if background:
            return _background(arguments, handed, data)
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor in handed:
            os.set_inheritable(descriptor, True)
        os.execv(arguments[0], arguments)  # noqa: S606 - no shell: the arguments are a list


def _claimed(data: Path) -> int:
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        return claim(data)
    except OSError as error:
        what, fix = f"cannot be written to: {error.strerror}", "name another folder with --data"
        raise InputError(Fault(str(data), "", what, fix)) from None


def _bound(host: str, port: int) -> tuple[socket.socket, str]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        # Or another server that also starts could have the port as well, and die when it answers.
        made.listen()
    except OSError as error:
        made.close()
        what = f"cannot listen on {host}:{port}: {error.strerror}"
        fix = "name another with --port, or --port 0 for a free one"
        raise InputError(Fault("charter review serve", "--port", what, fix)) from None
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return made, f"http://{f'[{shown}]' if ':' in shown else shown}:{made.getsockname()[1]}"


def _introduce(data: Path, url: str, host: str, say: Callable[[str], None]) -> None:
    from charter.hub.embedded.server import is_loopback

    credentials, new = keep_credentials(data, url)
    if new:
        say(f"owner {credentials.username}  password {credentials.password}  (shown once)")
        say(f"API key {credentials.api_key}")
        say(f"both are kept in {data / 'credentials.json'}, which only you can read")
    if not is_loopback(host):
        say(f"{host} can be reached from elsewhere, without encryption: put TLS before it")


def _background(arguments: list[str], handed: tuple[int, ...], data: Path) -> int:
    child = subprocess.Popen(  # noqa: S603
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        pass_fds=handed,
    )
    assert child.stdout is not None
    with child.stdout:
        line = child.stdout.readline()
    if not line:
        code = child.wait()
        what, fix = f"the server did not start (exit {code})", f"see {data / LOG}"
        raise Failure(Fault(str(data), "", what, fix))
    sys.stdout.write(line.decode())
    sys.stdout.flush()
    return child.pid
