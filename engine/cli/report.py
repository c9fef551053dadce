"""`charter report`: all that is measured of a model, on one page, and what its release needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.names import folder_of
from charter.cli.options import load, open_named, seed_option, store_option
from charter.cli.output import Output, common
from charter.cli.written import check_file, write_page, write_text
from charter.errors import CharterError, Failure, Fault, InputError

if TYPE_CHECKING:
    from charter.cli.report_parts import Asked
    from charter.evals.report import Measured
    from charter.evals.report_page import Missed
    from charter.hub.publish import Published
    from charter.recipes import Loaded
    from charter.recipes.evaluate import EvaluateSettings

__all__ = ["command", "end_unless_reached", "report_models", "report_release"]

_FILE = click.Path(path_type=Path)
_OUT = Path("out/report")
_PROMPTS = "prompts/shipped.jsonl"


@click.command("report")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--base", default="local", show_default=True, metavar="local|DIR", help="Before alignment."
)
@click.option(
    "--with",
    "parts",
    metavar="PART,...",
    help="refusal, tax, depth, winrate, tamper.  [all; with gates in the recipe, theirs]",
)
@click.option(
    "--recipe",
    type=_FILE,
    metavar="FILE",
    help="Whose gates the last model must reach, and whose judge compares.",
)
@click.option("--prompts", default=_PROMPTS, show_default=True, metavar="FILE")
@click.option(
    "--held-out-from",
    metavar="VERSION",
    help="None of its prompts is asked.  [what the last model says it was trained on]",
)
@click.option("--judge", metavar="local|DIR", help="Of win rates.  [the recipe's, or local]")
@click.option(
    "--set", "settings", multiple=True, metavar="PART.OPTION=VALUE", help="As `eval PART` has it."
)
@click.option("--out", type=_FILE, default=_OUT, show_default=True, metavar="DIR")
@click.option(
    "--card",
    is_flag=True,
    help="Put the figures into the models' folders: evaluation.json, a section of README.md.",
)
@click.option("--fresh", is_flag=True, help="Measure again what is kept in --out.")
@seed_option("Of every draw.")
@store_option
@common
def command(models: tuple[str, ...], as_json: bool, debug: bool, **given: Any) -> None:
    """All evaluations of models on one page: what a release is decided by.

    Refusals, alignment tax, depth, win rates against the base, and tampering of the last model,
    which is the one to be released. The same command goes on where it was ended; each part's own
    page lies beside the report. Gates of the recipe that the last model misses are exit code 1.

    \b
    Example:
      charter report out/models/me/quickstart/v0.1.0/dpo --with refusal,winrate
      charter report round-1 round-2 --base local --recipe mine/recipe.yaml --card
      charter report my-dpo --set tax.limit=20 --set tamper.examples=0,10 --json
    """  # noqa: D301
    output = Output(as_json)
    loaded = load(given["recipe"], (), None) if given["recipe"] else None
    found, missed = report_models(output, models, loaded, given)
    output.result(found)
    end_unless_reached(models[-1], missed)


def report_models(
    output: Output,
    models: Sequence[str],
    loaded: Loaded | None,
    given: Mapping[str, Any],
) -> tuple[dict[str, Any], Missed]:
    """Measure models, write the page, and see what the last one misses.

    Args:
        output: where to.
        models: `local` or folders.
        loaded: the recipe whose gates the last model must reach, if there is one.
        given: the command's other options, by name.

    Returns:
        What `--json` prints, and the gates that the last model does not reach.
    """
    from charter.cli.names import short_names
    from charter.cli.report_parts import measure_parts
    from charter.evals.report import Measured, evaluation_of
    from charter.hub.evaluation_gate import evaluation_gate
    from charter.models.checkpoint import identify

    names = short_names("charter report", [given["base"], *models])
    gates = loaded.recipe.evaluate if loaded else None
    asked = _asked(output, models, loaded, given)
    measured = Measured(names[0], names[1:], measure_parts(output, asked))
    evaluations = [
        evaluation_of(
            measured, name, identify(None if source == "local" else Path(source)).revision
        )
        for name, source in zip(measured.models, models, strict=True)
    ]
    missed = list(evaluation_gate(gates, evaluations[-1])) if gates else []
    if gates:
        evaluations[-1]["gates"] = gates.gates
        evaluations[-1]["missed"] = [{"gate": name, "what": what} for name, what, _ in missed]
    _show(output, measured, evaluations)
    page = _write(output, asked.out, measured, evaluations, gates, missed)
    if given["card"]:
        _into_folders(output, models, evaluations)
    return {
        "base": measured.base,
        "models": {each["model"]: each for each in evaluations},
        "missed": [name for name, _, _ in missed],
        "parts": list(asked.parts),
        "page": str(page),
    }, missed


def end_unless_reached(model: str, missed: Missed) -> None:
    """End with exit code 1 where gates are missed; all is written by then.

    Raises:
        Failure: they are; each is named.
    """
    if missed:
        raise Failure([Fault(model, f"evaluate.{name}", what, fix) for name, what, fix in missed])


def report_release(
    output: Output,
    loaded: Loaded,
    published: Published,
    models: Mapping[str, Path],
    out: Path,
    overrides: Sequence[str] = (),
) -> tuple[dict[str, Any], Missed]:
    """The gates of a recipe, of the last model that it trained (see `report_models`).

    Where that cannot be measured here it is said; `charter promote` asks for it all the same.

    Args:
        output: where to.
        loaded: the recipe.
        published: its version.
        models: folder of each model by its method.
        out: gets `reports/`.
        overrides: what `loaded` has otherwise than its file, as `A.B=VALUE`.
    """
    from charter.recipes.evaluate import GATES

    writers = {method: folder for method, folder in models.items() if method != "reward"}
    base = _before(loaded, next(iter(writers), None))
    if not writers or base is None:
        why = "none that writes was trained" if not writers else "its base is in no folder here"
        output.line(f"\nThe gates of `evaluate` were not measured on a model: {why}.")
        output.line("Measure one by `charter report MODEL --base DIR --recipe RECIPE --card`.")
        return {}, ()
    model = str(next(reversed(writers.values())))
    judged = loaded.recipe.models.judge is not None
    compared = judged and "winrate" in {GATES[name] for name in loaded.recipe.evaluate.gates}
    given = {
        "base": base,
        "parts": None,
        "recipe": loaded.path if judged else None,
        "prompts": _asked_of(loaded),
        "held_out_from": str(published.path),
        "judge": None,
        "settings": [f"winrate.set={each}" for each in overrides] if compared else [],
        "out": out / "reports" / published.repo / published.tag,
        "card": True,
        "fresh": False,
        "seed": loaded.recipe.seed,
        "store": out / "versions",
    }
    return report_models(output, [model], loaded, given)


def _asked_of(loaded: Loaded) -> str:
    """The prompts that the recipe measures refusals with, else the shipped ones."""
    from charter.recipes.load import resolve

    refusal = loaded.recipe.evaluate.refusal
    if refusal is None:
        return _PROMPTS
    files = resolve(refusal.path, loaded.path.parent)
    return str(files[0]) if files else refusal.path


def _before(loaded: Loaded, method: str | None) -> str | None:
    """What the first model was trained from, if it is of this machine."""
    generator = loaded.recipe.models.generator
    named: Any = (getattr(loaded.recipe.train, method) or {}).get("model") if method else None
    if named is None and generator is not None and generator.llm == "local":
        named = generator.model or "local"
    if named == "local":
        return "local"
    folder = folder_of(str(named)) if named else None
    return None if folder is None else str(folder)


def _asked(
    output: Output,
    models: Sequence[str],
    loaded: Loaded | None,
    given: Mapping[str, Any],
) -> Asked:
    """What is measured, checked before anything is."""
    from charter.cli.report_parts import Asked, read_settings
    from charter.evals.report import PARTS
    from charter.recipes.evaluate import GATES

    wanted = {GATES[name] for name in loaded.recipe.evaluate.gates} if loaded else set()
    usual = [part for part in PARTS if part in wanted] or list(PARTS)
    named = [part.strip() for part in given["parts"].split(",")] if given["parts"] else usual
    faults = [
        Fault("--with", "", f'there is no part "{name}"', f"use some of {', '.join(PARTS)}")
        for name in named
        if name not in PARTS
    ]
    faults += [
        Fault(source, "", "there is no such folder", "name the folder of a model, or local")
        for source in (given["base"], *models)
        if source != "local" and not Path(source).is_dir()
    ]
    if faults:
        raise InputError(faults)
    check_file(given["out"] / "report.html", "--out", folders=True)
    if given["card"]:
        for source in models:
            _card(source)  # one that cannot be read is told before hours of measuring
    parts = tuple(part for part in PARTS if part in named)
    version = _version(output, models[-1], given)
    judge = ["--judge", given["judge"]] if given["judge"] else []
    if given["recipe"]:
        judge += ["--recipe", str(given["recipe"])]
    return Asked(
        base=given["base"],
        models=tuple(models),
        parts=parts,
        prompts=_prompts(output, version, given),
        out=given["out"],
        judge=tuple(judge or ["--judge", "local"]),
        recipe=loaded.fingerprint() if loaded else "",
        tamper=("--held-out-from", str(version.path)) if version is not None else (),
        settings=read_settings(given["settings"], parts),
        seed=given["seed"],
        fresh=given["fresh"],
    )


def _version(output: Output, model: str, given: Mapping[str, Any]) -> Any:
    """The version that the model was trained on; None, and said, where it is not known."""
    if given["held_out_from"]:
        return open_named(given["held_out_from"], given["store"])
    try:
        facts = json.loads((Path(model) / "charter.json").read_text(encoding="utf-8"))
        named = f"{facts['dataset']['repo']}@{facts['dataset']['tag']}"
    except (OSError, ValueError, KeyError, TypeError):
        output.line("note: what the model was trained on is not known; --held-out-from says it")
        return None
    try:
        return open_named(named, given["store"])
    except CharterError as error:
        output.line(f"note: {named}, which it was trained on, cannot be opened: {error.faults[0]}")
        return None


def _prompts(output: Output, version: Any, given: Mapping[str, Any]) -> Path:
    """The prompts that were not trained on, as a file in --out."""
    from charter.cli.report_parts import make_folder
    from charter.documents import read_text
    from charter.evals.held_out import text_of, trained_texts
    from charter.recipes.given import BadRecordError
    from charter.recipes.load import resolve
    from charter.recipes.prompts import messages_of

    files = resolve(given["prompts"], Path())
    if not files:
        raise InputError(Fault("--prompts", "", f'no such file "{given["prompts"]}"', "check it"))
    if version is None:
        return files[0]
    trained = trained_texts(version)
    kept, left = [], 0
    for line in read_text(files[0]).split("\n"):
        try:
            known = text_of(messages_of(json.loads(line)["prompt"])) in trained
        except (ValueError, KeyError, TypeError, BadRecordError):
            known = False  # no such record: the evaluation that reads it says so, with its line
        left += known
        if line.strip() and not known:
            kept.append(line)
    if left:
        output.line(f"{left:,} prompts left out: the version {version.tag} trains on them")
    make_folder(given["out"])
    path = Path(given["out"]) / "prompts.jsonl"
    write_text(path, "".join(f"{line}\n" for line in kept))
    return path


def _show(output: Output, measured: Measured, evaluations: Sequence[Mapping[str, Any]]) -> None:
    from charter.evals.report_page import figure_rows

    for note in evaluations[-1]["notes"]:
        output.line(f"  note: {note}")
    output.line("\nFigures with their 95 % intervals")
    head = ("figure", measured.base, *measured.models)
    output.table(head, figure_rows(evaluations))


def _write(
    output: Output,
    out: Path,
    measured: Measured,
    evaluations: Sequence[Mapping[str, Any]],
    gates: EvaluateSettings | None,
    missed: Missed,
) -> Path:
    from charter.evals.report_page import report_page
    from charter.hub.card_evaluations import evaluation_told

    pages = {part: f"{part}.html" for part in measured.parts}
    set_gates = gates.gates if gates else {}
    title = f"Evaluation of {', '.join(measured.models)}"
    path = out / "report.html"
    page = report_page(title, measured, evaluations, set_gates, missed, pages)
    for at, each in enumerate(evaluations, 1):
        section = "\n\n".join(evaluation_told(each))
        write_text(out / f"card-{at}.md", f"{section}\n")
    write_page(output, path, page)
    return path


def _card(source: str) -> str | None:
    """The card of a model's folder; None where there is none.

    Raises:
        InputError: it cannot be read.
    """
    from charter.documents import read_text

    card = Path(source) / "README.md"
    return read_text(card) if source != "local" and card.is_file() else None


def _into_folders(
    output: Output, models: Sequence[str], evaluations: Sequence[Mapping[str, Any]]
) -> None:
    """The figures beside the weights that they are of."""
    from charter.hub.card_evaluations import with_evaluation
    from charter.hub.evaluation_gate import EVALUATION

    for source, each in zip(models, evaluations, strict=True):
        if source == "local":
            continue
        folder = Path(source)
        write_text(folder / EVALUATION, json.dumps(each, ensure_ascii=False, indent=2) + "\n")
        card = _card(source)
        if card is not None:
            write_text(folder / "README.md", with_evaluation(card, each))
        output.line(f"figures: {folder / EVALUATION}")
