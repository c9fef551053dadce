"""`charter audit judge`: a judge's votes against people's labels, and against themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.options import seed_option, store_option
from charter.cli.output import Output, common
from charter.cli.written import WrittenFile, write_page
from charter.errors import Fault, InputError

if TYPE_CHECKING:
    from charter.cli.judging import JudgeSetup
    from charter.evals.judge_audit import JudgeAudit, Recorded
    from charter.evals.judge_figures import Figures
    from charter.evals.judge_votes import JudgedVote

__all__ = ["judge"]

DEFAULT_LABELS = "Output (a)/(b)"
_SHOWN = 10  # votes read differently that are printed
_BY_PART = (
    "accuracy",
    "order_consistency",
    "first_position_rate",
    "tie_rate",
    "unparsed_rate",
    "cohen_kappa",
    "ece",
)
_MODES = ("logprob", "verdict", "cot", "vote")


@dataclass(slots=True)
class _Source:
    """Votes by pass, with what belongs to them."""

    name: str
    passes: Mapping[str, list[JudgedVote]]
    noted: Counter[str] = field(default_factory=Counter)
    sampling: Mapping[str, float] | None = None
    published: frozenset[str] | None = None


@click.command("judge")
@click.argument("version", required=False)
@click.option(
    "--people",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="VERSION: people's labels, {comparison_id, human_label} a line.",
)
@click.option(
    "--votes",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Recorded votes (jsonl, also .gz); asks no model.",
)
@click.option("--labels", metavar="FORM", help=f"--votes: place names. [{DEFAULT_LABELS}]")
@click.option("--pass", "only", metavar="PASS", help="--votes: this pass alone, such as final.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Pairs to judge now: {prompt, chosen, rejected} a line (jsonl, also .gz).",
)
@click.option("--model", metavar="local|DIR", help="--data: who judges.")
@click.option("--constitution", metavar="NAME", help="--data: by what.")
@click.option("--mode", type=click.Choice(_MODES), help="--data: how.  [logprob]")
@click.option("--principle", "principles", multiple=True, metavar="ID", help="--data: only these.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="--data: the first N pairs.")
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="--data: judge, constitution and mode of a recipe.",
)
@click.option("--html", type=WrittenFile(), metavar="FILE", help="Write a page.")
@seed_option("Of draws and bootstraps.")
@store_option
@common
def judge(
    version: str | None,
    html: Path | None,
    seed: int,
    store: Path,
    as_json: bool,
    debug: bool,
    **given: Any,
) -> None:
    """How far a judge can be trusted: against people, and against itself.

    Of a published VERSION (REPO@TAG, REPO@RANGE or its folder), of votes that were recorded
    somewhere (--votes), or of labelled pairs that a model judges now (--data). Without people's
    labels there are still order consistency, position and length bias, ties and unread answers.

    \b
    Example:
      charter audit judge me/quickstart@v0.1.0 --people checks.jsonl --html audit.html
      charter audit judge --votes votes.jsonl.gz --pass final
      charter audit judge --votes votes.jsonl --labels "Response A/B" --json
      charter audit judge --data pairs.jsonl.gz --model local --constitution hhh --limit 50
    """  # noqa: D301
    output = Output(as_json)
    _check_options(version, given)
    if given["votes"]:
        source = _recorded_source(given)
    elif given["data"]:
        source = _judged_source(output, given, seed)
    else:
        assert version is not None
        source = _version_source(version, given["people"], store)
    _report(output, source, html, seed)


def _report(output: Output, source: _Source, html: Path | None, seed: int) -> None:
    """The audit of each pass: as text, as a page, and as one object."""
    from charter.evals.judge_audit import audit_judge

    audits = {
        name: audit_judge(votes, sampling=source.sampling, published=source.published, seed=seed)
        for name, votes in source.passes.items()
    }
    _show(output, source, audits)
    if html is not None:
        _write_page(output, html, source.name, audits)
    last, audit = list(audits.items())[-1]
    output.result(
        {
            "source": source.name,
            "pass": last or None,
            **audit.as_json(),
            "passes": {name: each.as_json() for name, each in audits.items() if name},
            "noted": dict(source.noted),
        }
    )


def _check_options(version: str | None, given: Mapping[str, Any]) -> None:
    """One source, and no option of another one."""
    sources = {"VERSION": version, "--votes": given["votes"], "--data": given["data"]}
    named = [name for name, value in sources.items() if value is not None]
    if len(named) != 1:
        what = f"{' and '.join(named)} together" if named else "nothing to audit is named"
        raise click.UsageError(f"{what}; name one of VERSION, --votes and --data")
    belongs = {
        "VERSION": ("people",),
        "--votes": ("labels", "only"),
        "--data": ("model", "constitution", "mode", "principles", "limit", "recipe"),
    }
    spelled = {"only": "--pass", "principles": "--principle"}
    faults = [
        Fault(spelled.get(option, f"--{option}"), "", f"belongs to {owner}", "leave it out")
        for owner, options in belongs.items()
        for option in options
        if owner != named[0] and given[option] not in (None, ())
    ]
    if faults:
        raise InputError(faults)


def _recorded_source(given: Mapping[str, Any]) -> _Source:
    from charter.evals.judge_votes import read_votes
    from charter.steps.verdict import Labels

    labels = Labels.parse(given["labels"] or DEFAULT_LABELS)
    found = read_votes(given["votes"], labels, given["only"])
    # The pass that a judge was held to comes last, whatever the order of the lines.
    names = sorted(found.passes, key=lambda name: name == "final")
    passes = {name: found.passes[name] for name in names}
    return _Source(str(given["votes"]), passes, found.noted)


def _version_source(name: str, people: Path | None, store: Path) -> _Source:
    from charter.cli.options import open_named
    from charter.evals.judge_sources import votes_of_version

    version = open_named(name, store)
    found = votes_of_version(version, people)
    return _Source(
        name=f"{version.repo}@{version.tag}",
        passes={"": found.votes},
        noted=found.people.noted,
        sampling=found.people.sampling,
        published=found.published,
    )


def _judged_source(output: Output, given: Mapping[str, Any], seed: int) -> _Source:
    from charter.cli.judging import GivenPair, judge_pairs
    from charter.evals.judge_sources import read_pairs

    setup = _setup(given, seed)
    pairs = read_pairs(given["data"], given["limit"], seed)
    asked = [GivenPair(pair.id, pair.prompt, pair.a, pair.b) for pair in pairs.pairs]
    with output.progress() as progress:
        judged = judge_pairs(asked, setup, progress)
    votes = pairs.votes(
        judged,
        judge_model=setup.model.model or setup.model.llm,
        weights=setup.weights,
    )
    without = sum(not each for each in judged)
    if without:
        pairs.noted["pairs that got no vote (left out)"] += without
    if not votes:
        raise InputError(Fault(str(given["data"]), "", "no pair got a vote", "check the pairs"))
    return _Source(str(given["data"]), {"": votes}, pairs.noted)


def _setup(given: Mapping[str, Any], seed: int) -> JudgeSetup:
    """Who judges and how: of the recipe, where one is named, and the options over it."""
    from charter.cli.judging import judge_setup
    from charter.cli.options import load
    from charter.constitutions import find_constitution, load_constitution

    recipe = load(given["recipe"], (), None) if given["recipe"] else None
    if given["constitution"]:
        constitution = load_constitution(find_constitution(given["constitution"]))
    elif recipe:
        constitution = recipe.constitution
    else:
        raise click.UsageError("--data needs a constitution; give --constitution or --recipe")
    if not given["model"] and not recipe:
        raise click.UsageError("--data needs a judge; give --model or --recipe")
    return judge_setup(
        constitution,
        recipe,
        model=given["model"],
        mode=given["mode"],
        principles=given["principles"],
        seed=seed,
    )


def _show(output: Output, source: _Source, audits: Mapping[str, JudgeAudit]) -> None:
    output.line(f"judge audit of {source.name}")
    for note, count in source.noted.items():
        output.line(f"  note: {note}: {count:,}")
    if len(audits) > 1:
        shown = ", ".join(audits)
        output.line(f"  passes {shown}, each alone; the figures that count are of the last")
    for name, audit in audits.items():
        if name:
            output.line(f"\npass {name}")
        _show_audit(output, audit)


def _show_audit(output: Output, audit: JudgeAudit) -> None:
    from charter.evals.judge_audit import GROUPS
    from charter.evals.judge_figures import FIGURES, rounded

    counts = audit.figures.counts
    output.line(f"  {counts['votes']:,} votes on {counts['comparisons']:,} comparisons")
    for warning in audit.warnings:
        output.line(f"  warning: {warning}")
    head = ("figure", "value [95 %]", "n", "what it is")
    output.table(head, _lines(audit.figures, FIGURES))
    if audit.partly_seen:
        output.line("\nall labels, by people's labels on a part (prediction-powered)")
        rows = [(name, rounded(found), found.n) for name, found in audit.powered.items().items()]
        output.table(("figure", "value [95 %]", "n"), rows)
    for group in GROUPS:
        if audit.groups[group]:
            output.line(f"\n{group.replace('_', ' ')}")
            _show_group(output, audit.groups[group])
    if audit.recorded is not None:
        _show_recorded(output, audit.recorded)


def _lines(found: Figures, names: Mapping[str, str]) -> list[tuple[str, str, int, str]]:
    from charter.evals.judge_figures import rounded

    return [(name, rounded(found[name]), found[name].n, what) for name, what in names.items()]


def _show_group(output: Output, groups: Mapping[str, Figures]) -> None:
    def short(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    head = ("", "n", *(name.replace("_rate", "").replace("_", " ") for name in _BY_PART))
    output.table(
        head,
        [
            (key, found.counts["comparisons"], *(short(found[name].value) for name in _BY_PART))
            for key, found in groups.items()
        ],
    )


def _show_recorded(output: Output, recorded: Recorded) -> None:
    from charter.evals.judge_figures import rounded

    agreement = rounded(recorded.agreement)
    output.line(f"\nwinners that the source recorded: read the same way {agreement}")
    names = ("accuracy_ab", "accuracy_ba", "accuracy_both", "order_consistency")
    shown = [(name, rounded(recorded.figures[name]), recorded.figures[name].n) for name in names]
    output.table(("figure by recorded winners", "value [95 %]", "n"), shown)
    apart = recorded.disagreements
    for each in apart[:_SHOWN]:
        output.line(
            f"  {each.comparison_id} {each.order.value}: "
            f"read {each.parsed.value}, recorded {each.recorded.value}"
        )
    if len(apart) > _SHOWN:
        output.line(f"  and {len(apart) - _SHOWN} more; --json has them all")


def _write_page(output: Output, path: Path, source: str, audits: Mapping[str, JudgeAudit]) -> None:
    from charter.evals.judge_page import audit_page

    write_page(output, path, audit_page(f"Judge audit of {source}", audits))
