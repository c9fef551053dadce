"""`charter improve`: round after round, while it helps; the best one is kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.interrupts import check_interrupt
from charter.cli.options import card_option, load, out_option, recipe_options
from charter.cli.output import Output, common
from charter.errors import Fault, InputError

if TYPE_CHECKING:
    from charter.improve.loop import Outcome
    from charter.improve.run import Improved
    from charter.recipes import Loaded

__all__ = ["command"]


@click.command("improve")
@recipe_options
@out_option
@click.option(
    "--rounds", type=click.IntRange(min=1), metavar="N", help="At most N.  [default: the recipe's]"
)
@click.option(
    "--beside",
    "others",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FOLDER",
    help="Put another loop's figures beside this one's; may be repeated.",
)
@click.option("--plan", "planned", is_flag=True, help="Say what is left to do; do nothing.")
@card_option
@common
def command(
    recipe: Path,
    settings: tuple[str, ...],
    limit: int | None,
    out: Path,
    rounds: int | None,
    others: tuple[Path, ...],
    planned: bool,
    card: str,
    as_json: bool,
    debug: bool,
) -> None:
    """Improve a model by its own recipe, round after round.

    A round: the model's answers are criticised and revised, and it learns from the revisions
    (SFT); its answers are judged in pairs, and it learns from the verdicts (DPO); then it is
    measured on prompts it was never trained on. It ends early when that shows no gain or a harm.
    Every round publishes two versions. An interrupted one is taken up by the same command; a
    changed recipe begins anew in a folder of its own.

    \b
    Example:
      charter improve recipes/quickstart.yaml --rounds 2 --limit 8
      charter improve mine/recipe.yaml --rounds 3 --set improve.beta=0.2 --json
      charter improve mine/recipe.yaml --beside out/improve/mine-0123456789ab
    """  # noqa: D301
    more = (*settings, f"improve.rounds={rounds}") if rounds is not None else settings
    output = Output(as_json)
    loaded = load(recipe, more, limit)
    if planned:
        if others:
            raise click.UsageError("--beside is of the report, and --plan makes none")
        _plan(output, loaded, out)
        return
    from charter.hub import HubOptions
    from charter.improve.run import improve

    hub = HubOptions(card=card, pr=None)  # it has no --pr
    if loaded.recipe.publish.to != "hub" and hub != HubOptions(pr=None):
        fix = "set publish.to: hub, or leave it out"
        raise InputError(Fault(str(recipe), "publish.to", "--card belongs to a Hub", fix))
    started = time.monotonic()

    def say(line: str) -> None:
        check_interrupt()
        output.line(f"[{time.monotonic() - started:7.1f} s] {line}")

    result = improve(loaded, out, say, output.progress, others, hub)
    _show(output, loaded, result)
    output.result(result.found)


def _show(output: Output, loaded: Loaded, result: Improved) -> None:
    from charter.improve.report import round_table, settings_rows

    outcome = result.outcome
    output.line("\nRounds (95 % intervals; * is kept; length in characters)")
    head, rows = round_table(outcome, loaded)
    names = [f"round {row[0]}" if str(row[0])[0].isdigit() else str(row[0]) for row in rows]
    _turned(output, head[1:], names, [row[1:] for row in rows])
    output.line("\nRefused, by category")
    categories = [
        ("base" if each.number == 0 else f"round {each.number}", name, f"{c.refused} of {c.n}")
        for each in outcome.rounds
        for name, c in each.categories.items()
    ]
    output.table(("", "category", "refused"), categories)
    _show_depth(output, outcome)
    output.line("")
    output.table(("set", ""), settings_rows(loaded, outcome.done))
    _show_beside(output, result)
    output.line("")
    for end, said in zip(outcome.ends, outcome.said, strict=True):
        output.line(f"ended by {end}: {said}")
    for effect in result.found["effects"]:
        output.line(f"  seen: {effect}")
    for warning in result.found["judge_warnings"]:
        output.line(f"  of the judge: {warning}")
    model = "the embedded model" if result.model is None else str(_as_given(result))
    kept = "the model before any round" if outcome.best == 0 else f"round {outcome.best}"
    output.line(f"kept: {kept}, {model}")
    output.line(f"report: {result.folder / 'report.html'}")


def _turned(
    output: Output, head: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """A figure a line and a row a column, for a terminal has no room for ten columns."""
    figures = [
        (name, *(f"{row[at]:,}" if isinstance(row[at], int) else row[at] for row in rows))
        for at, name in enumerate(head)
    ]
    output.table(("", *names), figures)


def _show_beside(output: Output, result: Improved) -> None:
    """What was set otherwise in other loops, and what was measured of them."""
    from charter.improve.beside import PAIRED_NOTE

    if result.beside is None:
        return
    output.line("\nBeside other loops, from the same base and on the same prompts")
    differing, settings = result.beside.differing()
    if settings:
        output.table(differing, settings)
    else:
        output.line("nothing that can change a figure is set otherwise")
    output.line("")
    head, rows = result.beside.measured()
    _turned(output, head[2:], [f"{row[0]} round {row[1]}" for row in rows], [r[2:] for r in rows])
    head, rows = result.beside.refusals()
    if rows:
        output.line(f"\n{PAIRED_NOTE}")
        output.table(head, rows)
    for line in result.beside.missing():
        output.line(line)


def _as_given(result: Improved) -> Path:
    """The kept model's folder by the name of `--out`, where it lies there."""
    assert result.model is not None
    model, folder = Path(result.model), result.folder.absolute()
    return result.folder / model.relative_to(folder) if model.is_relative_to(folder) else model


def _show_depth(output: Output, outcome: Outcome) -> None:
    from charter.improve.depth_report import depth_lines, depth_table

    head, rows = depth_table(outcome.rounds, outcome.best)
    said = depth_lines(outcome.rounds)
    if rows or said:
        output.line(
            "\nHow deep the safety goes (share of continuations that comply, by forced tokens)"
        )
    if rows:
        names = [row[0] if row[0].startswith("base") else f"round {row[0]}" for row in rows]
        _turned(output, head[1:], names, [row[1:] for row in rows])
    for line in said:
        output.line(f"  depth: {line}")


def _plan(output: Output, loaded: Loaded, out: Path) -> None:
    from charter.improve.plan import plan

    found = plan(loaded, out)
    output.line(
        f"{found['prompts']:,} prompts, {found['evaluated']:,} evaluated a round, at most "
        f"{found['rounds']} rounds; state in {found['path']}"
    )
    output.table(
        ("round", "step", "at most calls", ""),
        [(e["round"], e["step"], e["calls"], "done" if e["done"] else "") for e in found["steps"]],
    )
    output.result(found)
