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


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def move_in(temporary: Path, target: Path) -> None:
    """Give a finished file its name. It must be on the same file system, and synced.

    Args:
        temporary: the file, already synced.
        target: its place; what is there is replaced in one step.
    """
    _make_folder(target.parent)
    temporary.replace(target)
    sync_folder(target.parent)


def write_whole(target: Path, content: bytes, scratch: Path, *, mode: int = 0o644) -> None:
    """Write a small file: whole, or as it was before.

    Args:
        target: the file.
        content: what it shall hold.
        scratch: a folder on the same file system for the file in the making.
        mode: the file's rights, from the first byte on.
    """
    temporary = scratch / f"write-{secrets.token_hex(12)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        move_in(temporary, target)
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
