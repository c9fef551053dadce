"""What a report shows of a published version: counts over all rows, and samples of them.

The rows are read by column and counted where they lie; only a sample becomes Python objects.
Where that takes texts, a batch of rows is read at a time: polars decodes many row groups ahead, and
of 100,000 rows that was more memory than anything else in their run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from charter.hub import Version
from charter.rows import Row
from charter.stats import Estimate, wilson

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

__all__ = ["Lengths", "Shown", "Votes", "read_shown", "sample", "votes_on"]

_P_BINS = 20  # of p_chosen, from 0.5 to 1
_LENGTH_BINS = 30
_BATCH_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths in characters, in bins of one width; the longest hundredth is in the last bin."""

    width: float = 1.0
    initial: tuple[tuple[float, float], ...] = ()
    revised: tuple[tuple[float, float], ...] = ()
    means: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Votes:
    """The judge's votes.

    Attributes:
        verdicts: votes by verdict.
        principles: (principle, votes, unparsed ones, share of comparisons whose two orders gave
            one verdict), by principle.
        first: share of A and B verdicts that went to the response shown first.
        p_first: mean probability given to the response shown first; None without votes.
        flips: of comparisons whose two orders named different winners, the share in which both
            named the response shown first.
    """

    verdicts: dict[str, int] = field(default_factory=dict)
    principles: tuple[tuple[str, int, int, Estimate], ...] = ()
    first: Estimate = field(default_factory=lambda: wilson(0, 0))
    p_first: float | None = None
    flips: Estimate = field(default_factory=lambda: wilson(0, 0))


@dataclass(frozen=True, slots=True)
class Shown:
    """Figures of a version.

    Attributes:
        rejects: (ledger, reason, rows), most frequent first.
        p_chosen: (left edge, pairs) in bins of `p_width`.
        p_width: width of those bins.
        lengths: of the initial responses and the last revisions.
        votes: the judge's.
    """

    rejects: tuple[tuple[str, str, int], ...] = ()
    p_chosen: tuple[tuple[float, float], ...] = ()
    p_width: float = 0.5 / _P_BINS
    lengths: Lengths = Lengths()
    votes: Votes = field(default_factory=Votes)


def _scan(version: Version, config: str) -> pl.LazyFrame | None:
    """All rows of a config, `train` first; None where it has none."""
    import polars as pl

    from charter.hub.data import data_path

    files = [version.path / data_path(config, split) for split in version.splits(config)]
    return pl.scan_parquet(files, glob=False) if files else None


def _batches(version: Version, config: str, *columns: str) -> Iterator[pa.RecordBatch]:
    """The same rows, some at a time; all columns when none is named."""
    from pyarrow.parquet import ParquetFile

    from charter.hub.data import data_path

    for split in version.splits(config):
        with ParquetFile(version.path / data_path(config, split)) as file:
            # Each thread would keep memory of its own.
            yield from file.iter_batches(
                _BATCH_ROWS, columns=list(columns) or None, use_threads=False
            )


def _collect(frame: pl.LazyFrame) -> pl.DataFrame:
    return frame.collect(engine="streaming")


def read_shown(version: Version) -> Shown:
    """Count a version."""
    return Shown(
        rejects=_rejects(_scan(version, "rejects")),
        p_chosen=_p_chosen(_scan(version, "preference")),
        lengths=_lengths(version),
        votes=_votes(_scan(version, "judgments")),
    )


def _rejects(frame: pl.LazyFrame | None) -> tuple[tuple[str, str, int], ...]:
    if frame is None:
        return ()
    found = _collect(frame.group_by("ledger", "reason").len())
    return tuple(sorted(found.rows(), key=lambda row: (-row[2], row[:2])))


def _p_chosen(frame: pl.LazyFrame | None) -> tuple[tuple[float, float], ...]:
    import polars as pl

    if frame is None:
        return ()
    place = ((pl.col("p_chosen") - 0.5) * 2 * _P_BINS + 1e-9).floor().cast(pl.Int64)
    counts = dict(
        _collect(frame.group_by(place.clip(0, _P_BINS - 1).alias("bin")).len()).iter_rows()
    )
    return tuple((0.5 + k * 0.5 / _P_BINS, counts.get(k, 0)) for k in range(_P_BINS))


