"""Publish a version as a folder: whole or not at all, and never changed afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from charter import __version__
from charter.errors import Failure, Fault, InputError
from charter.hub.card import DataSize, card
from charter.hub.data import data_path, parquet_bytes, tables
from charter.hub.figures import figures
from charter.hub.gate import gate
from charter.hub.held import published_splits
from charter.hub.load import Version, list_versions, open_version
from charter.hub.manifest import (
    MANIFEST,
    CheckResult,
    Ledgers,
    Lineage,
    Manifest,
    check_repo,
    dump_manifest,
    facts,
    lineage_of,
    now,
)
from charter.hub.number import Tag, bump, change, next_tag, parse_tag
from charter.hub.schema import CONFIGS, SCHEMA_VERSION, SPLITS

__all__ = ["Draft", "Published", "publish_local"]

_PATIENCE: Final = 60.0
_TEMPORARY: Final = ".publishing-"


@dataclass(frozen=True)
class Draft:
    """A version to be: all that it will hold but its number.

    Attributes:
        repo: `owner/name`.
        rows: config -> rows in the order in which they are published, by
            `charter.hub.schema.CONFIGS`. A config that the recipe did not ask for is absent.
        splits: prompt id -> `train` or `test`.
        ledgers: `records`, `prompts`, `pairs_formed`; see `charter.hub.manifest.Ledgers`.
        lineage: the fields of `charter.hub.manifest.Lineage`.
        constitution_yaml: the constitution as run.
        recipe_yaml: the recipe as run.
        version: `auto`, or the tag to publish under.
    """

    repo: str
    rows: dict[str, list[dict[str, Any]]]
    splits: Mapping[str, str]
    ledgers: Mapping[str, int]
    lineage: Mapping[str, Any]
    constitution_yaml: str
    recipe_yaml: str
    version: str = "auto"


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


@dataclass(frozen=True)
class _Content:
    """What a version holds apart from its number, card and manifest."""

    lineage: Lineage
    checks: list[CheckResult]
    tables: dict[str, dict[str, pa.Table]]
    files: dict[str, bytes]

    @property
    def sums(self) -> dict[str, str]:
        return {name: _sha256(data) for name, data in self.files.items()}


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
    if draft.version != "auto":
        parse_tag(draft.version)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder, draft.repo):
            _clean(folder)
            return _publish(draft, store, folder)
    except OSError as error:
        raise Failure(
            Fault(
                str(folder),
                "",
                f"the version cannot be written: {error.strerror or error}",
                "make room or permission and run it again; nothing was published",
            )
        ) from error


def _publish(draft: Draft, store: Path, folder: Path) -> Published:
    content = _content(draft, published_splits(store, draft.repo))
    tags = list_versions(store, draft.repo)
    releases = [tag for tag in tags if tag.final]
    latest = _open(draft.repo, releases[-1], store) if releases else None
    wanted = None if draft.version == "auto" else parse_tag(draft.version)
    if wanted is None:
        tag = _automatic(content, latest)
        if tag is None:
            assert latest is not None
            return _existing(latest)
    elif wanted in tags:
        there = _open(draft.repo, wanted, store)
        if _changed(content, there) is None:
            return _existing(there)
        raise _taken(draft.repo, wanted, content, latest)
    elif releases and wanted < releases[-1]:
        what = f"{wanted} comes before {releases[-1]}, the latest version"
        fix = f"use {_free(content, latest)} or a higher tag"
        raise InputError(Fault(draft.repo, "version", what, fix))
    else:
        tag = str(wanted)
    manifest, files = _built(draft, content, tag, latest.tag if latest else None)
    _place(files, folder / tag)
    return Published(draft.repo, tag, folder / tag, manifest, new=True)


def _open(repo: str, tag: Tag, store: Path) -> Version:
    return open_version(f"{repo}@{tag}", store=store)


def _existing(version: Version) -> Published:
    return Published(version.repo, version.tag, version.path, version.manifest, new=False)


def _content(draft: Draft, kept: Mapping[str, str]) -> _Content:
    lineage = lineage_of(draft.lineage)
    checks = gate(draft.repo, draft.rows, draft.splits, draft.ledgers, kept=kept)
    found = tables(draft.rows, draft.splits)
    files = {
        data_path(config, split): parquet_bytes(table)
        for config, splits in found.items()
        for split, table in splits.items()
    }
    files["constitution.yaml"] = draft.constitution_yaml.encode()
    files["recipe.yaml"] = draft.recipe_yaml.encode()
    counted = {**lineage.figures, **figures(draft.rows)}
    return _Content(lineage.model_copy(update={"figures": counted}), checks, found, files)


def _rows_changed(content: _Content, previous: Version) -> bool:
    """Whether any split has other rows. By value where the bytes differ.

    Another parquet writer gives other bytes for the same rows, which are then not another version.
    """
    old = {name: sha for name, sha in previous.manifest.files.items() if name.endswith(".parquet")}
    new = {
        data_path(config, split): table
        for config, splits in content.tables.items()
        for split, table in splits.items()
    }
    if old.keys() != new.keys():
        return True
    return any(
        sha != content.sums[name] and not pq.read_table(previous.path / name).equals(new[name])
        for name, sha in old.items()
    )


def _changed(content: _Content, previous: Version) -> str | None:
    return change(
        previous.manifest.facts(),
        facts(content.lineage, content.sums),
        rows_changed=_rows_changed(content, previous),
    )


def _automatic(content: _Content, latest: Version | None) -> str | None:
    return next_tag(
        latest.manifest if latest else None,
        facts(content.lineage, content.sums),
        rows_changed=latest is None or _rows_changed(content, latest),
    )


def _free(content: _Content, latest: Version | None) -> str:
    tag = _automatic(content, latest)
    if tag is None:
        assert latest is not None
        return str(bump(parse_tag(latest.tag), "patch"))
    return tag


def _taken(repo: str, tag: Tag, content: _Content, latest: Version | None) -> Failure:
    what = f"{tag} is published with other content, and a version never changes"
    return Failure(Fault(repo, "version", what, f"use {_free(content, latest)}, or auto"))


def _built(
    draft: Draft, content: _Content, tag: str, parent: str | None
) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and every file of the version, by its path in it.

    In this form a version can go into a folder or into one commit on a Hub.
    """
    counts = {
        config: {
            split: table.num_rows if (table := content.tables.get(config, {}).get(split)) else 0
            for split in SPLITS
        }
        for config in CONFIGS
    }
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        charter=__version__,
        repo=draft.repo,
        tag=tag,
        parent=parent,
        created=now(),
        **{name: getattr(content.lineage, name) for name in Lineage.model_fields},
        counts=counts,
        ledgers=Ledgers(**draft.ledgers),
        checks=content.checks,
        files=content.sums,
    )
    sizes = {
        config: {
            split: DataSize(
                table.num_rows, table.nbytes, len(content.files[data_path(config, split)])
            )
            for split, table in splits.items()
        }
        for config, splits in content.tables.items()
    }
    readme = card(manifest, draft.rows, sizes, draft.constitution_yaml, draft.recipe_yaml).encode()
    files = {"README.md": readme, **content.files}
    sums = {"README.md": _sha256(readme), **manifest.files}
    manifest = manifest.model_copy(update={"files": sums})
    return manifest, {**files, MANIFEST: dump_manifest(manifest)}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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
    for path in folder.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(path, ignore_errors=True)


def _place(files: Mapping[str, bytes], target: Path) -> None:
    """Write all files beside `target` and rename the folder to it."""
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=target.parent))
    try:
        for name, data in files.items():
            path = temporary / name
            path.parent.mkdir(exist_ok=True)
            with path.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            path.chmod(0o444)
        temporary.chmod(0o755)  # mkdtemp makes it private
        for each in {temporary, *(temporary / name for name in files)}:
            _sync_folder(each if each.is_dir() else each.parent)
        _rename(temporary, target)
        _sync_folder(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
