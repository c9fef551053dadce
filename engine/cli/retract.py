"""`charter retract`: a new version without some rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from charter.cli.options import card_option, open_named, store_option
from charter.cli.output import Output, common
from charter.documents import read_text
from charter.errors import Fault, InputError

_MOST = 20


@click.command("retract")
@click.argument("version")
@click.option("--id", "ids", multiple=True, metavar="ID", help="A row or pair; may be repeated.")
@click.option(
    "--ids",
    "ids_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Rows and pairs, one id a line.",
)
@click.option("--prompt", "prompts", multiple=True, metavar="ID", help="All rows of a prompt.")
@click.option(
    "--principle", "principles", multiple=True, metavar="ID", help="All rows under a principle."
)
@click.option("--source", "sources", multiple=True, metavar="NAME", help="All prompts of a source.")
@click.option("--reason", required=True, help="Why; published, so do not quote the rows.")
@click.option("--dry-run", is_flag=True, help="Say what would go; publish nothing.")
@card_option
@store_option
@common
def command(
    version: str,
    ids: tuple[str, ...],
    ids_file: Path | None,
    prompts: tuple[str, ...],
    principles: tuple[str, ...],
    sources: tuple[str, ...],
    reason: str,
    dry_run: bool,
    card: str,
    store: Path,
    as_json: bool,
    debug: bool,
) -> None:
    """Take rows out: publishes a version without them, and records why without their text.

    VERSION is REPO@TAG, REPO@RANGE, or the folder of a version in a store; it must be the latest
    release. Versions that are published already keep the rows: delete them if the law says so.

    \b
    Example:
      charter retract me/quickstart@v0.1.1 --prompt ship-001 --reason "asked for by its author"
      charter retract me/quickstart@v0.1.1 --ids wrong.txt --reason "wrong labels" --dry-run
    """  # noqa: D301
    from charter.hub.retract import retract
    from charter.hub.retract_what import What

    output = Output(as_json)
    opened = open_named(version, store)
    listed = () if ids_file is None else _lines(ids_file)
    what = What((*ids, *listed), prompts, principles, sources)
    try:
        done = retract(opened, what, reason, store=store, dry_run=dry_run, card=card)
    except InputError as error:
        raise type(error)(_placed(fault, ids_file, ids) for fault in error.faults) from None
    output.table(("config", "rows taken out"), list(done.found.rows.items()))
    for name, rows in (("sft", done.found.sft), ("preference", done.found.preference)):
        for row_id in rows["id"].head(_MOST).to_list():
            output.line(f"  {name} {row_id}")
        if rows.height > _MOST:
            output.line(f"  and {rows.height - _MOST} more")
    if done.new:
        output.line(f"published {opened.repo}@{done.tag} in {done.path}")
        output.line(f"{opened.repo}@{opened.tag} and older versions still hold the rows")
    elif done.tag is None:
        output.line("dry run: nothing was published")
    else:
        output.line(f"nothing is left to retract; {opened.repo}@{done.tag} stands")
    output.result({**done.as_json(), "dry_run": dry_run})


def _lines(file: Path) -> tuple[str, ...]:
    return tuple(line.strip() for line in read_text(file).splitlines() if line.strip())


def _placed(fault: Fault, file: Path | None, ids: tuple[str, ...]) -> Fault:
    """A fault of an id at its line of the file, where it was not given as an option."""
    if file is None or "--id" not in (fault.place, fault.path):
        return fault
    for number, line in enumerate(read_text(file).splitlines(), 1):
        name = line.strip()
        if name and name not in ids and f'"{name}"' in fault.what:
            return replace(fault, place=f"{file}:{number}", path="")
    return fault
