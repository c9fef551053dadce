"""Which rows are sent: the draw, without those that were sent before; kept until all are sent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from charter.review.embedded.inside.files import write_private
from charter.review.gold import GoldRow, read_gold
from charter.review.records import Planned, external_id, too_long
from charter.review.sample import Candidate, Drawn, candidates, draw_rows
from charter.review.spot_check import Kind, Share
from charter.review.texts import First, shown_texts, texts_digest
from charter.rows import digest, draw_unit

if TYPE_CHECKING:
    from charter.constitutions import Constitution
    from charter.hub import Version

__all__ = [
    "Plan",
    "SendOptions",
    "drop_plan",
    "keep_plan",
    "kept_plan",
    "make_plan",
    "plan_key",
    "rows_of",
]

_SCHEME: Final = 1
# More text or messages than this, and the exact rule of `too_long` is asked.
_MUCH: Final = 700_000
_MANY: Final = 400


@dataclass(frozen=True, slots=True)
class SendOptions:
    """What is wanted of a draw.

    Attributes:
        n: rows, gold ones included.
        uncertain: share of the others for the least sure labels.
        gold: file of rows with known answers.
        gold_share: share of `n` that are gold.
        overlap: reviewers of each row.
        critiques: whether the judge's rationale is shown.
        shown: whether the AI's label is shown.
        again: whether rows that were sent before may be drawn.
        seed: of the draw and of which response is A.
        split: `train` or `test`; both where None.
        workspace: in Argilla.
    """

    n: int
    uncertain: float
    gold: Path | None
    gold_share: float
    overlap: int
    critiques: bool
    shown: bool
    again: bool
    seed: int
    split: str | None
    workspace: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows of a draw.

    Attributes:
        rows: to be sent, in this order.
        population: rows that could be drawn.
        already: rows left out because they were sent before.
        too_long: rows left out because no page can show them whole.
        strata: cell -> (rows that could be drawn, rows drawn), without gold ones.
    """

    rows: tuple[Planned, ...]
    population: int
    already: int
    too_long: int
    strata: Mapping[str, tuple[int, int]]

    def by_share(self) -> dict[str, int]:
        """How many came by which share."""
        counts = Counter(row.share for row in self.rows)
        return {share.value: counts[share.value] for share in Share}


def make_plan(
    version: Version,
    kind: Kind,
    options: SendOptions,
    constitution: Constitution | None,
    sent: Collection[str],
) -> Plan:
    """Draw the rows.

    Args:
        version: the version.
        kind: config of the rows.
        options: what is wanted.
        constitution: of the version.
        sent: external ids of all records that were sent before.

    Raises:
        InputError: the file of gold rows has faults.
    """
    known = _Known(sent, kind, constitution, options)
    gold = _gold(version, kind, options, known)
    taken = {each.row["id"] for each in gold}
    pool = [row for row in candidates(version, kind, options.split) if row.row_id not in taken]
    long = _too_long(version, kind, options.split)
    there = known.among(version, kind, [row.row_id for row in pool])
    left = [row for row in pool if row.row_id not in long and row.row_id not in there]
    drawn = draw_rows(left, options.n - len(gold), options.seed, options.uncertain)
    first = {row_id: known.first(row_id, row) for row_id, row in known.rows.items()}
    rows = [_planned(each, kind, first, options.seed) for each in drawn]
    # Gold ones stand anywhere among the others, so that nobody knows them by their place.
    rows += [
        Planned(g.row["id"], known.first(g.row["id"], g.row), Share.GOLD.value, "", 1.0, g.answer)
        for g in gold
    ]
    if gold:
        rows.sort(key=lambda row: draw_unit(options.seed, "review", "order", row.row_id))
    return Plan(tuple(rows), len(left), len(there), len(long), _strata(left, drawn))


