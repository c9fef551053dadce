"""The event log of a run: one JSON object a line, for whoever wants to know how it went."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from charter.errors import Failure, Fault

__all__ = ["Journal", "end_a_line"]


class Journal:
    """Appends events to a file; a run that is taken up again goes on in the same one.

    Args:
        path: the file; None writes nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[str] | None = None
        if path is not None:
            end_a_line(path)
            self._file = path.open("a", encoding="utf-8")

    def event(self, name: str, **facts: Any) -> None:
        """Write an event.

        Raises:
            Failure: the disk is full.
        """
        if self._file is None:
            return
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"at": at, "event": name, **facts}, ensure_ascii=False)
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            what = f"cannot be written ({error.strerror})"
            fix = "make room there; the same command goes on from here"
            raise Failure(Fault(str(self._path), "", what, fix)) from None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def end_a_line(path: Path) -> None:
    """End a file's last line, which a run that was killed may have cut short."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
