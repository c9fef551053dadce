"""Open a published version, pinned: by its folder, its tag, or a range of tags."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from charter.errors import Fault, InputError, nearest
from charter.hub.data import data_path
from charter.hub.manifest import MANIFEST, Manifest, check_repo, load_manifest
from charter.hub.number import Tag, best_match, is_tag, parse_tag
from charter.hub.schema import CONFIGS, SCHEMA_VERSION, SPLITS

if TYPE_CHECKING:
    import datasets
    import polars as pl

__all__ = ["Found", "Version", "list_versions", "open_unchecked", "open_version", "unverified"]

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """One row with what stands behind it.

    Attributes:
        config: where the row stands.
        split: of the row.
        row: its columns.
        judgments: the votes on the pair, empty for an `sft` row.
    """

    config: str
    split: str
    row: dict[str, Any]
    judgments: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Version:
    """A published version whose files are as they were published.

    Attributes:
        path: its folder.
        manifest: its `charter.json`.
        commit: of a Hub, where it was read from one; else None.
    """

    path: Path
    manifest: Manifest
    commit: str | None = None

    @property
    def repo(self) -> str:
        """`owner/name`."""
        return self.manifest.repo

    @property
    def tag(self) -> str:
        """`vMAJOR.MINOR.PATCH`, or a candidate of it."""
        return self.manifest.tag

    def configs(self) -> tuple[str, ...]:
        """The configs that have rows."""
        return tuple(config for config in CONFIGS if self.splits(config))

    def splits(self, config: str) -> tuple[str, ...]:
        """The splits of a config that have rows; none where the config has none.

        Raises:
            InputError: there is no config of that name.
        """
        counts = self.manifest.counts.get(self._known(config), {})
        return tuple(split for split in SPLITS if counts.get(split))

    def rows(self, config: str, split: str | None = None) -> pl.DataFrame:
        """The rows of one split, or of `train` and then `test`; empty where there are none.

        Raises:
            InputError: there is no config or split of that name.
        """
        import polars as pl

        frames = [pl.read_parquet(file) for _, file in self._files(config, split)]
        if not frames:
            empty = pl.from_arrow(CONFIGS[config].empty_table())
            assert isinstance(empty, pl.DataFrame)
            return empty
        return pl.concat(frames)

    def dataset(self, config: str, split: str) -> datasets.Dataset:
        """The rows of one split for a trainer, memory-mapped; empty where there are none.

        The cache of `datasets` knows a file by its path and time. Here its place holds the
        file's checksum too, so a version written anew in the same place is never another's rows.

        Raises:
            InputError: there is no config or split of that name.
        """
        import datasets

        schema = CONFIGS[self._known(config)]
        files = list(self._files(config, split))
        if not files:
            return datasets.Dataset(schema.empty_table())
        name, file = files[0]
        if self.manifest.schema_version < SCHEMA_VERSION:
            from pyarrow.parquet import read_schema

            schema = read_schema(file)  # an older version has fewer columns
        features = datasets.Features.from_arrow_schema(schema)
        cache = Path(datasets.config.HF_DATASETS_CACHE) / "charter" / self.manifest.files[name][:32]
        return datasets.Dataset.from_parquet(
            str(file), split=split, features=features, cache_dir=str(cache)
        )

    def find(self, row_id: str) -> Found:
        """One row by its id: of `sft`, of `preference`, or of a rejected pair.

        Raises:
            InputError: there is no such row.
        """
        import polars as pl

        known: list[str] = []
        for config, key in (("preference", "id"), ("sft", "id"), ("rejects", "pair_id")):
            for split in self.splits(config):
                rows = self.rows(config, split)
                hits = rows.filter(pl.col(key) == row_id)
                if hits.height:
                    return Found(config, split, hits.to_dicts()[0], self._votes(row_id))
                known += rows[key].drop_nulls().to_list()
        hint = nearest(row_id, known)
        fix = hint if hint.startswith("did you") else "list the ids with rows(config)"
        raise InputError(Fault(str(self.path), "", f'no row "{row_id}"', fix))

    def _votes(self, pair_id: str) -> list[dict[str, Any]]:
        import polars as pl

        votes = self.rows("judgments").filter(pl.col("comparison_id") == pair_id)
        return votes.to_dicts()

    def _known(self, config: str) -> str:
        if config not in CONFIGS:
            raise InputError(
                Fault(
                    f"{self.repo}@{self.tag}", "", f'no config "{config}"', nearest(config, CONFIGS)
                )
            )
        return config

    def _files(self, config: str, split: str | None) -> Iterator[tuple[str, Path]]:
        if split is not None and split not in SPLITS:
            raise InputError(
                Fault(
                    f"{self.repo}@{self.tag}", config, f'no split "{split}"', nearest(split, SPLITS)
                )
            )
        for each in self.splits(config):
            if split in (None, each):
                name = data_path(config, each)
                yield name, self.path / name


def list_versions(store: Path, repo: str) -> list[Tag]:
    """The tags of a repo in a local store, oldest first; empty where there is none.

    Raises:
        InputError: `repo` is not `owner/name`.
    """
    folder = store / check_repo(repo)
    if not folder.is_dir():
        return []
    return sorted(
        parse_tag(path.name)
        for path in folder.iterdir()
        if is_tag(path.name) and (path / MANIFEST).is_file()
    )


def open_version(where: str | Path, *, store: Path | None = None) -> Version:
    """Open a version and see that nothing of it has changed since it was published.

    Args:
        where: the folder of a version, or `owner/name@TAG`, or `owner/name@RANGE` such as
            `owner/name@>=0.1,<1`. A range never matches a candidate.
        store: the local store in which names are looked up.

    Raises:
        InputError: there is no such version, its manifest can't be read, or a file is missing
            or was changed.
    """
    return _verified(open_unchecked(where, store=store))


def open_unchecked(where: str | Path, *, store: Path | None = None) -> Version:
    """A version as `open_version` finds it, but with its files not looked at.

    Raises:
        InputError: there is no such version, or its manifest can't be read.
    """
    if isinstance(where, Path) or Path(where).is_dir():
        folder = Path(where)
        return Version(folder, load_manifest(folder / MANIFEST))
    repo, at, wanted = where.partition("@")
    if not at or "/" not in repo:
        # More likely a mistyped folder than a name, unless it looks just like one.
        raise InputError(
            Fault(where, "", "is neither a folder nor a version", "write owner/name@v0.1.0")
        )
    if store is None:
        raise InputError(
            Fault(where, "", "there is no store to look it up in", "give the folder of the version")
        )
    return unverified(store, repo, _resolved(store, repo, wanted))


def unverified(store: Path, repo: str, tag: Tag) -> Version:
    """A version whose files were not looked at: for a caller that reads little of them.

    Raises:
        InputError: its manifest can't be read, or is another version's.
    """
    folder = store / repo / str(tag)
    manifest = load_manifest(folder / MANIFEST)
    if (manifest.repo, manifest.tag) != (repo, str(tag)):
        raise InputError(
            Fault(
                str(folder),
                "",
                f"it says that it is {manifest.repo}@{manifest.tag}",
                "put the folder back in its own place",
            )
        )
    return Version(folder, manifest)


def _resolved(store: Path, repo: str, wanted: str) -> Tag:
    tags = list_versions(store, repo)
    bare = wanted if wanted.startswith("v") else f"v{wanted}"
    tag = parse_tag(bare) if is_tag(bare) else best_match(tags, wanted)
    if tag is not None and tag in tags:
        return tag
    there = ", ".join(map(str, tags))
    raise InputError(
        Fault(
            f"{repo}@{wanted}",
            "",
            f"no such version in {store}",
            f"use one of: {there}" if there else f"nothing of {repo} is published there yet",
        )
    )


def _verified(version: Version) -> Version:
    folder, manifest = version.path, version.manifest
    faults = [
        fault
        for name, sha256 in manifest.files.items()
        if (fault := _file_fault(folder / name, sha256))
    ]
    listed = {
        data_path(config, split)
        for config, splits in manifest.counts.items()
        for split, n in splits.items()
        if n
    }
    faults += [
        Fault(str(folder / MANIFEST), "counts", f"rows in {name}, which is not in `files`", _AGAIN)
        for name in sorted(listed - manifest.files.keys())
    ]
    if manifest.changed:
        what = "the file was changed after publication"
        faults.append(Fault(str(folder / MANIFEST), "", what, _AGAIN))
    if faults:
        raise InputError(faults)
    return version


_AGAIN: Final = "publish or download the version again"


def _file_fault(path: Path, sha256: str) -> Fault | None:
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                found.update(block)
    except FileNotFoundError:
        return Fault(str(path), "", "the file is missing", _AGAIN)
    except OSError as error:
        return Fault(str(path), "", f"cannot be read: {error.strerror}", _AGAIN)
    if found.hexdigest() != sha256:
        return Fault(str(path), "", "the file was changed after publication", _AGAIN)
    return None