def _lengths(version: Version) -> Lengths:
    import polars as pl

    last = pl.col("completion").list.last().struct.field("content")
    counted = [
        pl.DataFrame(batch).select(
            pl.col("initial_response").str.len_chars().alias("initial"),
            last.str.len_chars().alias("revised"),
        )
        for batch in _batches(version, "sft", "initial_response", "completion")
    ]
    if not counted:
        return Lengths()
    found = pl.concat(counted)
    ends = [float(found[name].quantile(0.99) or 0) for name in found.columns]
    width = max(1.0, max(ends) / _LENGTH_BINS)
    bins = []
    for name in found.columns:
        place = (found[name] / width).floor().cast(pl.Int64).clip(0, _LENGTH_BINS - 1)
        counts = dict(place.value_counts().iter_rows())
        bins.append(tuple((k * width, counts.get(k, 0)) for k in range(_LENGTH_BINS)))
    means = [float(found[name].mean() or 0) for name in found.columns]  # type: ignore[arg-type]
    return Lengths(width, bins[0], bins[1], (means[0], means[1]))


def _votes(frame: pl.LazyFrame | None) -> Votes:
    import polars as pl

    if frame is None:
        return Votes()
    by = _collect(frame.group_by("principle_id", "order", "verdict").len())
    verdicts = dict(by.group_by("verdict").agg(pl.col("len").sum()).sort("verdict").iter_rows())
    won = by.filter(pl.col("verdict").is_in(["A", "B"]))
    shown_first = (pl.col("order") == "AB") == (pl.col("verdict") == "A")
    first = int(won.filter(shown_first)["len"].sum())
    p_first = pl.when(pl.col("order") == "AB").then(pl.col("p_a")).otherwise(1 - pl.col("p_a"))
    mean = _collect(frame.select(p_first.mean())).item()
    agreement, flips = _orders(frame)
    votes = by.group_by("principle_id").agg(
        pl.col("len").sum(),
        pl.col("len").filter(pl.col("verdict") == "UNPARSED").sum().alias("unparsed"),
    )
    principles = tuple(
        (name, count, unparsed, agreement.get(name, wilson(0, 0)))
        for name, count, unparsed in votes.sort("principle_id").iter_rows()
    )
    return Votes(verdicts, principles, wilson(first, int(won["len"].sum())), mean, flips)


def _orders(frame: pl.LazyFrame) -> tuple[dict[str, Estimate], Estimate]:
    """How often the two orders of a comparison agree, by principle; and where they lean if not."""
    import polars as pl

    def seen(order: str) -> pl.Expr:
        return pl.col("verdict").filter(pl.col("order") == order).first().alias(order)

    both = (
        frame.filter(pl.col("verdict") != "UNPARSED")
        .group_by("comparison_id", "principle_id")
        .agg(seen("AB"), seen("BA"))
        .drop_nulls()
    )
    counts = _collect(both.group_by("principle_id", "AB", "BA").len())
    agree = pl.col("len").filter(pl.col("AB") == pl.col("BA")).sum()
    found = counts.group_by("principle_id").agg(agree.alias("agree"), pl.col("len").sum())
    by_principle = {name: wilson(agreed, n) for name, agreed, n in found.iter_rows()}
    pairs = {(ab, ba): 0 for ab in "AB" for ba in "AB"}
    for _, ab, ba, n in counts.iter_rows():
        pairs[ab, ba] = pairs.get((ab, ba), 0) + n
    # Shown first in both orders: A in the order AB, and B in the order BA.
    flipped = pairs["A", "B"] + pairs["B", "A"]
    return by_principle, wilson(pairs["A", "B"], flipped)


def sample(version: Version, config: str, most: int) -> list[Row]:
    """At most so many rows of a config, evenly over all of them, in order."""
    import polars as pl

    every = -(-sum(version.manifest.counts.get(config, {}).values()) // most)
    found: list[Row] = []
    start = 0
    for batch in _batches(version, config):
        found += pl.DataFrame(batch).gather_every(every, -start % every).to_dicts()
        start += len(batch)
    return found


def votes_on(version: Version, pair_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The votes on these pairs, by pair."""
    import polars as pl

    found: dict[str, list[Row]] = {}
    wanted = pl.col("comparison_id").is_in(list(pair_ids))
    for batch in _batches(version, "judgments") if pair_ids else ():
        for row in pl.DataFrame(batch).filter(wanted).iter_rows(named=True):
            found.setdefault(row["comparison_id"], []).append(row)
    return found
