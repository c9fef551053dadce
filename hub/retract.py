"""Take rows out of a version: a new one without them, with the reason and without the text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from charter.errors import Fault, InputError
from charter.hub.beside import publisher, successor, uncounted
from charter.hub.content import Draft
from charter.hub.data import data_path
from charter.hub.manifest import Lineage
from charter.hub.relabel import uncounted_reviews, without_labels
from charter.hub.retract_what import Found, What, find_rows, named_anew
from charter.hub.schema import CONFIGS
from charter.hub.stored import StoredRows
from charter.hub.verify_rows import ParquetRows, published_rows
from charter.hub.version import Version
from charter.rows import Ledger, Reason

__all__ = ["Retraction", "retract", "retraction_draft"]

_STAGE: Final = "retract"
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Retraction:
    """What a retraction did, or would do.

    Attributes:
        version: the one that rows were taken from.
        tag: of the version without them; the same tag where nothing was left to take out, None
            for a dry run.
        path: of that version, None for a dry run.
        new: whether a version was published.
        reason: as given.
        found: the rows.
    """

    version: Version
    tag: str | None
    path: Path | None
    new: bool
    reason: str
    found: Found

    def as_json(self) -> dict[str, Any]:
        """By name, plain values."""
        return {
            "repo": self.version.repo,
            "from": self.version.tag,
            "version": self.tag,
            "path": None if self.path is None else str(self.path),
            "new": self.new,
            "rows": self.found.rows,
            "reason": self.reason,
        }


def retract(
    version: Version,
    what: What,
    reason: str,
    *,
    store: Path | None = None,
    dry_run: bool = False,
    card: str = "fail",
) -> Retraction:
    """Publish a version without some rows, to where `version` is from: its store, or its Hub.

    Every row of `sft` and `preference` that goes becomes a reject of its ledger, with `reason` as
    its detail; votes go without a trace, since no ledger counts them. What was a reject already
    stays one, and its detail, which may quote a text, becomes `reason` as well. Nothing else
    changes: order of rows, splits, constitution, recipe and models are the parent's. Where nothing
    is left to take out, no version is made.

    Args:
        version: the latest release of its repo.
        what: which rows.
        reason: for people, published with the rejects: it must not quote what is taken out.
        store: the local store that also gets what goes to a Hub.
        dry_run: find the rows and publish nothing.
        card: what becomes of a card that people changed on a Hub: `fail`, `keep` or `replace`.

    Raises:
        InputError: a name or the reason can't be used, or `version` is not the latest release.
        Failure: the gate did not open, or the version can't be written.
    """
    reason = _reason(reason)
    publish = publisher(version, store, card=card, dry_run=dry_run)
    found = find_rows(version, what)
    if not any(found.rows.values()) and not named_anew(version, what):
        return Retraction(version, version.tag, version.path, False, reason, found)
    if dry_run:
        return Retraction(version, None, None, False, reason, found)
    published = publish(retraction_draft(version, what, found, reason))
    return Retraction(version, published.tag, published.path, published.new, reason, found)


def _reason(text: str) -> str:
    words = " ".join(text.split())
    if not words or len(words) > _LONGEST or not words.isprintable():
        what = f"the reason has no text, or more than {_LONGEST} characters, or odd ones"
        raise InputError(Fault("", "--reason", what, "say in a line why the rows go"))
    return words


def retraction_draft(version: Version, what: What, found: Found, reason: str) -> Draft:
    """The draft of the version without the rows found."""
    rows = _rows(version, found, reason)
    answers = len(rows["reviews"]) if "reviews" in rows else 0
    return successor(version, rows, _lineage(version, what, found, reason, answers))


def _lineage(
    version: Version, what: What, found: Found, reason: str, answers: int
) -> dict[str, Any]:
    manifest = version.manifest
    fields = manifest.model_dump(mode="json", include=set(Lineage.model_fields))
    figures = uncounted(manifest.figures)
    figures["retracted"] = {
        "reason": reason,
        "rows": found.rows,
        "from": version.tag,
        "what": what.as_json(),
        # A chain, so that a name that was retracted once is known when it comes again.
        "before": manifest.figures.get("retracted"),
    }
    reviews = without_labels(manifest.reviews, found.pairs)
    if reviews is not None and answers < sum(manifest.counts.get("reviews", {}).values()):
        # Figures that count answers which went would say on what was asked to be forgotten.
        reviews = uncounted_reviews(reviews, version.tag, answers)
    # Figures of models are of those that were trained on the rows that go.
    return {**fields, "figures": figures, "reviews": reviews, "evaluations": None}


def _rows(version: Version, found: Found, reason: str) -> dict[str, StoredRows]:
    rows = published_rows(version)
    rejects = (*_silent(version, found, reason), *_rejects(found, reason))
    drops = {
        "sft": {"id": found.sft["id"].to_list()},
        "preference": {"id": found.preference["id"].to_list()},
        "judgments": {
            "comparison_id": found.pairs,
            "prompt_id": found.prompts,
            "principle_id": found.principles,
        },
        # Ids of rows and of prompts: what people said of what goes, goes with it.
        "reviews": {
            "row_id": [*found.sft["id"].to_list(), *found.pairs],
            "prompt_id": found.prompts,
        },
    }
    result: dict[str, StoredRows] = {}
    for config, each in rows.items():
        drop = {n: pa.array(v, pa.string()) for n, v in drops.get(config, {}).items()}
        result[config] = ParquetRows(config, _left(each, drop), (), (), each.files, drop)
    there = rows.get("rejects")
    files = there.files if there else ()
    gone = {"pair_id": found.pairs, "prompt_id": found.prompts}
    drop = {name: pa.array(values, pa.string()) for name, values in gone.items()}
    count = (_left(there, drop) if there else 0) + len(rejects)
    more = (pa.RecordBatch.from_pylist(list(rejects), schema=CONFIGS["rejects"]),)
    result["rejects"] = ParquetRows("rejects", count, (), (), files, drop, more)
    return result


def _left(rows: ParquetRows, drop: Mapping[str, pa.Array]) -> int:
    """How many rows stay."""
    if not any(map(len, drop.values())):
        return len(rows)
    without = ParquetRows(rows.config, 0, (), (), rows.files, drop)
    return sum(batch.num_rows for batch in without.batches(*drop))


def _silent(version: Version, found: Found, reason: str) -> Iterator[dict[str, str | None]]:
    """The rejects of what goes that were there before, without what they quote."""
    for split in version.splits("rejects"):
        scan = pl.scan_parquet(version.path / data_path("rejects", split))
        goes = pl.col("pair_id").is_in(found.pairs) | pl.col("prompt_id").is_in(found.prompts)
        for row in scan.filter(goes).collect(engine="streaming").iter_rows(named=True):
            again = row["reason"] == Reason.RETRACTED.value
            yield row if again else {**row, "detail": reason}


def _rejects(found: Found, reason: str) -> Iterator[dict[str, str | None]]:
    ledgers = ((Ledger.SFT, found.sft), (Ledger.PREFERENCE, found.preference))
    for ledger, rows in ledgers:
        for row_id, prompt_id in rows.iter_rows():
            yield {
                "ledger": ledger.value,
                "prompt_id": prompt_id,
                "pair_id": row_id if ledger is Ledger.PREFERENCE else None,
                "stage": _STAGE,
                "reason": Reason.RETRACTED.value,
                "detail": reason,
            }
