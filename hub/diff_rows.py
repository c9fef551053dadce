"""Rows of two versions compared by id, lazily: texts are hashed where they are read.

What is held is a few hashes of each row, whatever its texts weigh; only rows that are shown are
read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow.parquet as pq

from charter.errors import Failure, Fault
from charter.hub.data import data_path
from charter.hub.schema import CONFIGS
from charter.hub.version import Version
from charter.rows import draw_int

__all__ = ["KINDS", "Compared", "compare", "picked", "read_rows", "values"]

KINDS: Final = (
    *("added", "removed", "relabelled", "flipped", "p_moved"),
    *("text_changed", "split_moved", "other_changed"),
)
"""What can have happened to a row. `relabelled` is `flipped` or `p_moved`; a row that changed in
several ways counts in each of them."""

_TEXTS: Final = {"sft": ("prompt", "completion"), "preference": ("prompt", "chosen", "rejected")}
# What stands on one side of a pair, and on the other when the label is flipped.
_SIDED: Final = {"chosen_model": "rejected_model", "rejected_model": "chosen_model"}
_NOTED: Final = ("p_chosen", "log_odds")
_SEED: Final = 1
_LATER: Final = "_later"


@dataclass(frozen=True, slots=True)
class Compared:
    """One config in two versions.

    Attributes:
        config: which.
        changed: one row for each row that is not the same: `id` and a flag for each of `KINDS`.
        counts: kind -> rows, and `same`: rows that nothing happened to.
        columns: column -> rows in which it changed; of rows in both versions, texts included.
        uncompared: columns that only one of the two has, or has as another type.
    """

    config: str
    changed: pl.DataFrame
    counts: dict[str, int]
    columns: dict[str, int]
    uncompared: tuple[str, ...]


def compare(one: Version, other: Version, config: str, moved: float) -> Compared:
    """Compare the rows of `sft` or `preference`, where `other` is the later version.

    A pair is `flipped` when chosen and rejected are exchanged; what goes with them (their models,
    what the source says of them) is then expected to be exchanged too. `p_moved` is p_chosen of a
    pair that is not flipped, changed by more than `moved`. `text_changed` is any other change of
    the prompt or a response; `split_moved` must not happen; `other_changed` is any other column.

    Raises:
        Failure: an id names two rows.
    """
    sides = [_files(version, config) for version in (one, other)]
    # A split whose file is the same has the same rows, which need not be read.
    same = {
        split
        for split in sides[0].keys() & sides[1].keys()
        if one.manifest.files[name := data_path(config, split)] == other.manifest.files[name]
    }
    read = [{s: path for s, path in each.items() if s not in same} for each in sides]
    common, uncompared = _common(config, sides)
    frames = [_hashed(config, each, common) for each in read]
    joined = frames[0].join(
        frames[1], on="id", how="full", coalesce=True, suffix=_LATER, maintain_order="none"
    )
    flags, columns = _flags(config, common, moved)
    found = (
        joined.select("id", **flags, **{f"column {name}": flag for name, flag in columns.items()})
        .filter(pl.any_horizontal(pl.exclude("id")))
        .collect(engine="streaming")
    )
    rows = [_total(version, config) for version in (one, other)]
    _check_ids(one, other, config, joined, found, [_total(v, config, same) for v in (one, other)])
    counts = {kind: int(found[kind].sum()) for kind in KINDS}
    touched = found.height - counts["added"]
    return Compared(
        config,
        found.select("id", *KINDS),
        counts | {"same": rows[0] - touched},
        {name: n for name in columns if (n := int(found[f"column {name}"].sum()))},
        uncompared,
    )


def _total(version: Version, config: str, without: set[str] | None = None) -> int:
    counts = version.manifest.counts.get(config, {})
    return sum(n for split, n in counts.items() if split not in (without or ()))


def _files(version: Version, config: str) -> dict[str, str]:
    return {split: str(version.path / data_path(config, split)) for split in version.splits(config)}


def _common(
    config: str, sides: Sequence[Mapping[str, str]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that can be compared, and those that only one side has as they are."""
    schemas = [
        {field.name: field.type for field in pq.read_schema(next(iter(side.values())))}
        for side in sides
        if side
    ]
    if not schemas:
        return tuple(CONFIGS[config].names), ()
    fits = [
        name for name in schemas[0] if all(each.get(name) == schemas[0][name] for each in schemas)
    ]
    every = dict.fromkeys(name for each in schemas for name in each)
    return tuple(fits), tuple(name for name in every if name not in fits)


