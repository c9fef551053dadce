"""Rows on their way from step to step, on disk: a run needs the memory of a few of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import orjson

from charter.errors import Failure, Fault
from charter.rows import Row

__all__ = ["Spool"]


class Spool:
    """Rows in the order in which they are added; gone with the process.

    Args:
        folder: where the file lies; None is the system's place for temporary files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._place = str(folder or tempfile.gettempdir())
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - `close` ends it

    def add(self, row: Row) -> None:
        """Add a row.

        Raises:
            Failure: the disk is full.
        """
        try:
            self._file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            what = f"rows cannot be written ({error.strerror})"
            fix = "make room there; the same command goes on from here"
            raise Failure(Fault(self._place, "", what, fix)) from None

    def __iter__(self) -> Iterator[Row]:
        """All rows, from the first one."""
        self._file.flush()
        self._file.seek(0)
        for line in self._file:
            yield orjson.loads(line)

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()
