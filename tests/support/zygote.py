"""A process that has imported everything, and forks a `charter` for each command it is told.

Importing takes seconds, and the crash test starts dozens of runs. A line of JSON on stdin is
`{"arguments": [...], "environment": {...}, "log": path}`; the answer on stdout is the child's
process id. The child is a session of its own and ends as `charter` does; when it has ended, its
id and exit status stand on a line of their own.
"""

from __future__ import annotations

import json
import os
import select
import sys
import traceback
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import charter.cli.run  # noqa: E402
import charter.hub.publish  # noqa: E402
import charter.models.server  # noqa: E402
import charter.run.execute  # noqa: E402
import charter.steps.tasks  # noqa: E402, F401
from charter.cli import main as charter_main  # noqa: E402


def child(order: dict) -> None:
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.update(order["environment"])
    os.chdir(Path(order["log"]).parent)
    charter_main(order["arguments"])


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def reap() -> None:
    """Say which children have ended, and how."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        say(f"{pid} {os.waitstatus_to_exitcode(status)}")


def fork(order: dict) -> None:
    pid = os.fork()
    if pid:
        say(str(pid))
        return
    code = 70
    try:
        child(order)
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - it is shown, and the child ends in any case
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


def main() -> None:
    say("ready")
    waiting = b""
    while True:
        if select.select([0], [], [], 0.01)[0]:
            given = os.read(0, 65536)
            if not given:
                return
            *lines, waiting = (waiting + given).split(b"\n")
            for line in lines:
                fork(json.loads(line))
        reap()


if __name__ == "__main__":
    main()
