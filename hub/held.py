"""What later versions hold to: the split of each prompt, and the rows that were retracted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from charter.errors import Fault, InputError
from charter.hub.data import data_path
from charter.hub.schema import SPLITS
from charter.hub.split_index import Split, Splits, known
from charter.hub.version import list_versions, unverified
from charter.rows import Ledger, Reason

__all__ = [
    "HOLDING",
    "Retracted",
    "published_splits",
    "retracted_in",
    "retracted_rows",
    "with_prompts",
]

HOLDING: Final = ("sft", "preference", "judgments")
"""The configs whose prompts keep their split; of rejects some never became a prompt."""

_ROWS: Final = 1 << 13


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


def published_splits(store: Path, repo: str) -> Splits:
    """Prompt id -> split, over all versions of a repo in a local store; the first one counts.

    Nothing is read but the ids. Checksums are not verified: whoever opens a version does that.

    Raises:
        InputError: a version can't be read.
    """
    held = Splits([], [])
    for tag in list_versions(store, repo):
        version = unverified(store, repo, tag)
        for config in HOLDING:
            for split in SPLITS:
                if split in version.splits(config):
                    held = _with_file(held, version.path / data_path(config, split), split)
    return held


def with_prompts(held: Splits, file: str | BinaryIO, split: Split) -> Splits:
    """Those and the prompts of a version's parquet file that are not among them.

    Raises:
        OSError, ArrowException: the file can't be read.
    """
    with pq.ParquetFile(file) as read:
        return held.with_more(_fresh(held, read), split)


def _fresh(held: Splits, file: pq.ParquetFile) -> Iterator[str]:
    """The prompts of a file that are not held; one again where its rows are apart."""
    for batch in file.iter_batches(_ROWS, columns=["prompt_id"]):
        names = pl.Series(values=batch.column(0), dtype=pl.String).unique(maintain_order=True)
        yield from names.filter(pl.Series(~known(held, names.to_list())))


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


def _with_file(held: Splits, path: Path, split: Split) -> Splits:
    try:
        return with_prompts(held, str(path), split)
    except (OSError, pa.ArrowException) as error:
        missing = isinstance(error, FileNotFoundError)
        what = "the file is missing" if missing else f"cannot be read: {error}"
        fault = Fault(str(path), "", what, "publish or download the version again")
        raise InputError(fault) from error
