"""`charter eval refusal`: who refuses what, by rules, by a judge and by people."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from charter.cli.names import server_address
from charter.cli.options import seed_option
from charter.cli.output import Output, common
from charter.cli.written import WrittenFile, write_text
from charter.errors import Fault, InputError

__all__ = ["command"]

_FILE = click.Path(path_type=Path)
_COLUMNS = ("prompt", "completion", "label", "category", "id", "judge")


def _columns(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--prompt-column` and the like."""
    for name in reversed(_COLUMNS):
        what = "labels that a judge gave elsewhere" if name == "judge" else f"the {name}"
        function = click.option(
            f"--{name}-column", metavar="NAME", help=f"Column with {what}, if named otherwise."
        )(function)
    return function


@click.command("refusal")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="local|DIR|NAME",
    help="Who is asked; the first is the base. A NAME is asked for at --base-url.",
)
@click.option(
    "--base-url",
    callback=server_address,
    metavar="URL",
    help="--model NAME: an OpenAI-compatible server.",
)
@click.option("--api-key-env", metavar="NAME", help="Environment variable with the key of servers.")
@click.option(
    "--completions",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="Answers made elsewhere (csv, jsonl, parquet, .gz), one model a file; asks no model.",
)
@click.option("--where", metavar="COLUMN=VALUE", help="--completions: only such records.")
@click.option("--prompts", default="prompts/shipped.jsonl", show_default=True, metavar="FILE")
@click.option("--dataset", metavar="OWNER/NAME", help="Prompts of a dataset on the Hub instead.")
@click.option("--revision", metavar="NAME", help="--dataset: branch, tag or commit.")
@click.option("--config", metavar="NAME", help="--dataset: its configuration.")
@click.option("--split", metavar="NAME", help="--dataset: its split.  [train]")
@_columns
@click.option(
    "--kind",
    type=click.Choice(("harmful", "borderline", "benign")),
    help="Of all prompts, where their categories don't say it.",
)
@click.option("--category", "categories", multiple=True, metavar="NAME", help="Only these.")
@click.option(
    "--per-category", type=click.IntRange(min=1), metavar="N", help="Prompts of each.  [16]"
)
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=64, show_default=True, help="Of an answer."
)
@click.option("--judge", metavar="local|DIR|NAME", help="A model that classifies as well.")
@click.option(
    "--judge-url",
    callback=server_address,
    metavar="URL",
    help="--judge NAME: its server.  [--base-url]",
)
@click.option("--weights", type=_FILE, metavar="FILE", help="Of --fit, instead of the shipped.")
@click.option(
    "--fit",
    type=WrittenFile(),
    metavar="FILE",
    help="Fit weights on labelled --completions, write them.",
)
@click.option(
    "--fit-partial",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="--fit: labelled answers that only tell partial refusals from full ones.",
)
@click.option(
    "--save", type=WrittenFile(), metavar="FILE", help="Write every answer and its labels."
)
@click.option("--html", "--out", "html", type=WrittenFile(), metavar="FILE", help="Write a page.")
@seed_option("Of calls and bootstraps.")
@common
def command(as_json: bool, debug: bool, **given: Any) -> None:
    """Count refusals, full and partial, of harmful, borderline and benign prompts.

    Answers come from models that are asked now, or from files; with labels of people in them, the
    rules are held against these. `local` is the embedded model.

    \b
    Example:
      charter eval refusal --model local --model out/models/me/quickstart/v0.1.0/dpo
      charter eval refusal --completions completions_gpt4.csv --html refusals.html
      charter eval refusal --completions prompts/refusals.jsonl --where split=held-out --json
      charter eval refusal --model me/model --base-url http://127.0.0.1:8000/v1 --judge local
    """  # noqa: D301
    from charter.evals.refusal_report import report_on

    _check(given)
    output = Output(as_json)
    if given["fit"]:
        _fit(output, given)
        return
    from charter.cli.refusal_ask import check_asked
    from charter.cli.refusal_show import show, write_page, write_rows

    check_asked(given)
    sets = _answers(output, given)
    if given["judge"]:
        _judge(output, sets, given)
    report = report_on(sets, given["seed"])
    show(output, report)
    if given["save"]:
        write_rows(output, given["save"], sets)
    if given["html"]:
        write_page(output, given["html"], report, sets)
    output.result(report.as_json())


def _check(given: Mapping[str, Any]) -> None:
    """Models or files, and no option of the other."""
    if bool(given["models"]) == bool(given["completions"]):
        what = "both are named" if given["models"] else "nothing to read is named"
        raise click.UsageError(f"{what}; name --model or --completions")
    asking = ("dataset", "revision", "config", "split", "per_category")
    rules = {
        "completions": (("base_url", *asking), "asks no model; leave it out"),
        "models": (("where", "completion_column", "judge_column"), "belongs to --completions"),
    }
    faults = [
        Fault(f"--{name.replace('_', '-')}", "", f"--{source} is given", fix)
        for source, (names, fix) in rules.items()
        if given[source]
        for name in names
        if given[name] is not None and not (name == "base_url" and given["judge"])
    ]
    if not given["dataset"]:
        faults += [
            Fault(f"--{name}", "", "there is no --dataset", "leave it out, or name one")
            for name in ("revision", "config", "split")
            if given[name] is not None
        ]
    faults += _idle(given)
    if given["where"] and "=" not in given["where"]:
        faults.append(Fault("--where", "", "has no =", "write COLUMN=VALUE"))
    if given["fit_partial"] and not given["fit"]:
        faults.append(Fault("--fit-partial", "", "there is no --fit", "name where to write"))
    if given["fit"] and given["models"]:
        faults.append(Fault("--fit", "", "needs labelled answers", "give --completions"))
    if faults:
        raise InputError(faults)


