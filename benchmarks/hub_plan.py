"""What the Hub's benchmark compares: second versions, and ways of writing parquet.

Imports nothing heavy, for the process that starts the measured ones. Not run by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["CHANGES", "LAYOUTS", "SHARE", "Change", "Written"]

SHARE: Final = 0.05
"""Of the rows that a change touches."""


@dataclass(frozen=True, slots=True)
class Change:
    """How the rows of a second version differ from the first's.

    Attributes:
        name: in the table.
        kind: `append`, `label`, `text`, `flip` or `drop`.
        where: `end`, `block`, `front` or `scattered`.
        goal: share of the first version's bytes that may be new; None where arithmetic decides.
        once: whether it is measured with the shipped way of writing alone.
    """

    name: str
    kind: str
    where: str
    goal: float | None = None
    once: bool = False


CHANGES: Final = (
    Change("5 % appended", "append", "end", 0.15),
    Change("5 % relabelled, scattered, label columns alone", "label", "scattered", 0.15),
    Change("5 % changed in one block", "text", "block", 0.15),
    Change("5 % dropped in one block", "drop", "block", once=True),
    Change("one row dropped at the front", "drop", "front"),
    Change("5 % flipped, scattered", "flip", "scattered"),
    Change("5 % dropped, scattered", "drop", "scattered", once=True),
)


@dataclass(frozen=True, slots=True)
class Written:
    """How parquet is written.

    Attributes:
        name: in the table.
        options: of the writer, over those that Charter has.
        pages: the least and the most bytes of a page; None for pages that content does not cut;
            () for Charter's own.
        group: row groups that are so many times as large.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    pages: tuple[int, ...] | None = ()
    group: float = 1.0


LAYOUTS: Final = (
    Written("as shipped"),
    Written("pages of 128-512 KiB", pages=(128 << 10, 512 << 10)),
    Written("pages of 64-256 KiB", pages=(64 << 10, 256 << 10)),
    Written("pages of 16-64 KiB", pages=(16 << 10, 64 << 10)),
    Written("pages cut by size alone", pages=None),
    Written("row groups of a quarter", group=0.25),
    Written("row groups four times as large", group=4),
    Written("with dictionaries", {"use_dictionary": True}),
    Written("snappy", {"compression": "snappy", "compression_level": None}),
)
