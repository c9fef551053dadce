"""Files that a command was told to write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from charter.cli.output import Output
from charter.errors import Fault, InputError

__all__ = ["write_lines", "write_page", "write_text"]


def write_text(path: Path, text: str, *, folders: bool = False) -> None:
    """Write a file whole.

    Args:
        path: of the file.
        text: what it says.
        folders: whether folders of its path that are missing are made.

    Raises:
        InputError: it cannot be written.
    """
    from charter.run.folder import write_whole

    try:
        if folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        there = "" if folders else "is there and "
        fix = f"name a file in a folder that {there}can be written"
        raise InputError(Fault(str(path), "", what, fix)) from None


def write_page(output: Output, path: Path, text: str, *, folders: bool = False) -> None:
    """Write a page as `write_text` does, and say where it is."""
    write_text(path, text, folders=folders)
    output.line(f"\npage: {path}")


def write_lines(
    output: Output, rows: Sequence[Mapping[str, Any]], out: Path | None, what: str
) -> None:
    """Rows as jsonl: into a file, which is said, or on stdout where none is named."""
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows]
    if out is None:
        for line in lines:
            click.echo(line)
        return
    write_text(out, "".join(f"{line}\n" for line in lines))
    output.line(f"{len(rows)} {what} in {out}")
