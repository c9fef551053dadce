"""The free texts of a version's rows, a column at a time: what people wrote and models said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from charter.hub.part import Part

__all__ = ["TEXTS", "TextColumn", "row_names", "text_columns"]

TEXTS: Final[dict[str, tuple[str, ...]]] = {
    "sft": (
        "prompt.content",
        "completion.content",
        "initial_response",
        "revisions.critique",
        "revisions.revision",
        "source",
    ),
    "preference": ("prompt.content", "chosen.content", "rejected.content", "source"),
    "judgments": ("rationale", "raw"),
    "rejects": ("detail",),
    "reviews": ("comment",),
}
"""Config -> columns of text; `column.field` is a field of the things listed in a column."""


@dataclass(frozen=True, slots=True)
class TextColumn:
    """The texts of one column of a batch.

    Attributes:
        name: the column; of things that are listed in it, `column.field`.
        texts: one after the other.
        rows: the row of the batch that each text is in.
    """

    name: str
    texts: pl.Series
    rows: npt.NDArray[np.int64]


def text_columns(part: Part, names: Sequence[str] | None = None) -> Iterator[TextColumn]:
    """The columns of text of a batch, or those named."""
    for name in TEXTS[part.config] if names is None else names:
        column, _, inner = name.partition(".")
        array = part.batch.column(column)
        rows = np.arange(part.batch.num_rows)
        if inner:
            rows = np.repeat(rows, np.diff(array.offsets.to_numpy()))
            array = array.flatten().field(inner)
        yield TextColumn(name, _series(array), rows)


def _series(array: pa.Array) -> pl.Series:
    series: pl.Series = pl.Series(values=array, dtype=pl.String)
    return series


def row_names(part: Part, rows: Sequence[int]) -> list[str]:
    """What rows of a batch are called in messages."""
    taken: list[dict[str, Any]] = part.batch.select(_NAMED_BY[part.config]).take(rows).to_pylist()
    if part.config == "judgments":
        return [
            f"{row['comparison_id']} under {row['principle_id']} in order {row['order']}"
            for row in taken
        ]
    if part.config == "rejects":
        return [row["pair_id"] or row["prompt_id"] or "a record without an id" for row in taken]
    return [row["id"] for row in taken]


_NAMED_BY: Final = {
    "sft": ["id"],
    "preference": ["id"],
    "judgments": ["comparison_id", "principle_id", "order"],
    "rejects": ["pair_id", "prompt_id"],
    "reviews": ["id"],
}
