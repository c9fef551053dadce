"""The folder of a run: its state, its log, the calls it used and its report."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from charter.errors import Failure, Fault, Interrupted
from charter.recipes import Loaded, PromptSet
from charter.rows import digest

__all__ = ["RunFolder", "locked", "write_whole"]

SCHEMA_VERSION = 1


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)  # a part of a text takes room on a full disk
        raise


def locked(folder: Path, doing: str) -> TextIO:
    """Make a folder this process's own until what is returned is closed.

    Args:
        folder: made where it is not there.
        doing: what a process does that works in it.

    Raises:
        Failure: it cannot be written, or another process works in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w", encoding="utf-8")
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        fix = "name another folder with --out"
        raise Failure(Fault(str(folder), "", what, fix)) from None
    try:
        # The system lets go of it when a process dies, however it dies.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        what = f"another process is {doing} here"
        fix = "wait for it, or name another folder with --out"
        raise Failure(Fault(str(folder), "", what, fix)) from None
    return lock


class RunFolder:
    """One execution of a recipe on a set of prompts, found again by what it works on.

    The name ends in a digest of recipe and prompts: the same command finds the same folder and
    goes on; a changed recipe gets another one. One process at a time may work in it. An OSError
    that ends the work in it is told as a Failure.
    """

    def __init__(self, root: Path, loaded: Loaded, prompts: PromptSet) -> None:
        self.fingerprint = loaded.fingerprint()
        self.prompts = prompts.fingerprint()
        self.id = f"{loaded.recipe.name}-{digest(self.fingerprint, self.prompts)[:12]}"
        self.path = root / self.id
        self._state: dict[str, Any] = {}
        self._lock: TextIO

    def __enter__(self) -> RunFolder:
        self._lock = locked(self.path, "running this recipe")
        self._state = {
            "schema_version": SCHEMA_VERSION,
            "run": self.id,
            "recipe": self.fingerprint,
            "prompts": self.prompts,
            "started": _now(),
        }
        try:
            self.set_state("running")
        except OSError as error:
            self._lock.close()
            raise self._unwritable(error) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            status = "interrupted" if isinstance(error, Interrupted) else "failed"
            with suppress(OSError):  # a full disk ended the run: that is told, not this
                self.log(f"{status}: {error or kind}")
                self.set_state(status)
        self._lock.close()
        # Whoever read our output and is gone is no fault of the disk.
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> Failure:
        what = f"cannot be written ({error.strerror or error})"
        fix = "make room or permission there; the same command goes on from here"
        return Failure(Fault(str(self.path), "", what, fix))

    def set_state(self, status: str, **facts: Any) -> None:
        """Write where the run is."""
        self._state |= {"status": status, "changed": _now(), **facts}
        write_whole(self.path / "state.json", json.dumps(self._state, indent=2) + "\n")

    def log(self, line: str) -> None:
        """Add a line to the log."""
        with (self.path / "run.log").open("a", encoding="utf-8") as file:
            file.write(f"{_now()} {line}\n")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
