"""What people said of a version goes on to the next one that a run makes, where texts are the same.

The answers themselves are carried whole: each says by its digest which texts it holds for. Labels
that people have overruled are carried by the manifest's `reviews.overruled`, where the pair of
texts is the same; where the judge now says what people say, the judge's own label stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from charter.errors import Fault, InputError
from charter.hub.data import data_path
from charter.hub.manifest import Manifest
from charter.hub.relabel import (
    Label,
    overruled,
    pair_digest,
    relabelled,
    side_digest,
    uncounted_reviews,
)
from charter.hub.reviews import STAGE
from charter.hub.schema import SPLITS
from charter.hub.version import list_versions, unverified
from charter.rows import Ledger, Reason, Row

__all__ = ["Carried", "carried_on_hub", "carried_rows"]

# What must be the same for the figures to be those of the next version too.
_SAME: Final = ("constitution", "models", "prompt_set", "seeds")


@dataclass
class Carried:
    """The answers of a repo's latest release, and the labels that stand on them.

    Attributes:
        rows: of the config `reviews`, in their order.
        manifest: of that release; None where there is none.
    """

    rows: list[Row] = field(default_factory=list)
    manifest: Manifest | None = None
    _met: dict[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.rows)

    def apply(self, made: dict[str, list[Row]]) -> list[Row]:
        """Put people's labels on a prompt's new rows of `preference`, in place.

        Returns:
            The rejects of pairs in which people name no winner.
        """
        labels, rejects, kept = self._overruled(), [], []
        for row in made.get("preference", ()):
            entry = labels.get(row["id"])
            if entry is None or entry.get("texts") != pair_digest(row):
                kept.append(row)
                continue
            known = {**entry, "p_chosen": row["p_chosen"], "n_votes": row["n_votes"]}
            if entry["chosen"] is None:
                self._met[row["id"]] = known
                rejects.append(_reject(row, entry))
            elif entry["chosen"] == side_digest(row["chosen"]):
                kept.append(row)
            else:
                self._met[row["id"]] = known
                kept.append(relabelled(row, Label(True, entry["p"], entry["of"])))
        if "preference" in made:
            made["preference"] = kept
        return rejects

    def figures(self, lineage: Mapping[str, Any]) -> dict[str, Any] | None:
        """The next manifest's `reviews`, when all rows were made.

        The figures themselves only where what they are of was made alike; else that there are
        answers, which `charter review publish` counts again.

        Args:
            lineage: of the version to be.
        """
        if self.manifest is None or self.manifest.reviews is None:
            return None
        before: dict[str, Any] = dict(self.manifest.reviews)
        told = dict(before.get("overruled") or {}) | overruled(self._met)
        dumped = self.manifest.model_dump(mode="json", include=set(_SAME))
        made = json.loads(json.dumps({name: lineage.get(name) for name in _SAME}))
        if dumped == made:
            return {**before, "overruled": told}
        uncounted = uncounted_reviews(before, self.manifest.tag, len(self.rows))
        return {**uncounted, "overruled": told}

    def _overruled(self) -> dict[str, Any]:
        reviews: dict[str, Any] = dict((self.manifest and self.manifest.reviews) or {})
        return dict((reviews.get("overruled") or {}).get("labels") or {})


def _reject(row: Row, entry: Mapping[str, Any]) -> Row:
    bad = entry["verdict"] == Reason.BOTH_BAD.value
    said = "both responses are bad" if bad else "no response is better"
    return {
        "ledger": Ledger.PREFERENCE.value,
        "prompt_id": row["prompt_id"],
        "pair_id": row["id"],
        "stage": STAGE,
        "reason": (Reason.BOTH_BAD if bad else Reason.TIE).value,
        "detail": f"{entry['votes']} of {entry['of']} reviewers name no winner: {said}",
    }


def carried_rows(store: Path, repo: str) -> Carried:
    """What people said of the latest release in a local store.

    Raises:
        InputError: the version can't be read.
    """
    releases = [tag for tag in list_versions(store, repo) if tag.final]
    if not releases:
        return Carried()
    version = unverified(store, repo, releases[-1])
    return _carried(
        version.manifest,
        lambda split: (version.path / data_path("reviews", split)).open("rb"),
    )


def carried_on_hub(repo: str) -> Carried:
    """The same of the latest release on the Hub; nothing where there is none.

    Raises:
        InputError: the repo is not of this layout.
        Failure: the Hub is not reached.
    """
    from charter.hub.held_remote import data_file, latest_on_hub

    found = latest_on_hub(repo)
    if found is None:
        return Carried()
    commit, manifest = found
    return _carried(manifest, lambda split: data_file(repo, commit, "reviews", split))


def _carried(
    manifest: Manifest, opened: Callable[[str], AbstractContextManager[BinaryIO]]
) -> Carried:
    rows: list[Row] = []
    for split in SPLITS:
        if not manifest.counts.get("reviews", {}).get(split):
            continue
        try:
            with opened(split) as file:
                rows += pq.read_table(file).to_pylist()
        except (FileNotFoundError, pa.ArrowException) as error:
            what, fix = f"cannot be read: {error}", "publish or download the version again"
            place = data_path("reviews", split)
            raise InputError(Fault(f"{manifest.repo}@{manifest.tag}", place, what, fix)) from error
    rows.sort(key=lambda row: (row["row_id"], row["reviewer"], row["id"]))
    return Carried(rows, manifest)
