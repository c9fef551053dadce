"""Which split each prompt of a repo was published in: it keeps it in all later versions."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from charter.errors import Fault, InputError
from charter.hub.data import data_path
from charter.hub.load import list_versions, unverified

__all__ = ["published_splits"]


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
