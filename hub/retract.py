"""Take rows out of a version: a new one without them, with the reason and without the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import yaml

from charter.documents import read_text
from charter.errors import Failure, Fault, InputError
from charter.hub.manifest import Lineage
from charter.hub.number import Tag, parse_tag
from charter.hub.publish import Draft, Published, publish_local
from charter.hub.retract_what import Found, What, find_rows
from charter.hub.schema import CONFIGS
from charter.hub.stored import StoredRows
from charter.hub.verify import orders_of, store_of
from charter.hub.verify_rows import ParquetRows, published_rows, splits_in
from charter.hub.version import Version, list_versions
from charter.rows import Ledger, Reason

__all__ = ["COUNTED", "Retraction", "retract", "retraction_draft"]

_STAGE: Final = "retract"
_LONGEST: Final = 500

COUNTED: Final = frozenset(
    {
        *("verdicts", "order_consistent", "label_sources", "p_chosen", "chosen_longer"),
        *("rejects", "lengths", "judge", "p_chosen_bins", "source_labels"),
        *("secrets", "contamination"),
    }
)
"""The figures that publication counts from the rows: those of the parent are not kept."""


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
) -> Retraction:
    """Publish a version without some rows, to where `version` is from: its store, or its Hub.

    Every row of `sft` and `preference` that goes becomes a reject of its ledger, with `reason` as
    its detail; votes go without a trace, since no ledger counts them. Nothing else changes: order,
    splits, constitution, recipe and models are the parent's. Where nothing is left to take out,
    no version is made.

    Args:
        version: the latest release of its repo.
        what: which rows.
        reason: for people, published with the rejects: it must not quote what is taken out.
        store: the local store that also gets what goes to a Hub.
        dry_run: find the rows and publish nothing.

    Raises:
        InputError: a name or the reason can't be used, or `version` is not the latest release.
        Failure: the gate did not open, or the version can't be written.
    """
    reason = _reason(reason)
    publish = _publisher(version, store)
    found = find_rows(version, what)
    if not any(found.rows.values()):
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


def _publisher(version: Version, store: Path | None) -> Callable[[Draft], Published]:
    """What publishes beside the version, once it is known to be the latest release there."""
    if version.commit is not None and store is not None:
        from huggingface_hub import HfApi

        from charter.hub.push import publish_hub
        from charter.hub.remote import heads_of

        _check_latest(version, list(heads_of(HfApi(), version.repo).tags))
        return partial(publish_hub, store=store)
    own = store_of(version)
    if own is None:
        what = f"the folder of {version.repo}@{version.tag} stands in no local store"
        fix = "name it REPO@TAG; the new version appears where that is found"
        raise InputError(Fault(str(version.path), "", what, fix))
    _check_latest(version, list_versions(own, version.repo))
    return partial(publish_local, store=own)


def _check_latest(version: Version, tags: Sequence[Tag]) -> None:
    """An older version without some rows would bring back what later ones changed."""
    releases = [tag for tag in tags if tag.final]
    latest = max(releases, default=None)
    if latest is not None and parse_tag(version.tag) == latest:
        return
    what = f"{version.tag} is not the latest release" + (f", {latest}" if latest else "")
    fix = f"retract from {version.repo}@{latest}" if latest else "publish a release first"
    raise InputError(Fault(f"{version.repo}@{version.tag}", "", what, fix))


def retraction_draft(version: Version, what: What, found: Found, reason: str) -> Draft:
    """The draft of the version without the rows found."""
    splits, _ = splits_in(version)
    recipe = read_text(version.path / "recipe.yaml")
    manifest = version.manifest
    return Draft(
        repo=version.repo,
        rows=_rows(version, found, reason),
        splits=splits,
        ledgers=manifest.ledgers.model_dump(),
        lineage=_lineage(version, what, found, reason),
        constitution_yaml=_exactly(version.path / "constitution.yaml"),
        recipe_yaml=_exactly(version.path / "recipe.yaml"),
        orders=orders_of(version, _mapping(recipe)),
    )


def _exactly(path: Path) -> str:
    """The text with every byte as it is: `read_text` takes a byte order mark away."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot be read: {error}"
        raise Failure(Fault(str(path), "", what, "see `charter verify`")) from error


def _mapping(text: str) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _lineage(version: Version, what: What, found: Found, reason: str) -> dict[str, Any]:
    manifest = version.manifest
    fields = manifest.model_dump(mode="json", include=set(Lineage.model_fields))
    figures: dict[str, Any] = {
        name: each for name, each in manifest.figures.items() if name not in COUNTED
    }
    figures["retracted"] = {
        "reason": reason,
        "rows": found.rows,
        "from": version.tag,
        "what": what.as_json(),
        # A chain, so that a name that was retracted once is known when it comes again.
        "before": manifest.figures.get("retracted"),
    }
    return {**fields, "figures": figures}


def _rows(version: Version, found: Found, reason: str) -> dict[str, StoredRows]:
    rows = published_rows(version)
    rejects = (*_rejects(found, reason),)
    drops = {
        "sft": {"id": found.sft["id"].to_list()},
        "preference": {"id": found.preference["id"].to_list()},
        "judgments": {
            "comparison_id": found.pairs,
            "prompt_id": found.prompts,
            "principle_id": found.principles,
        },
    }
    result: dict[str, StoredRows] = {}
    for config, each in rows.items():
        drop = {n: pa.array(v, pa.string()) for n, v in drops.get(config, {}).items()}
        count = len(each) - found.rows.get(config, 0)
        result[config] = ParquetRows(config, count, (), (), each.files, drop)
    there = rows.get("rejects")
    files = there.files if there else ()
    count = len(there or ()) + len(rejects)
    more = (pa.RecordBatch.from_pylist(list(rejects), schema=CONFIGS["rejects"]),)
    result["rejects"] = ParquetRows("rejects", count, (), (), files, {}, more)
    return result


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
