"""Publish a version as a folder: whole or not at all, and never changed afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from charter.errors import Failure, Fault
from charter.hub.content import (
    Draft,
    Files,
    built,
    check_wanted,
    content_of,
    decided,
)
from charter.hub.follows import check_latest
from charter.hub.held import published_splits
from charter.hub.manifest import MANIFEST, Manifest, check_repo, load_manifest
from charter.hub.number import Tag
from charter.hub.version import Version, list_versions, open_version

__all__ = [
    "Draft",
    "Published",
    "check_room",
    "data_files",
    "place_copy",
    "place_version",
    "publish_local",
]

_PATIENCE: Final = 60.0
_TEMPORARY: Final = ".publishing-"
_STAGED: Final = ".staged-"


@dataclass(frozen=True)
class Published:
    """A version that is published.

    Attributes:
        repo: `owner/name`.
        tag: its tag.
        path: its folder.
        manifest: its manifest.
        new: False when the draft says nothing new and an older version stands for it.
    """

    repo: str
    tag: str
    path: Path
    manifest: Manifest
    new: bool


def publish_local(draft: Draft, store: Path) -> Published:
    """Write a version to `store/OWNER/NAME/TAG`, or find that it is there already.

    The folder appears by one rename with everything in it, on disk and read-only. A publisher
    that is killed leaves a hidden folder, which the next one removes. Publishers of one repo wait
    for each other.

    Args:
        draft: what to publish.
        store: the folder of all local versions; made if need be.

    Raises:
        InputError: the repo's name or the wanted tag can't be used.
        Failure: a check failed, the tag is taken, or the folder can't be written.
    """
    folder = store / check_repo(draft.repo)
    check_wanted(draft.version)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder, draft.repo):
            _clean(folder)
            with tempfile.TemporaryDirectory(prefix=_STAGED, dir=folder) as staged:
                return _publish(draft, store, folder, Path(staged))
    except OSError as error:
        raise Failure(
            Fault(
                str(folder),
                "",
                f"the version cannot be written: {error.strerror or error}",
                "make room or permission and run it again; nothing was published",
            )
        ) from error


def place_version(files: Files, repo: str, tag: str, store: Path) -> Path:
    """Put the files of a version that was published elsewhere into a local store; its folder.

    Data files are moved, so they must lie on the store's disk. What is there already stays.

    Raises:
        Failure: another version of that number is there.
        OSError: they can't be written.
    """
    folder = store / check_repo(repo)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, repo):
        if not (folder / tag).is_dir():
            _place(files, folder / tag)
            return folder / tag
    manifest = files[MANIFEST]
    raw = manifest.read_bytes() if isinstance(manifest, Path) else manifest
    check_room(Manifest.model_validate_json(raw), store)
    return folder / tag


def place_copy(version: Version, repo: str, store: Path) -> Path:
    """Copy a version that was downloaded into a local store; its folder there.

    Raises:
        Failure: another version of that number is there.
        OSError: it can't be written.
    """
    folder = store / check_repo(repo)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_STAGED, dir=folder) as staged:
        files: Files = {}
        for name in [*version.manifest.files, MANIFEST]:
            target = Path(staged) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(version.path / name, target)
            files[name] = target
        return place_version(files, repo, version.tag, store)


def check_room(manifest: Manifest, store: Path) -> None:
    """See that a local store has no other rows under the number of a version.

    Raises:
        Failure: it has, so that its folder would not be that version's.
    """
    folder = store / manifest.repo / manifest.tag
    if not (folder / MANIFEST).is_file():
        return
    if data_files(manifest) != data_files(load_manifest(folder / MANIFEST)):
        what = f"the store has another {manifest.tag} of {manifest.repo}, with other rows"
        fix = "move that folder away, or name another place with --out or --store"
        raise Failure(Fault(str(folder), "", what, fix))


def data_files(manifest: Manifest) -> dict[str, str]:
    """The checksums of the files with rows, by name."""
    return {name: sha for name, sha in manifest.files.items() if name.endswith(".parquet")}


def _publish(draft: Draft, store: Path, folder: Path, staged: Path) -> Published:
    tags = list_versions(store, draft.repo)
    check_latest(draft.repo, draft.follows, tags)
    content = content_of(draft, published_splits(store, draft.repo), staged, store / ".clean")

    def opened(tag: Tag) -> Version:
        return open_version(f"{draft.repo}@{tag}", store=store)

    tag, there, new = decided(draft.repo, draft.version, content, tags, opened)
    if not new:
        assert there is not None
        return Published(there.repo, there.tag, there.path, there.manifest, new=False)
    manifest, files = built(draft, content, tag, there.manifest if there else None)
    _place(files, folder / tag)
    return Published(draft.repo, tag, folder / tag, manifest, new=True)


@contextlib.contextmanager
def _locked(folder: Path, repo: str) -> Iterator[None]:
    """Hold the repo's lock, which the kernel takes back from a publisher that dies."""
    with (folder / ".lock").open("a") as handle:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    what = f"another process has been publishing for {_PATIENCE:.0f} s"
                    fault = Fault(repo, "", what, "wait for it or end it, and run this again")
                    raise Failure(fault) from None
                time.sleep(0.02)
        yield


def _clean(folder: Path) -> None:
    """Remove what killed publishers left; the lock says that none is alive."""
    for path in (*folder.glob(f"{_TEMPORARY}*"), *folder.glob(f"{_STAGED}*")):
        shutil.rmtree(path, ignore_errors=True)


def _place(files: Files, target: Path) -> None:
    """Move or write all files into a folder beside `target` and rename that to it."""
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=target.parent))
    try:
        for name, data in files.items():
            path = temporary / name
            path.parent.mkdir(exist_ok=True)
            if isinstance(data, Path):
                data.rename(path)  # on the same disk, and synchronised when it was written
            else:
                _write(data, path)
            path.chmod(0o444)
        temporary.chmod(0o755)  # mkdtemp makes it private
        for each in {temporary, *(temporary / name for name in files)}:
            _sync_folder(each if each.is_dir() else each.parent)
        _rename(temporary, target)
        _sync_folder(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(data: bytes, path: Path) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _rename(temporary: Path, target: Path) -> None:
    """The moment of publication. Where locks don't work (some network disks), it is the judge."""
    try:
        temporary.rename(target)
    except OSError as error:
        if not target.exists():
            raise
        what = f"{target.name} was published by another process in the meantime"
        fix = "run it again: it takes the next free tag, unless a version was asked for"
        raise Failure(Fault(str(target), "version", what, fix)) from error


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
