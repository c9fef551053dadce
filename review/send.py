"""Rows of a version to people: drawn, framed as records, sent in bulk, each once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from charter.constitutions import Constitution, load_constitution
from charter.documents import is_file
from charter.errors import Fault, InputError
from charter.review.fields import dataset_name
from charter.review.gold import read_gold
from charter.review.guidelines import review_guidelines
from charter.review.plan import (
    Plan,
    SendOptions,
    drop_plan,
    keep_plan,
    kept_plan,
    make_plan,
    plan_key,
    rows_of,
)
from charter.review.questions import review_settings
from charter.review.records import Frame, Planned, external_id, record_of
from charter.review.spot_check import Kind
from charter.review.texts import First, texts_digest

if TYPE_CHECKING:
    from pathlib import Path

    import argilla as rg

    from charter.hub import Version
    from charter.review.remote import Remote
    from charter.review.store import ReviewStore
    from charter.run.progress import Progress

__all__ = ["plan_only", "send_rows"]

_CHUNK = 2000
"""Rows held as records at one time."""
_SIDES: Final[tuple[First, ...]] = ("chosen", "rejected")


def send_rows(
    version: Version,
    kind: Kind,
    options: SendOptions,
    client: rg.Argilla,
    store: ReviewStore,
    progress: Progress,
) -> dict[str, Any]:
    """Draw rows and send them; where the same command was cut off, send the rest of its draw.

    A row counts as sent when this machine's log or the server has a record of it with these
    texts, in either order and in either of the repo's two datasets (blind, shown).

    Returns:
        `dataset`, `url`, `sent` (now), `already` (rows left out or not sent again because a
        record was there), `strata`, `by_share`, and more by name.

    Raises:
        InputError: the version has no such rows, the gold file or the dataset is at fault, or the
            key may not send.
        Failure: the server is not reached; what it has taken is remembered.
    """
    constitution = _checked(version, kind, options)
    with store.alone("sending", progress.say):
        return _send_alone(version, kind, options, constitution, client, store, progress)


def _send_alone(
    version: Version,
    kind: Kind,
    options: SendOptions,
    constitution: Constitution | None,
    client: rg.Argilla,
    store: ReviewStore,
    progress: Progress,
) -> dict[str, Any]:
    from charter.review.client import workspace_of
    from charter.review.remote import external_ids, open_remote_dataset

    workspace = workspace_of(client, options.workspace)
    assert workspace is not None
    name = _name(version, kind, shown=options.shown)
    there = external_ids(client, workspace, name)
    other = external_ids(client, workspace, _name(version, kind, shown=not options.shown))
    path, key = _plan_path(store, kind, options), plan_key(version, kind, options)
    plan = kept_plan(path, key)
    if plan is not None:
        progress.say(f"going on with the draw of {len(plan.rows)} rows that was begun")
    else:
        plan = make_plan(version, kind, options, constitution, store.sent() | there | other)
        keep_plan(path, key, plan)
    if not plan.rows:
        drop_plan(path)
        return _result(version, kind, options, plan, None, 0)
    settings = review_settings(
        kind,
        critiques=options.critiques and kind == "preference",
        overlap=options.overlap,
        guidelines=review_guidelines(kind, constitution, shown=options.shown),
        client=client,
    )
    remote = open_remote_dataset(client, workspace, name, settings, progress.say)
    frame = Frame(
        repo=version.repo,
        tag=version.tag,
        kind=kind,
        constitution=constitution,
        shown=options.shown,
        better=remote.better,
        votes=_votes(version, kind, options, plan.rows),
    )
    # With --again a record that is there may be one of an earlier draw: its metadata is renewed.
    # And rows of a draw that was cut off may have been sent by another one since.
    done: set[str] = set() if options.again else there | other
    sent = _put_all(remote, version, frame, options, plan, done, store, progress)
    drop_plan(path)
    return _result(version, kind, options, plan, remote, sent)


def plan_only(
    version: Version, kind: Kind, options: SendOptions, store: ReviewStore
) -> dict[str, Any]:
    """What `send_rows` would draw by what this machine knows; no server is asked.

    Raises:
        InputError: as `send_rows`.
    """
    constitution = _checked(version, kind, options)
    plan = make_plan(version, kind, options, constitution, store.sent())
    found = _result(version, kind, options, plan, None, 0)
    return found | {"rows": [row.row_id for row in plan.rows]}


def _checked(version: Version, kind: Kind, options: SendOptions) -> Constitution | None:
    place = f"{version.repo}@{version.tag}"
    if kind not in version.configs():
        raise InputError(Fault(place, "", f"it has no {kind} rows", "choose the other --kind"))
    if options.critiques and kind == "preference" and not options.shown:
        what = "the judge's rationale names its choice, so a check with it is not blind"
        raise InputError(Fault(place, "critiques", what, "add --show-ai, or leave critiques out"))
    path = version.path / "constitution.yaml"
    return load_constitution(path) if is_file(path) else None


def _name(version: Version, kind: Kind, *, shown: bool) -> str:
    return dataset_name(version.repo, kind) + ("--shown" if shown else "")


def _plan_path(store: ReviewStore, kind: Kind, options: SendOptions) -> Path:
    how = "shown" if options.shown else "blind"
    return store.path.with_suffix(f".{kind}-{how}.draw.json")


def _votes(
    version: Version, kind: Kind, options: SendOptions, rows: Sequence[Planned]
) -> dict[str, list[dict[str, Any]]]:
    """The judge's votes on the rows, where its rationale is shown."""
    if not options.critiques or kind != "preference" or "judgments" not in version.configs():
        return {}
    frame = version.rows("judgments")
    ours = frame.filter(frame["comparison_id"].is_in([row.row_id for row in rows]))
    votes: dict[str, list[dict[str, Any]]] = {}
    for vote in ours.iter_rows(named=True):
        votes.setdefault(vote["comparison_id"], []).append(vote)
    return votes