def _hashed(config: str, files: Mapping[str, str], columns: Sequence[str]) -> pl.LazyFrame:
    """Id and split of every row, numbers as they are, and the hash of every other column."""
    seen = [
        pl.col(name) if name in _NOTED else pl.col(name).hash(_SEED)
        for name in columns
        if name != "id"
    ]
    found = [
        pl.scan_parquet(path).select("id", pl.lit(split).alias("split"), *seen)
        for split, path in files.items()
    ]
    if not found:
        empty = pl.from_arrow(CONFIGS[config].empty_table())
        assert isinstance(empty, pl.DataFrame)
        return empty.lazy().select("id", pl.lit("").alias("split"), *seen)
    return pl.concat(found)


def _flags(
    config: str, columns: Sequence[str], moved: float
) -> tuple[dict[str, pl.Expr], dict[str, pl.Expr]]:
    """Kind -> whether it happened to a row, and column -> whether it changed."""
    both = pl.col("split").is_not_null() & pl.col(f"split{_LATER}").is_not_null()

    def differ(name: str, against: str | None = None) -> pl.Expr:
        return pl.col(name).ne_missing(pl.col(f"{against or name}{_LATER}"))

    no = pl.lit(False)
    flipped, p_moved = no, no
    if config == "preference":
        exchanged = ~differ("chosen", "rejected") & ~differ("rejected", "chosen")
        flipped = both & exchanged
        apart = (pl.col("p_chosen") - pl.col(f"p_chosen{_LATER}")).abs()
        # What the two numbers lack in their last digit is no move.
        p_moved = both & ~flipped & (apart > moved + 1e-12).fill_null(False)
    relabelled = flipped | p_moved
    changed: dict[str, pl.Expr] = {}
    for name in columns:
        if name == "id":
            continue
        differs = differ(name)
        if name in _SIDED and _SIDED[name] in columns:
            differs = pl.when(flipped).then(differ(_SIDED[name], name)).otherwise(differs)
        elif name in ("chosen", "rejected"):
            differs = ~flipped & differs
        elif name in _NOTED:
            differs = ~relabelled & differs
        elif name == "source_label":
            differs = pl.when(flipped).then(_label_differs()).otherwise(differs)
        changed[name] = both & differs
    texts = [changed[name] for name in _TEXTS[config] if name in changed]
    others = [flag for name, flag in changed.items() if name not in _TEXTS[config]]
    flags = {
        "added": pl.col("split").is_null(),
        "removed": pl.col(f"split{_LATER}").is_null(),
        "relabelled": relabelled,
        "flipped": flipped,
        "p_moved": p_moved,
        "text_changed": pl.any_horizontal(no, *texts),
        "split_moved": both & differ("split"),
        "other_changed": pl.any_horizontal(no, *others),
    }
    return flags, changed


def _label_differs() -> pl.Expr:
    """Whether the source's label differs, when chosen and rejected were exchanged."""
    chosen, rejected = (
        pl.select(pl.lit(word, pl.String).hash(_SEED)).item() for word in ("chosen", "rejected")
    )
    label = pl.col("source_label")
    turned = (
        pl.when(label == chosen)
        .then(pl.lit(rejected, pl.UInt64))
        .when(label == rejected)
        .then(pl.lit(chosen, pl.UInt64))
        .otherwise(label)
    )
    return turned.ne_missing(pl.col(f"source_label{_LATER}"))


def _check_ids(
    one: Version,
    other: Version,
    config: str,
    joined: pl.LazyFrame,
    found: pl.DataFrame,
    rows: Sequence[int],
) -> None:
    """See that every id met at most one row: counts of a join on ids that repeat mean nothing."""
    met = rows[0] - int(found["removed"].sum())
    height = joined.select(pl.len()).collect(engine="streaming").item()
    if met == rows[1] - int(found["added"].sum()) and height == sum(rows) - met:
        return
    names = f"{one.repo}@{one.tag}, {other.repo}@{other.tag}"
    what = "an id names two rows, or charter.json counts other rows than there are"
    raise Failure(Fault(names, config, what, "see `charter verify` of both"))


