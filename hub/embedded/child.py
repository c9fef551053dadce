"""The embedded Hub in a child process: for recipes that publish locally, and for tests."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from charter.errors import Failure, Fault
from charter.hub.embedded.users import User

__all__ = ["Running", "launch", "start"]

_PATIENCE = 60.0  # seconds
_CODE = "from charter.hub.embedded.child import _main; _main()"


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Attributes:
        address: `http://127.0.0.1:PORT`, for `HF_ENDPOINT`.
        process: the child.
    """

    address: str
    process: subprocess.Popen[bytes]

    def stop(self) -> int:
        """End it, and wait until it has ended.

        Returns:
            Its exit code: 0 where it ended well.
        """
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._close()
        return code

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def launch(
    data: Path,
    *,
    users: Sequence[User] = (),
    orgs: dict[str, tuple[str, ...]] | None = None,
    port: int = 0,
) -> Running:
    """Start a server on loopback and wait until it answers. The caller ends it.

    Tokens reach the child through a pipe: a command line can be read by everyone.

    Args:
        data: the store's folder.
        users: as `serve` takes them; none: the store's own user.
        orgs: organisation -> members.
        port: 0 picks a free one.

    Raises:
        Failure: it does not answer in time, or ended.
    """
    child = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", _CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None and child.stdout is not None
    settings = {
        "data": str(data),
        "users": [[user.name, user.token, user.role] for user in users],
        "orgs": {org: list(members) for org, members in (orgs or {}).items()},
        "port": port,
    }
    child.stdin.write(json.dumps(settings).encode() + b"\n")
    child.stdin.flush()
    running = Running(_awaited(child), child)
    if not running.address:
        running.kill()
        what, fix = "the embedded Hub did not start", "see what it said above"
        raise Failure(Fault(str(data), "", what, fix))
    return running


def _awaited(child: subprocess.Popen[bytes]) -> str:
    assert child.stdout is not None
    said, until = b"", time.monotonic() + _PATIENCE
    while not said.endswith(b"\n") and time.monotonic() < until:
        if select.select([child.stdout], [], [], 1.0)[0]:
            part = os.read(child.stdout.fileno(), 4096)
            if not part:
                return ""
            said += part
    word, _, address = said.decode(errors="replace").strip().partition(" ")
    return address if word == "ready" else ""


@contextmanager
def start(
    data: Path,
    *,
    users: Sequence[User] = (),
    orgs: dict[str, tuple[str, ...]] | None = None,
    port: int = 0,
) -> Iterator[Running]:
    """A server for the length of a `with` block; the arguments are those of `launch`."""
    running = launch(data, users=users, orgs=orgs, port=port)
    try:
        yield running
    finally:
        running.stop()


def _end_with_parent() -> None:
    """A server must not outlive the program that started it, however that one ended."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _main() -> None:
    """What the child runs: settings on standard input, `ready ADDRESS` on standard output."""
    from charter.errors import CharterError
    from charter.hub.embedded.server import serve

    given = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        serve(
            Path(given["data"]),
            users=[User(*one) for one in given["users"]],
            orgs={org: tuple(members) for org, members in given["orgs"].items()},
            port=given["port"],
        )
    except CharterError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
