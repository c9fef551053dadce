"""`charter review report`: how far people and the AI agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.options import Real, open_named, seed_option, store_option
from charter.cli.output import Output, common
from charter.cli.review_serve import data_option
from charter.cli.written import WrittenFile, write_text
from charter.errors import Fault, InputError

if TYPE_CHECKING:
    from charter.hub import Version
    from charter.review.spot_check import SpotCheck

__all__ = ["command"]

_SHOWN = 5  # rows of disagreement that are printed


@click.command("report")
@click.argument("version")
@click.option(
    "--out",
    type=WrittenFile(),
    metavar="FILE.html",
    help="Write a page.",
)
@click.option(
    "--min-gold",
    type=Real(0, 1),
    metavar="X",
    help="Flag reviewers who are right on less of the gold rows; else as the recipe says.",
)
@click.option("--leave-out", is_flag=True, help="Leave the answers of flagged reviewers out.")
@click.option(
    "--rows",
    type=click.IntRange(0, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="Rows of strongest disagreement, of each config.",
)
@seed_option("Of the bootstraps.")
@data_option
@store_option
@common
def command(
    version: str,
    out: Path | None,
    min_gold: float | None,
    leave_out: bool,
    rows: int,
    seed: int,
    data: Path | None,
    store: Path,
    as_json: bool,
    debug: bool,
) -> None:
    """Compare people's answers with the AI's labels of VERSION, and with each other.

    The answers are those that were collected on this machine and those that the version holds,
    without those of reviewers who fail the gold rows where its recipe has min_gold_accuracy.

    \b
    Example:
      charter review report me/quickstart@v0.1.0
      charter review report me/quickstart@v0.1.0 --out review.html --min-gold 0.8 --leave-out
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from charter.review.block import review_block
    from charter.review.report import review_report

    output = Output(as_json)
    opened = open_named(version, store)
    if min_gold is None:
        # As `charter review publish` counts them.
        min_gold = review_block(opened).min_gold_accuracy
        if leave_out and min_gold is None:
            raise click.UsageError("--leave-out needs --min-gold: nobody is flagged without it")
        leave_out = True
    report = review_report(
        _answers(opened, data), opened, seed, min_gold=min_gold, leave_out=leave_out, most=rows
    )
    _print(output, report)
    if out is not None:
        report["page"] = _write(out, report)
        output.line(f"\npage: {out}")
    output.result(report)


def _answers(version: Version, data: Path | None) -> list[SpotCheck]:
    """What was collected here, and what the version holds; each answer once.

    Raises:
        InputError: there is none.
    """
    from charter.review.publish import merged
    from charter.review.store import ReviewStore

    with ReviewStore.open(version.repo, data) as kept:
        found = merged(version, kept.spot_checks(), kept.gone())
    if not found:
        fix = f"send rows and collect: charter review collect {version.repo}"
        raise InputError(Fault(f"{version.repo}@{version.tag}", "", "has no answers yet", fix))
    return found


def _write(path: Path, report: Mapping[str, Any]) -> str:
    from charter.review.page import review_page

    write_text(path, review_page(report))
    return str(path)


def _print(output: Output, report: Mapping[str, Any]) -> None:
    output.line(f"review of {report['repo']}@{report['version']}")
    _print_config(output, report)
    if "sft" in report:
        output.line("\nrevisions (sft)")
        _print_config(output, report["sft"])
    apart = report["disagreements"]
    if apart:
        output.line("\nrows of strongest disagreement")
    for row in apart[:_SHOWN]:
        _print_row(output, row)
    if len(apart) > _SHOWN:
        output.line(f"\nand {len(apart) - _SHOWN} more; --out and --json have them")


def _print_config(output: Output, figures: Mapping[str, Any]) -> None:
    from charter.review.report import notes, tables

    output.line(
        f"  {figures['n']:,} {figures['kind']} rows, {figures['answers']:,} answers, "
        f"reviewers: {figures['reviewers']}"
    )
    for note in notes(figures):
        output.line(f"  note: {note}")
    for table in tables(figures):
        output.line(f"\n{table.title}")
        output.table(table.head, table.rows)


def _print_row(output: Output, row: Mapping[str, Any]) -> None:
    sure = "" if row["p_chosen"] is None else f", p_chosen {row['p_chosen']:.2f}"
    output.line(f"\n-- {row['row_id']}: {row['verdict']}{sure}")
    for name, text in row["texts"].items():
        output.quote(name.replace("_", " "), text)
    for each in row["answers"]:
        if each["comment"]:
            output.quote(f"{each['reviewer']} says {each['verdict']}", each["comment"])
