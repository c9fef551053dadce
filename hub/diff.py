"""What changed between two versions: rows by kind, what they are of, and what they came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from charter.hub.data import data_path
from charter.hub.diff_made import Made, compare_made
from charter.hub.diff_rows import KINDS, Compared, compare, picked, read_rows, values
from charter.hub.schema import CONFIGS, TRAINED
from charter.hub.version import Version

__all__ = ["MOVED", "Diff", "Sample", "diff_versions"]

MOVED: Final = 0.05
"""By how much p_chosen must have changed for a pair to count as relabelled."""

_SHOWN: Final = tuple(kind for kind in KINDS if kind != "relabelled")


@dataclass(frozen=True, slots=True)
class Sample:
    """A changed row as it was and as it is.

    Attributes:
        config: of the row.
        kind: what happened to it, among others perhaps.
        id: of the row.
        before: its columns and its `split`, None where it was added.
        after: the same in the later version, None where it was removed.
    """

    config: str
    kind: str
    id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed from one version to another.

    Attributes:
        one: the earlier version, as it was named first.
        other: the later one.
        moved: see `MOVED`.
        counts: config -> rows in both, the earlier first; over both splits.
        rows: `sft` and `preference` -> what happened to their rows.
        by: config -> group -> value -> kind -> rows; see `charter.hub.diff_rows.values`.
        rejects: reason -> rejects in both, where their numbers differ.
        samples: a few rows of each kind, whole.
        made: what else changed.
        notes: what could not be compared, and why.
    """

    one: Version
    other: Version
    moved: float
    counts: dict[str, tuple[int, int]]
    rows: dict[str, Compared]
    by: dict[str, dict[str, dict[str, Any]]]
    rejects: dict[str, tuple[int, int]]
    samples: list[Sample]
    made: Made
    notes: list[str]

    @property
    def split_moved(self) -> int:
        """Rows in another split than before, which must not happen."""
        return sum(each.counts["split_moved"] for each in self.rows.values())

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        retracted = [each.manifest.figures.get("retracted") for each in (self.one, self.other)]
        return {
            "from": _named(self.one),
            "to": _named(self.other),
            "moved": self.moved,
            **{config: dict(each.counts) for config, each in self.rows.items()},
            "columns": {config: dict(each.columns) for config, each in self.rows.items()},
            "by": self.by,
            "counts": {config: list(n) for config, n in self.counts.items()},
            "rejects": {reason: list(n) for reason, n in self.rejects.items()},
            # Later versions say it again.
            "retracted": retracted[1] if retracted[1] != retracted[0] else None,
            "made": self.made.as_json(),
            "samples": [
                {name: getattr(each, name) for name in ("config", "kind", "id", "before", "after")}
                for each in self.samples
            ],
            "notes": self.notes,
        }


def _named(version: Version) -> str:
    return f"{version.repo}@{version.tag}"


def diff_versions(
    one: Version, other: Version, *, moved: float = MOVED, sample: int = 3, seed: int = 0
) -> Diff:
    """Compare two versions row by row.

    Rows meet by their ids. Both are scanned lazily and held as hashes, some 350 bytes a row while
    they are joined, however long the texts; only the rows of the sample are read whole.

    Args:
        one: the earlier version.
        other: the later one.
        moved: a pair whose p_chosen changed by more than this is relabelled.
        sample: how many rows of each kind and config to read.
        seed: of the sample.

    Raises:
        Failure: an id names two rows of one version.
    """
    rows = {config: compare(one, other, config, moved) for config in TRAINED}
    samples = [
        each for found in rows.values() for each in _samples(one, other, found, sample, seed)
    ]
    made = compare_made(one, other)
    return Diff(
        one,
        other,
        moved,
        {
            config: (_rows(one, config), _rows(other, config))
            for config in CONFIGS
            if any(config in version.manifest.counts for version in (one, other))
        },
        rows,
        {config: values(one, other, found) for config, found in rows.items()},
        _rejects(one, other),
        samples,
        made,
        [*_notes(one, other, rows), *made.notes],
    )


def _rows(version: Version, config: str) -> int:
    return sum(version.manifest.counts.get(config, {}).values())


def _samples(one: Version, other: Version, found: Compared, n: int, seed: int) -> list[Sample]:
    chosen = {kind: picked(found, kind, n, seed) for kind in _SHOWN}
    ids = list(dict.fromkeys(row_id for some in chosen.values() for row_id in some))
    before, after = (read_rows(version, found.config, ids) for version in (one, other))
    return [
        Sample(found.config, kind, row_id, before.get(row_id), after.get(row_id))
        for kind, some in chosen.items()
        for row_id in some
    ]


def _rejects(one: Version, other: Version) -> dict[str, tuple[int, int]]:
    before, after = (_reasons(version) for version in (one, other))
    return {
        reason: (before.get(reason, 0), after.get(reason, 0))
        for reason in sorted(before.keys() | after.keys())
        if before.get(reason, 0) != after.get(reason, 0)
    }


def _reasons(version: Version) -> dict[str, int]:
    files = [version.path / data_path("rejects", split) for split in version.splits("rejects")]
    if not files:
        return {}
    counted = pl.scan_parquet(files).group_by("reason").len().collect(engine="streaming")
    return dict(counted.iter_rows())


def _notes(one: Version, other: Version, rows: dict[str, Compared]) -> list[str]:
    notes = [
        f"{config}: not compared, because only one version has them: {', '.join(each.uncompared)}"
        for config, each in rows.items()
        if each.uncompared
    ]
    before, after = one.manifest.schema_version, other.manifest.schema_version
    if before != after:
        notes.insert(0, f"schema {before} and {after}: the columns that both have were compared")
    if one.repo != other.repo:
        notes.append(f"{one.repo} and {other.repo} are two repos; rows meet where ids are equal")
    return notes
