"""`charter show`: a version at a glance, or one row with all behind it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.options import open_named, store_option
from charter.cli.output import Output, common
from charter.cli.rejects import print_rows, rows_by_reason
from charter.cli.trace import print_answers, print_prompt, print_revisions, print_votes
from charter.errors import Fault, InputError, nearest

if TYPE_CHECKING:
    from charter.constitutions import Constitution
    from charter.hub import Version


@click.command("show")
@click.argument("version")
@click.argument("row", required=False)
@store_option
@common
def command(version: str, row: str | None, store: Path, as_json: bool, debug: bool) -> None:
    """Show a version, or one row of it by its id or its prompt's id.

    VERSION is REPO@TAG, REPO@RANGE, or the folder of a version. A row is shown with its whole
    trace: critiques, revisions, every vote behind its label, and what people said of it.

    \b
    Example:
      charter show me/quickstart@v0.1.0
      charter show me/quickstart@v0.1.0 ship-001
    """  # noqa: D301
    output = Output(as_json)
    opened = open_named(version, store)
    if row is None:
        _show_version(output, opened)
    else:
        _show_row(output, opened, row)


def _quoted(version: Version) -> str:
    """The folder, as it can be typed after a command."""
    return shlex.quote(str(version.path))


def _rows(version: Version, config: str) -> list[dict[str, Any]]:
    if config not in version.configs():
        return []
    found: list[dict[str, Any]] = version.rows(config, None).to_dicts()
    return found


def _show_version(output: Output, version: Version) -> None:
    from charter.review import candidates, draw_rows

    manifest = version.manifest
    output.line(f"{manifest.repo}@{manifest.tag} in {version.path}")
    c = manifest.constitution
    output.line(f"constitution {c.name} {c.version}, recipe {manifest.recipe.name}")
    for role, model in manifest.models.items():
        output.line(f"{role}: {model.get('model')} ({model.get('llm')})")
    output.table(
        ("config", "train", "test"),
        [(name, n.get("train", 0), n.get("test", 0)) for name, n in manifest.counts.items()],
    )
    rejects = rows_by_reason(version)
    print_rows(output, rejects)
    chosen = [each.row for each in draw_rows(candidates(version, "preference"), n=8, seed=0)]
    if chosen:
        output.line("rows to look at first (least sure labels, and some of all):")
        output.table(
            ("row", "p(chosen)", "orders"),
            [
                (c.row_id, f"{c.p_chosen:.3f}", "agree" if c.order_consistent else "disagree")
                for c in chosen
            ],
        )
        output.line(f"  charter show {_quoted(version)} {shlex.quote(chosen[0].row_id)}")
    output.result(
        {
            "repo": manifest.repo,
            "tag": manifest.tag,
            "path": str(version.path),
            "counts": manifest.counts,
            "rejects": rejects,
            "rows": [c.row_id for c in chosen],
        }
    )


def _show_row(output: Output, version: Version, wanted: str) -> None:
    from charter.constitutions import load_constitution

    prompt_ids: list[str] = []
    configs = ("sft", "preference", "judgments", "rejects", "reviews")
    data = {name: _rows(version, name) for name in configs}
    for config in ("sft", "preference"):
        prompt_ids += [r["prompt_id"] for r in data[config] if wanted in (r["id"], r["prompt_id"])]
    for config, key in (("judgments", "comparison_id"), ("rejects", "pair_id")):
        prompt_ids += [r["prompt_id"] for r in data[config] if wanted in (r[key], r["prompt_id"])]
    only = wanted if prompt_ids and wanted != prompt_ids[0] else None
    # A candidate, as votes name them, stands for all that was made of its prompt.
    votes = [v for v in data["judgments"] if wanted in (v["candidate_a"], v["candidate_b"])]
    prompt_ids += [vote["prompt_id"] for vote in votes]
    if not prompt_ids:
        known = {r["id"] for r in data["sft"] + data["preference"]}
        hint = nearest(wanted, known)
        fix = hint if hint.startswith("did you") else f"see `charter show {_quoted(version)}`"
        raise InputError(Fault(str(version.path), "", f'no row or prompt "{wanted}"', fix))
    prompt_id = prompt_ids[0]
    mine = {name: [r for r in rows if r["prompt_id"] == prompt_id] for name, rows in data.items()}
    constitution = load_constitution(version.path / "constitution.yaml")
    _print_trace(output, mine, only, constitution)
    output.result({"prompt_id": prompt_id, **mine})


def _print_trace(
    output: Output,
    mine: dict[str, list[dict[str, Any]]],
    only: str | None,
    constitution: Constitution,
) -> None:
    shown = mine["sft"] or mine["preference"]
    if shown:
        print_prompt(output, shown[0]["prompt"])
    for row in mine["sft"]:
        if only in (None, row["id"]):
            output.line(f"-- {row['id']}")
            print_revisions(output, row["initial_response"], row["revisions"])
            answers = [a for a in mine["reviews"] if a["row_id"] == row["id"]]
            print_answers(output, row, answers, constitution)
    for row in mine["preference"]:
        if only in (None, row["id"]):
            odds = "" if row["log_odds"] is None else f", log-odds {row['log_odds']:.3f}"
            output.line(
                f"-- {row['id']}: p(chosen) {row['p_chosen']:.4f}{odds}, "
                f"label by {row['label_source']}"
            )
            output.quote("chosen", row["chosen"][-1]["content"])
            output.quote("rejected", row["rejected"][-1]["content"])
            votes = [v for v in mine["judgments"] if v["comparison_id"] == row["id"]]
            _print_votes(output, votes)
            answers = [a for a in mine["reviews"] if a["row_id"] == row["id"]]
            print_answers(output, row, answers, constitution)
    for row in mine["rejects"]:
        if only in (None, row["pair_id"]):
            what = row["pair_id"] or row["ledger"]
            output.line(f"-- reject {what} at {row['stage']}: {row['reason']}, {row['detail']}")
            votes = [v for v in mine["judgments"] if v["comparison_id"] == row["pair_id"]]
            if votes:
                _print_votes(output, votes)
    _print_others(output, mine, only)


def _print_others(output: Output, mine: dict[str, list[dict[str, Any]]], only: str | None) -> None:
    """Pairs that were judged and were not to become rows (`pairs: best-worst`, `adaptive`)."""
    told = {row["id"] for row in mine["preference"]} | {row["pair_id"] for row in mine["rejects"]}
    for pair in dict.fromkeys(vote["comparison_id"] for vote in mine["judgments"]):
        if pair not in told and only in (None, pair):
            output.line(f"-- {pair}: judged, and not to become a row")
            _print_votes(output, [v for v in mine["judgments"] if v["comparison_id"] == pair])


def _print_votes(output: Output, votes: list[dict[str, Any]]) -> None:
    first = votes[0]
    output.line(f"A is {first['candidate_a']}, B is {first['candidate_b']}")
    print_votes(output, votes)
