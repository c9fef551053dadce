"""What later versions hold to: the split of each prompt, and the rows that were retracted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from charter.errors import Fault, InputError
from charter.hub.data import data_path
from charter.hub.version import list_versions, unverified
from charter.rows import Ledger, Reason

__all__ = ["Retracted", "published_splits", "retracted_in", "retracted_rows"]


@dataclass(frozen=True, slots=True)
class Retracted:
    """Rows that were taken out of a repo, and stay out.

    Attributes:
        sft: prompt id -> why its row went.
        pairs: pair id -> why it went.
        figure: what the manifest's figures say of it, None where nothing was taken out.
    """

    sft: Mapping[str, str] = field(default_factory=dict)
    pairs: Mapping[str, str] = field(default_factory=dict)
    figure: Any = None

    def __bool__(self) -> bool:
        return bool(self.sft or self.pairs)


def published_splits(store: Path, repo: str) -> dict[str, str]:
    """Prompt id -> split, over all versions of a repo in a local store; the first one counts.

    Nothing is read but the ids. Checksums are not verified: whoever opens a version does that.

    Raises:
        InputError: a version can't be read.
    """
    held: dict[str, str] = {}
    for tag in list_versions(store, repo):
        version = unverified(store, repo, tag)
        for config in ("sft", "preference", "judgments"):
            for split in version.splits(config):
                for prompt_id in _prompt_ids(version.path / data_path(config, split)):
                    held.setdefault(prompt_id, split)
    return held


def retracted_rows(store: Path, repo: str) -> Retracted:
    """What was taken out of the latest release in a local store, or before.

    Raises:
        InputError: the version can't be read.
    """
    releases = [tag for tag in list_versions(store, repo) if tag.final]
    if not releases:
        return Retracted()
    version = unverified(store, repo, releases[-1])
    figure = version.manifest.figures.get("retracted")
    if figure is None or not version.splits("rejects"):
        return Retracted()
    with (version.path / data_path("rejects", "train")).open("rb") as file:
        return retracted_in(file, figure)


def retracted_in(file: BinaryIO, figure: Any) -> Retracted:
    """The same from the parquet file of a version's rejects."""
    columns = ["ledger", "reason", "prompt_id", "pair_id", "detail"]
    rejects = pl.DataFrame(pl.from_arrow(pq.read_table(file, columns=columns)))
    gone = rejects.filter(pl.col("reason") == Reason.RETRACTED.value)
    sft = gone.filter(pl.col("ledger") == Ledger.SFT.value)
    pairs = gone.filter(pl.col("pair_id").is_not_null())
    return Retracted(
        dict(sft.select("prompt_id", "detail").iter_rows()),
        dict(pairs.select("pair_id", "detail").iter_rows()),
        figure,
    )


def _prompt_ids(path: Path) -> list[str]:
    try:
        column = pq.read_table(path, columns=["prompt_id"]).column(0)
    except (OSError, pa.ArrowException) as error:
        missing = isinstance(error, FileNotFoundError)
        what = "the file is missing" if missing else f"cannot be read: {error}"
        fault = Fault(str(path), "", what, "publish or download the version again")
        raise InputError(fault) from error
    found: list[str] = pl.Series(values=column).unique(maintain_order=True).to_list()
    return found
