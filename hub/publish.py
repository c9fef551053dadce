"""Publish a version as a folder: whole or not at all, and never changed afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from charter import __version__
from charter.errors import Failure, Fault, InputError
from charter.hub.card import card
from charter.hub.columns import Row
from charter.hub.data import DataFile, data_path, same_rows, write_data
from charter.hub.gate import surveyed
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
from charter.hub.stored import StoredRows, stored_rows

__all__ = ["Draft", "Published", "publish_local"]

_PATIENCE: Final = 60.0
_TEMPORARY: Final = ".publishing-"
_STAGED: Final = ".staged-"


@dataclass(frozen=True)
class Draft:
    """A version to be: all that it will hold but its number.

    Attributes:
        repo: `owner/name`.
        rows: config -> rows in the order in which they are published, by
            `charter.hub.schema.CONFIGS`: stored, or in lists where they are few. A config that
            the recipe did not ask for is absent.
        splits: prompt id -> `train` or `test`.
        ledgers: `records`, `prompts`, `pairs_formed`; see `charter.hub.manifest.Ledgers`.
        lineage: the fields of `charter.hub.manifest.Lineage`.
        constitution_yaml: the constitution as run.
        recipe_yaml: the recipe as run.
        version: `auto`, or the tag to publish under.
        orders: `both`, or `single` where each pair was judged in one order alone.
    """

    repo: str
    rows: Mapping[str, StoredRows | Sequence[Row]]
    splits: Mapping[str, str]
    ledgers: Mapping[str, int]
    lineage: Mapping[str, Any]
    constitution_yaml: str
    recipe_yaml: str
    version: str = "auto"
    orders: str = "both"


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
    rows: dict[str, StoredRows]
    data: dict[str, dict[str, DataFile]]
    texts: dict[str, bytes]

    @property
    def files(self) -> dict[str, DataFile]:
        return {
            data_path(config, split): file
            for config, splits in self.data.items()
            for split, file in splits.items()
        }

    @property
    def sums(self) -> dict[str, str]:
        data = {name: file.sha256 for name, file in self.files.items()}
        return data | {name: _sha256(text) for name, text in self.texts.items()}


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


def _publish(draft: Draft, store: Path, folder: Path, staged: Path) -> Published:
    content = _content(draft, published_splits(store, draft.repo), staged)
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


def _content(draft: Draft, kept: Mapping[str, str], staged: Path) -> _Content:
    lineage = lineage_of(draft.lineage)
    rows = stored_rows(draft.rows)
    found = surveyed(rows, draft.splits, draft.ledgers, kept=kept, orders=draft.orders)
    checks = found.passed(draft.repo)
    texts = {
        "constitution.yaml": draft.constitution_yaml.encode(),
        "recipe.yaml": draft.recipe_yaml.encode(),
    }
    return _Content(
        lineage.model_copy(update={"figures": {**lineage.figures, **found.figures}}),
        checks,
        rows,
        write_data(rows, draft.splits, found.layout, staged),
        texts,
    )


def _rows_changed(content: _Content, previous: Version) -> bool:
    """Whether any split has other rows. By value where the bytes differ.

    Another parquet writer gives other bytes for the same rows, which are then not another version.
    """
    old = {name: sha for name, sha in previous.manifest.files.items() if name.endswith(".parquet")}
    new = content.files
    if old.keys() != new.keys():
        return True
    return any(
        sha != new[name].sha256 and not same_rows(previous.path / name, new[name].path)
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
) -> tuple[Manifest, dict[str, Path | bytes]]:
    """The manifest and every file of the version, by its path in it: where it lies, or its bytes.

    In this form a version can go into a folder or into one commit on a Hub.
    """
    counts = {
        config: {
            split: file.rows if (file := content.data.get(config, {}).get(split)) else 0
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
    readme = card(
        manifest, content.rows, content.data, draft.constitution_yaml, draft.recipe_yaml
    ).encode()
    sums = {"README.md": _sha256(readme), **manifest.files}
    manifest = manifest.model_copy(update={"files": sums})
    data = {name: file.path for name, file in content.files.items()}
    texts = {"README.md": readme, **content.texts, MANIFEST: dump_manifest(manifest)}
    return manifest, {**data, **texts}


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
    for path in (*folder.glob(f"{_TEMPORARY}*"), *folder.glob(f"{_STAGED}*")):
        shutil.rmtree(path, ignore_errors=True)


def _place(files: Mapping[str, Path | bytes], target: Path) -> None:
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
