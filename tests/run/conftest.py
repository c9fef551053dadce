"""Whole commands in processes of their own, quickly: forked from one that has imported all."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class Zygote:
    """Forks `charter` processes."""

    def __init__(self) -> None:
        self._ended: dict[int, int] = {}
        command = [sys.executable, str(Path(__file__).parents[1] / "support" / "zygote.py")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the zygote has ended"
        return line.strip()

    def start(self, arguments: list[str], folder: Path, cache: Path) -> int:
        """Start a command; its process id. What it prints is added to `folder/log`."""
        order = {
            "arguments": arguments,
            "environment": {"CHARTER_CACHE": str(cache)},
            "log": str(folder / "log"),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        while len(told := self._line().split()) == 2:
            self._ended[int(told[0])] = int(told[1])
        return int(told[0])

    def end(self, pid: int) -> int:
        """Wait for a command; its exit code, or minus the signal that ended it."""
        while pid not in self._ended:
            named, code = self._line().split()
            self._ended[int(named)] = int(code)
        return self._ended.pop(pid)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    zygote = Zygote()
    yield zygote
    zygote.close()


@pytest.fixture
def charter(zygote: Zygote, tmp_path: Path, own_cache: Path) -> Iterator[Callable[..., int]]:
    """Start `charter` with these arguments, in the test's folder and with its cache."""
    running: list[int] = []

    def start(*arguments: str) -> int:
        pid = zygote.start(list(arguments), tmp_path, own_cache)
        running.append(pid)
        return pid

    yield start
    for pid in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