def _put_all(
    remote: Remote,
    version: Version,
    frame: Frame,
    options: SendOptions,
    plan: Plan,
    done: set[str],
    store: ReviewStore,
    progress: Progress,
) -> int:
    from charter.review.remote import batches

    sent, step = 0, f"send {frame.kind}"
    progress.begin(step, len(plan.rows), "rows")
    for ids, body in batches(_records(version, frame, options, plan.rows, done)):
        remote.put(body)
        store.note_sent(ids, version.tag)
        sent += len(ids)
        progress.advance(step, len(ids))
    if len(plan.rows) > sent:
        progress.advance(step, len(plan.rows) - sent)
    return sent


def _records(
    version: Version,
    frame: Frame,
    options: SendOptions,
    planned: Sequence[Planned],
    done: set[str],
) -> Iterator[dict[str, Any]]:
    """The records that are not there yet."""
    gold = {}
    if options.gold is not None:
        gold = {each.row["id"]: each.row for each in read_gold(options.gold, version, frame.kind)}
    there = {each.rpartition("@")[0] for each in done}
    for start in range(0, len(planned), _CHUNK):
        part = planned[start : start + _CHUNK]
        rows: Mapping[str, Any] = gold | rows_of(version, frame.kind, [row.row_id for row in part])
        for one in part:
            row = rows[one.row_id]
            if one.row_id in there and any(
                external_id(one.row_id, texts_digest(frame.texts(row, side))) in done
                for side in ((None,) if one.first is None else _SIDES)
            ):
                continue
            yield record_of(row, one, frame)


def _result(
    version: Version,
    kind: Kind,
    options: SendOptions,
    plan: Plan,
    remote: Remote | None,
    sent: int,
) -> dict[str, Any]:
    skipped = len(plan.rows) - sent if remote is not None else 0
    return {
        "dataset": remote.name if remote else _name(version, kind, shown=options.shown),
        "url": remote.url if remote else None,
        "workspace": options.workspace,
        "version": f"{version.repo}@{version.tag}",
        "kind": kind,
        "drawn": len(plan.rows),
        "sent": sent,
        "already": plan.already + skipped,
        "population": plan.population,
        "too_long": plan.too_long,
        "seed": options.seed,
        "strata": [
            {"stratum": name, "rows": total, "sent": drawn}
            for name, (total, drawn) in plan.strata.items()
        ],
        "by_share": plan.by_share(),
    }
