"""`charter audit constitution`: what is vague, and which principles pull apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.output import Output, common
from charter.cli.written import WrittenFile, write_text
from charter.constitutions import Constitution, find_constitution, load_constitution
from charter.constitutions.lint import LintWarning, lint_constitution
from charter.errors import Fault, InputError

if TYPE_CHECKING:
    from charter.cli.judging import GivenPair, JudgeSetup
    from charter.evals.constitution_votes import ConstitutionFigures
    from charter.stats import Estimate
    from charter.steps.label import KeepRule

MODES = ("verdict", "logprob", "cot", "vote")
ORDERS = TIMES = 2
# What a pair's p must be away from 0.5 for a label, where nobody has said: as the quickstart has
# it. A judge's log-odds are never exactly even, so without it every principle would always apply.
MIN_MARGIN = 0.02


@click.command("constitution")
@click.argument("constitution_name", metavar="CONSTITUTION")
@click.option("--data", type=click.Path(path_type=Path), metavar="FILE", help="Pairs to judge.")
@click.option("--model", metavar="local|PATH", help="Who judges. [default: local]")
@click.option("--recipe", type=click.Path(path_type=Path), help="Judge, mode and rule of a recipe.")
@click.option("--mode", type=click.Choice(MODES), help="How it judges. [default: verdict]")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="Pairs.",
)
@click.option("--ask-applies", is_flag=True, help="Ask also on which conversations each bears.")
@click.option("--lint", is_flag=True, help="Wording alone; no model is asked.")
@click.option("--html", type=WrittenFile(), metavar="FILE", help="Write a page.")
@common
def constitution(
    constitution_name: str,
    data: Path | None,
    model: str | None,
    recipe: Path | None,
    mode: str | None,
    limit: int,
    ask_applies: bool,
    lint: bool,
    html: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """Find principles that are vague, unreliable, contradictory or redundant.

    Without --data the wording alone is looked at. With it a judge reads each of the first N
    pairs under every principle, in both orders, twice. FILE has one pair a line, as jsonl or
    jsonl.gz: `prompt`, `chosen`, `rejected`, as in a `preference` config.

    \b
    Example:
      charter audit constitution hhh --lint
      charter audit constitution hhh --data pairs.jsonl --mode logprob --html audit.html
    """  # noqa: D301
    output = Output(as_json)
    source = find_constitution(constitution_name)
    loaded = load_constitution(source)
    _check_options(lint, data, {"--model": model, "--recipe": recipe, "--mode": mode}, ask_applies)
    warnings = lint_constitution(loaded)
    _print_warnings(output, loaded, warnings)
    found = None
    about = [("Constitution", f"{loaded.name} {loaded.version}")]
    if data is not None:
        judge = _judge(loaded, model, recipe, mode)
        about += [("Judge", judge.name), ("Mode", judge.setup.mode), ("Pairs from", data.name)]
        found = _measure(output, judge, data, limit, ask_applies)
        _print_figures(output, found)
    elif not lint:
        output.line("No model was asked: give --data FILE to measure consistency.")
    if html is not None:
        _write_page(output, html, about, warnings, found)
    output.result(_as_json(loaded, warnings, found))


def _check_options(
    lint: bool, data: Path | None, of_judge: Mapping[str, Any], ask_applies: bool
) -> None:
    given = [name for name, value in of_judge.items() if value is not None]
    given += ["--ask-applies"] if ask_applies else []
    if lint and data is not None:
        given.append("--data")
    if given and (lint or data is None):
        what = "--lint asks no model" if lint else "there are no pairs to judge"
        fix = "leave one of them out" if lint else "give --data FILE"
        raise InputError(Fault(", ".join(given), "", what, fix))


@dataclass(frozen=True, slots=True)
class _Judge:
    """Who judges, and what makes a label of its votes."""

    name: str
    setup: JudgeSetup
    rule: KeepRule


def _judge(
    loaded: Constitution, model: str | None, recipe: Path | None, mode: str | None
) -> _Judge:
    """The judge of the recipe, where there is one; what stands in the options comes first."""
    from charter.cli.judging import judge_setup
    from charter.steps.label import KeepRule

    if recipe is None:
        chosen: Any = mode or "verdict"
        keep = ("margin", MIN_MARGIN) if chosen in ("logprob", "cot") else ("consistent", 0.0)
        rule = KeepRule(*keep, mode=chosen)  # type: ignore[arg-type]
        setup = judge_setup(loaded, None, model=model or "local", mode=chosen)
        return _Judge(model or "local", setup, rule)
    return _judge_of_recipe(loaded, model, recipe, mode)


def _judge_of_recipe(
    loaded: Constitution, model: str | None, recipe: Path, mode: str | None
) -> _Judge:
    from charter.cli.judging import judge_setup
    from charter.pipeline import keep_rule
    from charter.recipes import load_recipe

    read = load_recipe(recipe)
    own = keep_rule(read)
    if own is None:
        fix = "name a recipe with a `preference` block, or give --model"
        raise InputError(Fault(str(recipe), "preference", "the recipe has no judge", fix))
    chosen: Any = mode or own.mode
    # The audit asks both orders, whatever the recipe does.
    rule = replace(own, mode=chosen, orders="both")
    setup = judge_setup(loaded, read, model=model, mode=mode, principles="all")
    name = model or setup.model.model or setup.model.llm
    return _Judge(name, setup, rule)


def _measure(
    output: Output, judge: _Judge, data: Path, limit: int, ask_applies: bool
) -> ConstitutionFigures:
    from charter.cli.judging import GivenPair, judge_pairs
    from charter.evals.constitution_votes import measure_constitution
    from charter.evals.judge_sources import read_pairs

    read = read_pairs(data, limit)
    for what, count in read.noted.items():
        output.line(f"{count} {what}")
    pairs = [GivenPair(pair.id, pair.prompt, pair.a, pair.b) for pair in read.pairs]
    _print_calls(output, judge, len(pairs), ask_applies)
    votes: list[list[dict[str, Any]]] = [[] for _ in pairs]
    with output.progress() as progress:
        for sample in range(TIMES):
            # Another seed also draws another mark for the frame, so that a judge without
            # randomness, too, is asked something new.
            setup = replace(judge.setup, seed=judge.setup.seed + sample)
            for known, given in zip(votes, judge_pairs(pairs, setup, progress), strict=True):
                known += [{**vote, "sample": sample} for vote in given]
        bears = _bears(judge, pairs, progress) if ask_applies else {}
    principles = judge.setup.constitution.principles
    weights = {p.id: p.weight for p in principles}
    return measure_constitution([p.id for p in principles], votes, judge.rule, weights, bears)


def _print_calls(output: Output, judge: _Judge, pairs: int, ask_applies: bool) -> None:
    principles = len(judge.setup.constitution.principles)
    votes = judge.setup.votes if judge.setup.mode == "vote" else 1
    each = f" x {votes} votes" if votes > 1 else ""
    reasons = ", and once more for its reasons" if judge.setup.mode == "cot" else ""
    asked = principles * pairs * ORDERS * TIMES * votes * (2 if reasons else 1)
    output.line(
        f"{principles} principles x {pairs} pairs x {ORDERS} orders x {TIMES} times{each}"
        f"{reasons}: at most {asked + principles * pairs * ask_applies:,} "
        f"calls of {judge.name}{', whether they apply among them' if ask_applies else ''}"
    )


def _bears(judge: _Judge, pairs: list[GivenPair], progress: Any) -> dict[str, Estimate]:
    """On which share of the conversations each principle bears, as the judge says."""
    from charter.cli.judging import ask_calls
    from charter.stats import wilson
    from charter.steps.applies import Bears, applies_call, read_applies

    setup = judge.setup
    letter = setup.mode == "logprob"
    principles = setup.constitution.principles
    calls = [
        applies_call(pair.id, pair.prompt, principle, seed=setup.seed, letter=letter)
        for principle in principles
        for pair in pairs
    ]
    answers = ask_calls(calls, setup.model, progress, setup.run)
    found = {}
    for number, principle in enumerate(principles):
        part = answers[number * len(pairs) : (number + 1) * len(pairs)]
        said = [read_applies(answer, letter=letter) for answer in part]
        read = len(said) - said.count(Bears.UNPARSED)
        found[principle.id] = wilson(said.count(Bears.YES), read)
    return found


def _print_warnings(output: Output, loaded: Constitution, warnings: list[LintWarning]) -> None:
    for warning in warnings:
        output.line(str(warning))
    many = "warning" if len(warnings) == 1 else "warnings"
    output.line(
        f"{loaded.name} {loaded.version}: {len(loaded.principles)} principles, "
        f"{len(warnings)} {many} about their wording"
    )


def _print_figures(output: Output, found: ConstitutionFigures) -> None:
    from charter.evals.constitution_report import BRIEF, brief_rows, findings

    output.line()
    output.table(BRIEF, brief_rows(found))
    output.line()
    for line in findings(found):
        output.line(line)


def _write_page(
    output: Output,
    html: Path,
    about: list[tuple[str, str]],
    warnings: list[LintWarning],
    found: ConstitutionFigures | None,
) -> None:
    from charter.evals.constitution_report import audit_page

    if found is not None:
        about = [*about, ("Pairs", str(found.pairs))]
    write_text(html, audit_page(f"Audit of {about[0][1]}", about, warnings, found))
    output.line(f"page: {html}")


def _as_json(
    loaded: Constitution, warnings: list[LintWarning], found: ConstitutionFigures | None
) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "pairs": 0,
        "principles": {},
        "agreement": {},
        "contradictions": [],
        "redundant": [],
        "flips": {},
        "flips_again": {"value": None, "low": None, "high": None, "n": None},
    }
    listed = [
        {
            "principle_id": w.principle_id,
            "field": w.field,
            "rule": w.rule,
            "found": w.found,
            "advice": w.advice,
            "other": w.other,
        }
        for w in warnings
    ]
    head = {
        "constitution": loaded.name,
        "constitution_version": loaded.version,
        "fingerprint": loaded.fingerprint(),
        "warnings": listed,
    }
    return head | (empty if found is None else found.as_json())
