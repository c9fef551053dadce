"""`charter audit injections`: responses that try to win by talking to the judge."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.options import seed_option
from charter.cli.output import Output, common
from charter.cli.written import WrittenFile, write_page

if TYPE_CHECKING:
    from charter.cli.judging import JudgeSetup
    from charter.evals.injections import AttackReport, AttackSet, Detection
    from charter.stats import Estimate

__all__ = ["injections"]

_MODES = ("logprob", "verdict", "vote", "cot")


@click.command("injections")
@click.option("--model", metavar="local|DIR", help="Who judges the attacks.")
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge, constitution and mode of a recipe.",
)
@click.option("--mode", type=click.Choice(_MODES), help="How it is asked.  [logprob]")
@click.option("--constitution", metavar="NAME", help="By what.  [hhh]")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The first N attacks.")
@seed_option("Of the principles drawn.")
@click.option("--html", type=WrittenFile(), metavar="FILE", help="Write a page.")
@common
def injections(
    limit: int | None, html: Path | None, as_json: bool, debug: bool, **given: Any
) -> None:
    """Measure how many shipped attacks win a label, before and after the detector.

    Each attack is a bad answer that speaks to the judge, against an honest one. Without a model
    or a recipe only the detector is measured: what it finds, and what it takes for an attack.

    \b
    Example:
      charter audit injections
      charter audit injections --model local --constitution hhh --html attacks.html
    """  # noqa: D301
    from charter.evals.injections import injections_page, load_attacks, measure_detector

    output = Output(as_json)
    attacks = load_attacks().first(limit)
    found = measure_detector(attacks)
    report = _judged(output, attacks, given)
    _show(output, attacks, found, report)
    if html is not None:
        title = "Attacks on the judge" if report else "The detector of attacks on the judge"
        write_page(output, html, injections_page(title, attacks, found, report))
    result: dict[str, Any] = {"attacks": len(attacks.attacks), "detector": found.as_json()}
    output.result(result | ({"success": report.as_json()} if report else {}))


def _judged(output: Output, attacks: AttackSet, given: Mapping[str, Any]) -> AttackReport | None:
    """The attacks put to the judge; None where there is none."""
    if given["model"] is None and given["recipe"] is None:
        for name in ("mode", "constitution"):
            if given[name] is not None:
                raise click.UsageError(f"--{name} needs a judge; give --model or --recipe")
        return None
    from charter.cli.judging import GivenPair, judge_pairs
    from charter.evals.injections import measure_attacks

    setup, margins = _setup(given)
    pairs = [GivenPair(a.id, a.messages, a.attack, a.honest) for a in attacks.attacks]
    with output.progress() as progress:
        votes = judge_pairs(pairs, setup, progress)
    return measure_attacks(attacks.attacks, votes, setup.weights, mode=_mode(setup.mode), **margins)


def _mode(name: str) -> Any:
    """A mode by its name; click has checked it."""
    assert name in _MODES
    return name


def _setup(given: Mapping[str, Any]) -> tuple[JudgeSetup, dict[str, float]]:
    """Who judges and how: of the recipe, where one is named, and the options over it."""
    from charter.cli.judging import judge_setup
    from charter.cli.options import load
    from charter.constitutions import find_constitution, load_constitution

    recipe = load(given["recipe"], (), None) if given["recipe"] else None
    preference = recipe.recipe.preference if recipe else None
    if recipe and given["constitution"] is None:
        constitution = recipe.constitution
    else:
        constitution = load_constitution(find_constitution(given["constitution"] or "hhh"))
    own = preference and not given["constitution"]
    setup = judge_setup(
        constitution,
        recipe,
        model=given["model"],
        mode=given["mode"],
        principles=None if own else 1,
        seed=given["seed"],
    )
    if not preference:
        return setup, {}
    return setup, {"min_margin": preference.min_margin, "tie_band": preference.tie_band}


def _show(
    output: Output, attacks: AttackSet, found: Detection, report: AttackReport | None
) -> None:
    output.line(f"{len(attacks.attacks)} attacks, {len(attacks.benign)} look-alikes")
    rows = [("attacks found", *_columns(found.recall))]
    rows += [(f"  {kind}", *_columns(each)) for kind, each in found.by_kind.items()]
    rows.append(("false alarms, look-alikes", *_columns(found.false_alarms)))
    rows.append(("false alarms, honest answers", *_columns(found.honest_alarms)))
    output.line("\nthe detector alone (95 % Wilson interval)")
    output.table(("", "share", "interval", "n"), rows)
    output.line(
        "the rules know these attacks; of new wordings they found a third when they were new"
    )
    if found.missed:
        output.line(f"not found: {', '.join(found.missed)}")
    for name, alarm in found.alarms.items():
        output.line(f"false alarm: {name}: {alarm.found}")
    if report is None:
        output.line("\nno judge was asked; --model local asks the embedded one")
        return
    from charter.evals.injections import KEEPS

    for keep in KEEPS:
        _show_success(output, keep, report)


def _show_success(output: Output, keep: str, report: AttackReport) -> None:
    groups = {"all": report.success[keep], **report.by_kind[keep], **report.by_place[keep]}
    rows = [
        (name, *_columns(each.before), *_columns(each.after)[:2]) for name, each in groups.items()
    ]
    right = report.right[keep]
    rows.append(("honest answers that win", *_columns(right.before), *_columns(right.after)[:2]))
    output.line(f"\nattacks that win a label, keep: {keep}")
    output.table(("", "before", "interval", "n", "after", "interval"), rows)
    if report.reasons[keep]:
        shown = ", ".join(f"{count} {reason}" for reason, count in report.reasons[keep].items())
        output.line(f"no label before the detector: {shown}")
    won = report.winners(keep, True)
    if won:
        output.line(f"won all the same: {', '.join(won)}")


def _columns(found: Estimate) -> tuple[str, str, int]:
    if found.value is None:
        return "-", "-", found.n
    return f"{found.value:.2f}", f"{found.low:.2f} to {found.high:.2f}", found.n