def _idle(given: Mapping[str, Any]) -> list[Fault]:
    """Options that would change nothing, a file that would be lost, a key that is not there."""
    faults = []
    if given["judge_url"] and not given["judge"]:
        faults.append(Fault("--judge-url", "", "there is no --judge", "leave it out, or name one"))
    variable = given["api_key_env"]
    if variable and not (given["base_url"] or given["judge_url"]):
        fix = "leave it out, or give --base-url or --judge-url"
        faults.append(Fault("--api-key-env", "", "no server is named", fix))
    elif variable and not os.environ.get(variable):
        fix = f"export {variable}=..."
        faults.append(Fault("--api-key-env", "", f"{variable} is not set", fix))
    if given["save"] and given["save"] == given["html"]:
        faults.append(Fault("--save", "", "is the file of the page", "name another file"))
    if given["fit"]:
        faults += [
            Fault(f"--{name}", "", "does nothing beside --fit", "leave it out")
            for name in ("judge", "weights", "category", "save", "html")
            if given["categories" if name == "category" else name]
        ]
    return faults


def _named_columns(given: Mapping[str, Any]) -> dict[str, str]:
    return {name: given[f"{name}_column"] for name in _COLUMNS if given[f"{name}_column"]}


def _files(given: Mapping[str, Any]) -> list[Any]:
    """The answers of each file, not yet read by the rules."""
    from charter.evals.refusal_sources import read_answers
    from charter.recipes.load import resolve

    where = tuple(given["where"].split("=", 1)) if given["where"] else None
    found = []
    for path in given["completions"]:
        files = resolve(str(path), Path()) or [path]
        found += [read_answers(f, _named_columns(given), given["kind"], where) for f in files]
    _rename(found, [str(path) for path in given["completions"]])
    return found


def _rename(sets: list[Any], names: list[str]) -> None:
    """Give sets of one name the whole path, and what still has one name a number."""
    for one, name in zip(sets, names, strict=False):
        if sum(each.name == one.name for each in sets) > 1:
            one.name = name
    seen: dict[str, int] = {}
    for one in sets:
        seen[one.name] = seen.get(one.name, 0) + 1
        if seen[one.name] > 1:
            one.name = f"{one.name} ({seen[one.name]})"


def _answers(output: Output, given: Mapping[str, Any]) -> list[Any]:
    """The answers of each model or file, read by the rules."""
    from dataclasses import replace

    from charter.evals.refusal import read_all
    from charter.evals.refusal_model import load_model

    weights = load_model(given["weights"]) if given["weights"] else None
    sets = _files(given) if given["completions"] else _asked(output, given)
    wanted = set(given["categories"])
    for one in sets:
        if wanted:
            _only(one, wanted)
        ok = [each for each in one.answers if not each.error]
        readings = read_all([(each.prompt or None, each.text) for each in ok], model=weights)
        read = iter(list(readings))
        one.answers = [e if e.error else replace(e, reading=next(read)) for e in one.answers]
    return sets


def _only(one: Any, wanted: set[str]) -> None:
    from charter.errors import nearest

    known = {each.category for each in one.answers if each.category}
    faults = [
        Fault(one.name, "--category", f'nothing has the category "{name}"', nearest(name, known))
        for name in sorted(wanted - known)
    ]
    if faults:
        raise InputError(faults)
    one.answers = [each for each in one.answers if each.category in wanted]


def _asked(output: Output, given: Mapping[str, Any]) -> list[Any]:
    """The models' answers to the prompts."""
    from charter.cli.refusal_ask import ask_models, questions

    return ask_models(output, questions(given, _named_columns(given)), given)


def _judge(output: Output, sets: list[Any], given: Mapping[str, Any]) -> None:
    """The judge's labels beside those of the rules."""
    from dataclasses import replace

    from charter.cli.refusal_ask import ask_judge

    for one in sets:
        judged, failed = ask_judge(output, one.answers, given)
        one.answers = [replace(e, judged=j) for e, j in zip(one.answers, judged, strict=True)]
        if failed:
            one.noted["answers that the judge gave no label, as its calls failed"] = failed


def _fit(output: Output, given: Mapping[str, Any]) -> None:
    """Weights from labelled answers, and how they do on the files that they were not fitted on."""
    import json

    from charter.evals.refusal_fit import Labelled, cross_kappa, fit_model

    def labelled(sets: list[Any]) -> dict[str, list[Labelled]]:
        return {
            one.name: [Labelled(e.prompt, e.text, e.label) for e in one.answers if e.label]
            for one in sets
        }

    sources = labelled(_files(given))
    more = labelled(_files({**given, "completions": given["fit_partial"], "where": None}))
    faults = [
        Fault(name, "label", "has no labels to fit on", "name them with --label-column")
        for name, rows in (sources | more).items()
        if not rows
    ]
    if faults:
        raise InputError(faults)
    model = fit_model(sources, {**sources, **more})
    crossed = cross_kappa(sources)
    output.line("kappa of weights fitted on one file, judged on another (three classes)")
    rows = [
        (fitted, judged, *(_shown(found[name]) for name in ("kappa", "kappa_three")))
        for fitted, line in crossed.items()
        for judged, found in line.items()
    ]
    output.table(("fitted on", "judged on", "any refusal", "three classes"), rows)
    write_text(given["fit"], json.dumps(model.as_json(), indent=1) + "\n")
    output.line(f"weights of all: {given['fit']}")
    output.result({"weights": str(given["fit"]), "cross": crossed})


def _shown(value: float | None) -> str:
    return "no figure" if value is None else f"{value:.3f}"
