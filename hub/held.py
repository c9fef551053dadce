"""What later versions hold to: the split of each prompt, and the rows that were retracted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from charter.errors import Fault, InputError
from charter.hub.data import data_path
from charter.hub.retracted_names import Named, named_in, telling
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
_REJECTS: Final = ["ledger", "reason", "prompt_id", "pair_id", "detail"]


@dataclass(frozen=True, slots=True)
class Retracted:
    """Rows that were taken out of a repo, and stay out.

    Attributes:
        sft: prompt id -> why its row went.
        pairs: pair id -> why it went.
        figure: what the manifest's figures say of it, None where nothing was taken out.
        named: the names that were given, as the figure has them.
    """

    sft: Mapping[str, str] = field(default_factory=dict)
    pairs: Mapping[str, str] = field(default_factory=dict)
    figure: Any = None
    named: Named = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "named", named_in(self.figure))

    def __bool__(self) -> bool:
        return bool(self.sft or self.pairs or self.figure)


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
                    with _data_file(version.path / data_path(config, split)) as file:
                        held = with_prompts(held, file, split)
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
        InputError: a version can't be read.
    """
    releases = [tag for tag in list_versions(store, repo) if tag.final]
    if not releases:
        return Retracted()
    figure = unverified(store, repo, releases[-1]).manifest.figures.get("retracted")
    if figure is None:
        return Retracted()
    versions = (unverified(store, repo, tag) for tag in telling(figure, releases))
    # A split without rows has no file.
    paths = (
        version.path / data_path("rejects", split)
        for version in versions
        for split in version.splits("rejects")
    )
    return retracted_in(map(_data_file, paths), figure)


def retracted_in(files: Iterable[AbstractContextManager[BinaryIO]], figure: Any) -> Retracted:
    """The same from the parquet files of versions' rejects, a split each; opened in turn."""
    sft: dict[str, str] = {}
    pairs: dict[str, str] = {}
    for each in files:
        with each as file:
            rejects = pl.DataFrame(pl.from_arrow(pq.read_table(file, columns=_REJECTS)))
        gone = rejects.filter(pl.col("reason") == Reason.RETRACTED.value)
        of_sft = gone.filter(pl.col("ledger") == Ledger.SFT.value)
        sft |= of_sft.select("prompt_id", "detail").iter_rows()
        of_pairs = gone.filter(pl.col("pair_id").is_not_null())
        pairs |= of_pairs.select("pair_id", "detail").iter_rows()
    return Retracted(sft, pairs, figure)


@contextmanager
def _data_file(path: Path) -> Iterator[BinaryIO]:
    """A version's parquet file; what stands in the way of reading it is an InputError."""
    try:
        with path.open("rb") as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        missing = isinstance(error, FileNotFoundError)
        what = "the file is missing" if missing else f"cannot be read: {error}"
        fault = Fault(str(path), "", what, "publish or download the version again")
        raise InputError(fault) from error
