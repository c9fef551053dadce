"""`pid.json`: which process serves a data folder, and whether it still does.

A number alone is not enough: after a crash another program may have it. With the time at which
the process was born it names one process only. Only the standard library: both sides use it.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from charter.review.embedded.inside.files import write_private

__all__ = ["PID_FILE", "Serving", "born", "read_pid", "write_pid"]

PID_FILE = "pid.json"
_STARTTIME = 19  # of what follows the name in /proc/PID/stat; field 22 of proc(5)


@dataclass(frozen=True, slots=True)
class Serving:
    """The process of a data folder.

    Attributes:
        pid: its number.
        born: the kernel's word for when it started, see `born`.
        url: where it answers, or will.
        version: of argilla-server; empty until it answers.
        ready: UTC time at which it answered first, ISO 8601; empty until then.
    """

    pid: int
    born: str
    url: str
    version: str = ""
    ready: str = ""

    def alive(self) -> bool:
        """Whether that very process is still there."""
        return bool(self.born) and born(self.pid) == self.born


def born(pid: int) -> str:
    """When a process started, in the kernel's own units; empty where there is none (any more)."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The name, in parentheses, may hold spaces and parentheses of its own.
            fields = stat.read_text("utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return "" if fields[0] in "ZX" else fields[_STARTTIME]
    said = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return said.stdout.strip()


def read_pid(data: Path) -> Serving | None:
    """What `pid.json` says, also of a process that has ended; None where there is none."""
    try:
        return Serving(**json.loads((data / PID_FILE).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_pid(data: Path, url: str, version: str = "", ready: str = "") -> None:
    """Say that this process serves the data folder."""
    here = Serving(os.getpid(), born(os.getpid()), url, version, ready)
    write_private(data / PID_FILE, json.dumps(asdict(here)) + "\n")
