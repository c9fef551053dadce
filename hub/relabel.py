"""Labels that people have changed: pairs turned round, and pairs that have no label any more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pyarrow as pa

from charter.hub.reviews import STAGE
from charter.hub.schema import CONFIGS
from charter.hub.stored import StoredRows
from charter.hub.verify_rows import ParquetRows, published_rows
from charter.hub.version import Version
from charter.rows import Ledger, digest

__all__ = [
    "Label",
    "overruled",
    "pair_digest",
    "relabelled",
    "reviewed_rows",
    "side_digest",
    "uncounted_reviews",
    "without_labels",
]

_SIDES: Final = (("chosen", "rejected"), ("chosen_model", "rejected_model"))
_OTHER: Final = {"chosen": "rejected", "rejected": "chosen"}


@dataclass(frozen=True, slots=True)
class Label:
    """What becomes of the label of a pair.

    Attributes:
        turn: whether chosen and rejected change places.
        p_chosen: the new confidence, in (0.5, 1].
        n_votes: answers or votes behind it.
        source: `human`, or `ai` where the judge's own label comes back.
    """

    turn: bool
    p_chosen: float
    n_votes: int
    source: Literal["human", "ai"] = "human"


def side_digest(messages: Any) -> str:
    """The digest of one response of a pair."""
    return digest([[each["role"], each["content"]] for each in messages])


def pair_digest(row: Mapping[str, Any]) -> str:
    """The digest of a pair's prompt and of its two responses, whichever is the chosen one."""
    sides = sorted((side_digest(row["chosen"]), side_digest(row["rejected"])))
    return digest(side_digest(row["prompt"]), *sides)


def relabelled(row: Mapping[str, Any], label: Label) -> dict[str, Any]:
    """A row of `preference` under another label; what goes with a side moves with it."""
    p = label.p_chosen
    done = {
        **row,
        "p_chosen": p,
        "log_odds": None if p == 1 else math.log(p / (1 - p)),
        "n_votes": label.n_votes,
        "label_source": label.source,
    }
    if label.turn:
        for one, other in _SIDES:
            done[one], done[other] = row[other], row[one]
        done["source_label"] = _OTHER.get(row["source_label"], row["source_label"])
    return done


@dataclass(frozen=True, slots=True)
class _Relabelled(ParquetRows):
    """The pairs of a version, some of them under another label."""

    labels: Mapping[str, Label] = field(default_factory=dict)

    def batches(self, *columns: str) -> Iterator[pa.RecordBatch]:
        """As the base class; the rows are read whole, since a turn moves texts too."""
        names = list(columns or CONFIGS[self.config].names)
        for batch in ParquetRows.batches(self):
            ids = batch.column("id").to_pylist()
            changed = batch
            if any(row_id in self.labels for row_id in ids):
                rows = [
                    relabelled(row, self.labels[row["id"]]) if row["id"] in self.labels else row
                    for row in batch.to_pylist()
                ]
                changed = pa.RecordBatch.from_pylist(rows, schema=batch.schema)
            yield changed.select(names)


def reviewed_rows(
    version: Version,
    reviews: Iterable[Mapping[str, Any]],
    labels: Mapping[str, Label],
    rejected: Mapping[str, tuple[str, str, str]],
) -> dict[str, StoredRows]:
    """All rows of a version with people's answers, and with what these change.

    Args:
        version: the parent.
        reviews: every row of the config `reviews`.
        labels: pair id -> its new label.
        rejected: pair id -> prompt id, reason and detail of the reject that it becomes.
    """
    rows: dict[str, StoredRows] = {**published_rows(version)}
    pairs = rows.get("preference")
    if isinstance(pairs, ParquetRows) and (labels or rejected):
        drop = {"id": pa.array(list(rejected), pa.string())}
        count = len(pairs) - len(rejected)
        rows["preference"] = _Relabelled(
            "preference", count, (), (), pairs.files, drop, (), dict(labels)
        )
    if rejected:
        there = rows.get("rejects")
        files = there.files if isinstance(there, ParquetRows) else ()
        more = [
            {
                "ledger": Ledger.PREFERENCE.value,
                "prompt_id": prompt_id,
                "pair_id": pair_id,
                "stage": STAGE,
                "reason": reason,
                "detail": detail,
            }
            for pair_id, (prompt_id, reason, detail) in rejected.items()
        ]
        count = len(there or ()) + len(more)
        batch = pa.RecordBatch.from_pylist(more, schema=CONFIGS["rejects"])
        rows["rejects"] = ParquetRows("rejects", count, (), (), files, {}, (batch,))
    said = [dict(each) for each in reviews]
    batch = pa.RecordBatch.from_pylist(said, schema=CONFIGS["reviews"])
    rows["reviews"] = StoredRows("reviews", len(said), (), (batch,))
    return rows


def overruled(labels: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The labels that are people's as the manifest's `reviews.overruled` has them, with counts.

    Args:
        labels: pair id -> how people voted; `chosen` is None where they name no winner.
    """
    removed = sum(each["chosen"] is None for each in labels.values())
    counts = {"turned": len(labels) - removed, "removed": removed}
    return {**counts, "labels": dict(sorted(labels.items()))}


def without_labels(reviews: Mapping[str, Any] | None, gone: Iterable[str]) -> dict[str, Any] | None:
    """The manifest's `reviews` without what it says of single rows that are gone."""
    if reviews is None:
        return None
    entry = reviews.get("overruled")
    if not isinstance(entry, dict) or not isinstance(entry.get("labels"), dict):
        return dict(reviews)
    names = set(gone)
    labels = {name: each for name, each in entry["labels"].items() if name not in names}
    return {**reviews, "overruled": entry | overruled(labels)}


def uncounted_reviews(reviews: Mapping[str, Any], tag: str, answers: int) -> dict[str, Any]:
    """The manifest's `reviews` without figures, for answers that go on with other rows.

    Whose answers do not count, and which labels stand on the others, is still said.

    Args:
        reviews: of the version before.
        tag: of that version.
        answers: how many go on.
    """
    kept = {name: reviews[name] for name in ("left_out", "overruled") if name in reviews}
    return {"carried": {"from": tag, "answers": answers}, **kept}
