"""Files that are whole or absent, and stay after the power goes."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["locked", "move_in", "sync_file", "sync_folder", "write_whole"]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last: a rename alone may be lost."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file's content last."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path, within: Path) -> None:
    """Make a folder below one that must be there: a repo that was deleted stays deleted."""
    if folder == within or folder.is_dir():
        return
    _make_folder(folder.parent, within)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def move_in(temporary: Path, target: Path, within: Path) -> None:
    """Give a finished file its name. It must be on the same file system, and synced.

    Args:
        temporary: the file, already synced.
        target: its place; what is there is replaced in one step.
        within: the folder below which folders are made where they are missing.

    Raises:
        FileNotFoundError: `within` is not there.
    """
    _make_folder(target.parent, within)
    temporary.replace(target)
    sync_folder(target.parent)


def write_whole(
    target: Path,
    content: bytes,
    scratch: Path,
    *,
    within: Path | None = None,
    mode: int = 0o644,
) -> None:
    """Write a small file: whole, or as it was before.

    Args:
        target: the file.
        content: what it shall hold.
        scratch: a folder on the same file system for the file in the making.
        within: as `move_in` takes it; the file's own folder where not given.
        mode: the file's rights, from the first byte on.
    """
    temporary = scratch / f"write-{secrets.token_hex(12)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        move_in(temporary, target, target.parent if within is None else within)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that other threads and other servers on the same store respect.

    The kernel drops it when its holder dies, so a killed server blocks nobody.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