class _Known:
    """What was sent before."""

    def __init__(
        self,
        sent: Collection[str],
        kind: Kind,
        constitution: Constitution | None,
        options: SendOptions,
    ) -> None:
        self._sent = frozenset(sent)
        self._ids = {each.rpartition("@")[0] for each in sent}
        self._kind = kind
        self._constitution = constitution
        self._options = options
        self.rows: dict[str, dict[str, Any]] = {}

    def among(self, version: Version, kind: Kind, row_ids: Sequence[str]) -> set[str]:
        """Those that were sent with the texts that they have; none where that does not matter."""
        self.rows = rows_of(version, kind, [each for each in row_ids if each in self._ids])
        if self._options.again:
            return set()
        return {row_id for row_id, row in self.rows.items() if self.has(row_id, row)}

    def has(self, row_id: str, row: Mapping[str, Any]) -> bool:
        """Whether it was sent with these texts, in whatever order."""
        sides: tuple[First, ...] = (None,) if self._kind == "sft" else ("chosen", "rejected")
        return any(self._id(row_id, row, side) in self._sent for side in sides)

    def first(self, row_id: str, row: Mapping[str, Any]) -> First:
        """Which is A; the other one where a record with the drawn order is there already."""
        drawn = _first(self._kind, row_id, self._options.seed)
        if drawn is None or row_id not in self._ids:
            return drawn
        other: First = "rejected" if drawn == "chosen" else "chosen"
        turn = self._id(row_id, row, drawn) in self._sent
        return other if turn and self._id(row_id, row, other) not in self._sent else drawn

    def _id(self, row_id: str, row: Mapping[str, Any], side: First) -> str:
        texts = shown_texts(self._kind, row, side, self._constitution)
        return external_id(row_id, texts_digest(texts))


def rows_of(version: Version, kind: Kind, row_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rows of a config by id."""
    if not row_ids:
        return {}
    frame = version.rows(kind)
    found = frame.filter(frame["id"].is_in(list(row_ids)))
    return {row["id"]: row for row in found.iter_rows(named=True)}


def _gold(version: Version, kind: Kind, options: SendOptions, known: _Known) -> list[GoldRow]:
    if options.gold is None:
        return []
    rows = read_gold(options.gold, version, kind)
    left = [
        each
        for each in rows
        if not too_long(each.row) and (options.again or not known.has(each.row["id"], each.row))
    ]
    left.sort(key=lambda each: draw_unit(options.seed, "review", "gold", each.row["id"]))
    return left[: min(round(options.n * options.gold_share), options.n)]


def _too_long(version: Version, kind: Kind, split: str | None) -> set[str]:
    import polars as pl

    if kind not in version.configs():
        return set()
    names = ["prompt", *(["completion"] if kind == "sft" else ["chosen", "rejected"])]
    content = pl.element().struct.field("content").str.len_bytes()
    size = sum((pl.col(name).list.eval(content).list.sum() for name in names), pl.lit(0))
    if kind == "sft":
        size = size + pl.col("initial_response").str.len_bytes()
    many = pl.any_horizontal(pl.col(name).list.len() > _MANY for name in names)
    suspect = version.rows(kind, split).filter((size > _MUCH) | many)
    return {row["id"] for row in suspect.iter_rows(named=True) if too_long(row)}


def _first(kind: Kind, row_id: str, seed: int) -> First:
    if kind == "sft":
        return None
    return "chosen" if draw_unit(seed, "review", "first", row_id) < 0.5 else "rejected"


def _planned(drawn: Drawn, kind: Kind, first: Mapping[str, First], seed: int) -> Planned:
    row = drawn.row
    side = first[row.row_id] if row.row_id in first else _first(kind, row.row_id, seed)
    return Planned(row.row_id, side, drawn.share.value, row.stratum, drawn.inclusion, None)


def _strata(rows: Sequence[Candidate], drawn: Sequence[Drawn]) -> dict[str, tuple[int, int]]:
    all_rows = Counter(row.stratum for row in rows)
    taken = Counter(each.row.stratum for each in drawn)
    return {name: (all_rows[name], taken[name]) for name in sorted(all_rows)}


# A draw that was begun


def kept_plan(path: Path, key: str) -> Plan | None:
    """The draw that was begun under this key and not ended; None where there is none."""
    try:
        found = json.loads(path.read_bytes())
        if found["scheme"] != _SCHEME or found["key"] != key:
            return None
        plan = found["plan"]
        strata = {name: (total, drawn) for name, (total, drawn) in plan["strata"].items()}
        rows = tuple(Planned(**row) for row in plan["rows"])
        return Plan(**{**plan, "rows": rows, "strata": strata})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def keep_plan(path: Path, key: str, plan: Plan) -> None:
    """Remember a draw before the first of it is sent."""
    text = json.dumps({"scheme": _SCHEME, "key": key, "plan": asdict(plan)}, ensure_ascii=False)
    write_private(path, text)


def drop_plan(path: Path) -> None:
    """All of it is sent."""
    path.unlink(missing_ok=True)


def plan_key(version: Version, kind: Kind, options: SendOptions) -> str:
    """What makes two commands the same one."""
    gold = options.gold.read_bytes().hex() if options.gold else None
    wanted = asdict(options) | {"gold": gold}
    return digest("send", version.repo, version.tag, kind, wanted)
