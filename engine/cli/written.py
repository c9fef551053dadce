"""Files that a command was told to write."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from charter.cli.output import Output, json_line
from charter.errors import Fault, InputError

__all__ = ["WrittenFile", "check_file", "write_lines", "write_page", "write_text"]


class WrittenFile(click.Path):
    """The type of an option that names a file which is written when the work is done.

    Whether it can be is looked at while options are read: nobody should wait an hour for a page
    that has no place.

    Args:
        folders: whether folders of its path that are missing will be made.
    """

    def __init__(self, *, folders: bool = False) -> None:
        super().__init__(path_type=Path)
        self._folders = folders

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path.

        Raises:
            InputError: a file can't be written there.
        """
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        check_file(path, param.opts[0] if param is not None else "", folders=self._folders)
        return path


def check_file(path: Path, option: str, *, folders: bool = False) -> None:
    """See that a file can be written, as far as that shows before it is.

    Args:
        path: of the file.
        option: which names it.
        folders: whether folders of its path that are missing will be made.

    Raises:
        InputError: it cannot.
    """
    try:
        found = _no_place(path, folders)
    except OSError as error:
        found = str(error.strerror), "name a file in another folder"
    if found is not None:
        raise InputError(Fault(str(path), option, f"cannot be written: {found[0]}", found[1]))


def _no_place(path: Path, folders: bool) -> tuple[str, str] | None:
    """What is wrong with the place of a file, and what to do."""
    if path.is_dir():
        return "it is a folder", "name a file in it"
    if path.exists() and not path.is_file():  # a device or a pipe is written as it stands
        return None if os.access(path, os.W_OK) else ("it takes nothing", "name another file")
    folder = _place(path).parent
    while folders and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.exists():
        return f"there is no folder {folder}", "make it, or name another file"
    if not folder.is_dir():
        return f"{folder} is no folder", "name a file in a folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} takes no new files", "name a file in another folder"
    return None


def _place(path: Path) -> Path:
    """Where a file lies: a link stays one, and what it points to is written.

    Raises:
        OSError: links lead back to themselves.
    """
    try:
        return path.resolve() if path.is_symlink() else path
    except RuntimeError:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from None


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
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")  # a device or a pipe can't be replaced
        else:
            write_whole(_place(path), text)
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
    lines = [json_line(row) for row in rows]
    if out is None:
        for line in lines:
            click.echo(line)
        return
    write_text(out, "".join(f"{line}\n" for line in lines))
    output.line(f"{len(rows)} {what} in {out}")