def picked(compared: Compared, kind: str, n: int, seed: int) -> list[str]:
    """The ids of up to n rows of a kind, drawn by the seed and in the order of the ids."""
    ids = compared.changed.filter(pl.col(kind))["id"].sort()
    if len(ids) <= n:
        return list(ids)
    places: dict[int, None] = {}
    index = 0
    while len(places) < n:
        places[draw_int(seed, "diff", compared.config, kind, index) % len(ids)] = None
        index += 1
    return [ids[place] for place in sorted(places)]


def read_rows(version: Version, config: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Whole rows by id, each with its `split`; ids that are not there are left out."""
    found: dict[str, dict[str, Any]] = {}
    for split, path in _files(version, config).items() if ids else ():
        scan = pl.scan_parquet(path, row_index_name="at").select("at", "id")
        places = scan.filter(pl.col("id").is_in(list(ids))).collect(engine="streaming")["at"]
        for row in _rows_at(path, places.sort().to_list()):
            found[row["id"]] = {**row, "split": split}
    return found


def _rows_at(path: str, places: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The rows at some places, in order: of a large file only their row groups are read."""
    with pq.ParquetFile(path) as file:
        start, wanted = 0, list(places)
        for index in range(file.num_row_groups):
            end = start + file.metadata.row_group(index).num_rows
            here = [place - start for place in wanted if start <= place < end]
            if here:
                yield from file.read_row_group(index).take(here).to_pylist()
            start = end


def values(one: Version, other: Version, compared: Compared) -> dict[str, dict[str, Any]]:
    """What the changed rows are of: group (principle, source, model) -> value -> kind -> rows.

    A row stands under its value in the later version, or in the earlier one when it was removed;
    a row of several principles stands under each.
    """
    if compared.changed.is_empty():
        return {}
    frames = [_grouped(version, compared, gone) for version, gone in ((one, True), (other, False))]
    groups: dict[str, dict[str, Any]] = {}
    for name in _GROUPS[compared.config]:
        counted = (
            pl.concat([frame.select(pl.col(name).alias("value"), *KINDS) for frame in frames])
            .explode("value")
            .drop_nulls("value")
            .group_by("value")
            .agg(pl.col(kind).sum() for kind in KINDS)
            .sort("value")
        )
        groups[name] = {
            row.pop("value"): {kind: int(n) for kind, n in row.items() if n}
            for row in counted.iter_rows(named=True)
        }
    return {name: found for name, found in groups.items() if found}


_REVISIONS: Final = pl.col("revisions").list
_GROUPS: Final[dict[str, dict[str, pl.Expr]]] = {
    "preference": {
        "principle": pl.col("principle_ids").list.unique(),
        "source": pl.concat_list("source"),
        "judge_model": pl.concat_list("judge_model"),
        "chosen_model": pl.concat_list("chosen_model"),
    },
    "sft": {
        "principle": _REVISIONS.eval(pl.element().struct.field("principle_id")).list.unique(),
        "source": pl.concat_list("source"),
        "model": _REVISIONS.eval(pl.element().struct.field("model")).list.unique(),
    },
}


def _grouped(version: Version, compared: Compared, gone: bool) -> pl.DataFrame:
    """The changed rows that a version speaks for, with the value of each group."""
    wanted = compared.changed.filter(pl.col("removed") == gone).lazy()
    groups = [flag.alias(name) for name, flag in _GROUPS[compared.config].items()]
    empty = pl.DataFrame(
        schema={**dict.fromkeys(_GROUPS[compared.config], pl.List(pl.String))}
        | dict.fromkeys(KINDS, pl.Boolean)
    )
    found = [
        pl.scan_parquet(path).select("id", *groups).join(wanted, on="id", how="inner").drop("id")
        for path in _files(version, compared.config).values()
    ]
    return pl.concat([empty.lazy(), *found]).collect(engine="streaming")
