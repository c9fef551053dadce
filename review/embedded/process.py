"""The process of a data folder: who may start it, whether it runs, and its end."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

from charter.errors import Failure, Fault, InputError
from charter.review.embedded.inside.pidfile import PID_FILE, Serving, read_pid

__all__ = ["claim", "find_process", "stop_process"]

_LOCK = "server.lock"
_PATIENCE = 30.0  # seconds from SIGTERM to SIGKILL; the server gives itself ten
_LOOK = 0.05


def find_process(data: Path) -> Serving | None:
    """The process that serves a data folder, also one that is still starting; None: nobody does.

    A `pid.json` that a crash left behind is told by the time at which the process was born.
    """
    found = read_pid(data)
    return found if found is not None and found.alive() else None


def claim(data: Path) -> int:
    """Become the only server of a data folder.

    Returns:
        A file descriptor that holds the claim as long as it is open, in this process or in one
        that inherits it; the kernel drops it when they end, however they do.

    Raises:
        InputError: it is served already.
    """
    descriptor = os.open(data / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        there = find_process(data)
        where = f" at {there.url} (process {there.pid})" if there else ""
        fix = "use that one, or end it: charter review stop"
        raise InputError(Fault(str(data), "", f"it already runs{where}", fix)) from None
    return descriptor


def stop_process(data: Path) -> Serving | None:
    """End the server of a data folder, and wait until it has ended.

    Returns:
        What ran; None where nothing did.

    Raises:
        Failure: it belongs to somebody else.
    """
    there = find_process(data)
    if there is None:
        return None
    if not _ended(there, signal.SIGTERM, _PATIENCE) and not _ended(there, signal.SIGKILL, 5.0):
        what, fix = f"process {there.pid} does not end", f"see {data / 'server.log'}"
        raise Failure(Fault(str(data / PID_FILE), "", what, fix))
    return there


def _ended(there: Serving, number: int, patience: float) -> bool:
    try:
        os.kill(there.pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        what, fix = f"process {there.pid} is somebody else's", "have them end it"
        raise Failure(Fault("charter review stop", "", what, fix)) from None
    until = time.monotonic() + patience
    while there.alive():
        if time.monotonic() > until:
            return False
        time.sleep(_LOOK)
    return True
