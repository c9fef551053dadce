"""`charter eval tax`: what alignment cost in capability, benchmark by benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.names import server_address
from charter.cli.options import seed_option
from charter.cli.output import Output, common
from charter.cli.written import check_file, write_page
from charter.errors import Fault, InputError

if TYPE_CHECKING:
    from charter.evals.tax import TaxReport
    from charter.evals.tax_plan import ModelPlan, TaxPlan

__all__ = ["command"]

_FILE = click.Path(path_type=Path)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_OUT = Path("out/tax")
# Options that only mean something where models are asked.
_ASKING = ("base", "tasks", "task_folders", "limit", "shots", "metrics", "base_url", "api_key_env",
           "tokenizer", "batch_size", "chat", "vllm", "chat_template", "run_generated_code",
           "trust_remote_code", "fresh")  # fmt: skip


@click.command("tax")
@click.option("--base", metavar="local|DIR|NAME", help="The model before alignment.")
@click.option(
    "--model", "models", multiple=True, metavar="local|DIR|NAME", help="After it; may be repeated."
)
@click.option(
    "--tasks",
    metavar="NAME,...",
    help="MMLU, HumanEval, GSM8K, TruthfulQA, HellaSwag, any task of lm-eval, or yours.  "
    "[the four shipped ones, which need no network]",
)
@click.option(
    "--task-folder",
    "task_folders",
    multiple=True,
    type=_FOLDER,
    metavar="DIR",
    help="With YAML tasks of your own, as lm-eval has them. They may hold code, which is run.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="First N items of a task.")
@click.option("--shots", type=click.IntRange(min=0), metavar="N", help="Solved examples to show.")
@click.option(
    "--metric", "metrics", multiple=True, metavar="TASK=METRIC", help="Instead of the usual one."
)
@click.option(
    "--base-url",
    callback=server_address,
    metavar="URL",
    help="NAMEs are asked for at this server (http.../v1).",
)
@click.option("--api-key-env", metavar="NAME", help="Environment variable with its key.")
@click.option("--chat", is_flag=True, help="--base-url: chat completions, which can only write.")
@click.option("--tokenizer", metavar="DIR|NAME", help="--base-url: where NAME itself is none.")
@click.option("--vllm", is_flag=True, help="Run checkpoints with vLLM, where it is installed.")
@click.option("--chat-template", is_flag=True, help="Put prompts into the models' chat templates.")
@click.option("--batch-size", metavar="N|auto", help="Of checkpoints.  [8 on CPU, else auto]")
@click.option(
    "--run-generated-code",
    is_flag=True,
    help="HumanEval and its like: execute, here, code that the models wrote.",
)
@click.option("--trust-remote-code", is_flag=True, help="Run code from the models' repos.")
@click.option(
    "--scores",
    multiple=True,
    type=_FILE,
    metavar="BASE.json MODEL.json ...",
    help="Published scores instead of models.",
)
@click.argument("files", nargs=-1, type=_FILE, metavar="")
@click.option(
    "--out",
    type=_FILE,
    metavar="DIR|FILE.html",
    help="The page; finished results are kept in the folder.  [out/tax]",
)
@click.option("--html", type=_FILE, metavar="FILE", help="The page, elsewhere.")
@click.option("--fresh", is_flag=True, help="Ask again what is kept.")
@seed_option("Of resampling.")
@common
def command(as_json: bool, debug: bool, **given: Any) -> None:
    """The alignment tax: capability lost, in percent of the base; a gain is negative.

    Measured by EleutherAI's lm-eval on both models, compared item by item. The same command goes
    on where it was stopped, and reuses what is measured already.

    \b
    Example:
      charter eval tax --base local --model out/models/me/quickstart/v0.1.0/dpo
      charter eval tax --base M0 --model M1 --tasks MMLU,HellaSwag --out out/tax/m1.html
      charter eval tax --scores base.json aligned.json --json
    """  # noqa: D301
    output = Output(as_json)
    _check(given)
    page = _page_path(given)
    if page is not None:
        check_file(page, "--out" if given["html"] is None else "--html", folders=True)
    report = _of_scores(given) if given["scores"] else _of_models(output, given)
    _show(output, report)
    if page is not None:
        _write_page(output, page, report)
    found = {**report.as_json(), "page": None if page is None else str(page)}
    output.result(found)


def _check(given: Mapping[str, Any]) -> None:
    """Models or scores, and no option of the other."""
    if bool(given["scores"]) == bool(given["models"]):
        what = "both are given" if given["models"] else "nothing to compare is given"
        raise click.UsageError(f"{what}; name --base and --model, or --scores")
    faults = []
    if given["scores"]:
        faults += [
            Fault(f"--{name.replace('_', '-')}", "", "--scores are given", "leave one out")
            for name in _ASKING
            if given[name] or (name == "shots" and given[name] is not None)  # 0 is a number
        ]
        if len(given["scores"]) + len(given["files"]) < 2:
            fix = "write --scores BASE.json MODEL.json"
            faults.append(Fault("--scores", "", "there is one file", fix))
    elif given["files"]:
        fix = "write --scores before it, or --model"
        faults.append(Fault(str(given["files"][0]), "", "belongs to no option", fix))
    elif not given["base"]:
        faults.append(Fault("--base", "", "is missing", "name the model before alignment"))
    faults += [
        Fault(f"--{name.replace('_', '-')}", "", "there is no --base-url", "leave it out")
        for name in ("api_key_env", "chat", "tokenizer")
        if given[name] and not given["base_url"] and given["models"]
    ]
    size = given["batch_size"]
    if size and size != "auto" and not (size.isascii() and size.isdigit() and int(size)):
        faults.append(Fault("--batch-size", "", f'"{size}" is no number', "write 8, or auto"))
    if faults:
        raise InputError(faults)


def _of_scores(given: Mapping[str, Any]) -> TaxReport:
    from charter.evals.tax import tax_report
    from charter.evals.tax_scores import score_files

    base, *others = score_files([*given["scores"], *given["files"]])
    notes = [note for each in (base, *others) for note in each.notes]
    models = [(each.name, each.scores) for each in others]
    return tax_report((base.name, base.scores), models, notes=notes, seed=given["seed"])


def _of_models(output: Output, given: Mapping[str, Any]) -> TaxReport:
    from charter.cli.follow import counted
    from charter.evals.tax import tax_report
    from charter.evals.tax_run import LOG, evaluate_plan

    plan, key = _plan(given), _api_key(given)
    with output.progress() as progress:
        show = counted(progress, "benchmarks", "results")

        def tell(model: str, benchmark: str, done: int, total: int) -> None:
            show(done, total)
            if model:
                progress.say(f"{model}: {benchmark}")

        found = evaluate_plan(plan, tell, api_key=key)
    base, *others = plan.models
    notes = [f"the first {plan.limit:,} items of each task"] if plan.limit else []
    report = tax_report(
        (base.name, found[base.name]),
        [(each.name, found[each.name]) for each in others],
        notes=notes,
        seed=given["seed"],
    )
    if any(each.value is None for scores in found.values() for each in scores.values()):
        output.line(f"lm-eval's log: {Path(plan.results) / LOG}")
    return report


def _plan(given: Mapping[str, Any]) -> TaxPlan:
    from charter.evals.tax_names import SHIPPED, plain_name
    from charter.evals.tax_plan import TaxPlan

    folders = [path.resolve() for path in given["task_folders"]]
    faults = [
        Fault(str(path), "", "no such folder", "name one with lm-eval's YAML tasks")
        for path in folders
        if not path.is_dir()
    ]
    asked = [name.strip() for name in (given["tasks"] or ",".join(SHIPPED)).split(",")]
    tasks = tuple(dict.fromkeys(name for name in asked if name))
    if not tasks:
        faults.append(Fault("--tasks", "", "names no task", "write NAME,NAME"))
    metrics: dict[str, str] = {}
    for each in given["metrics"]:
        task, equals, metric = each.partition("=")
        if not equals or not metric:
            faults.append(Fault("--metric", "", f'"{each}" has no =', "write TASK=METRIC"))
        metrics[plain_name(task)] = metric
    if faults:
        raise InputError(faults)
    return TaxPlan(
        models=tuple(_models(given)),
        tasks=tasks,
        folders=tuple(map(str, folders)),
        metrics=metrics,
        limit=given["limit"],
        shots=given["shots"],
        chat_template=given["chat_template"],
        run_generated_code=given["run_generated_code"],
        trust_remote_code=given["trust_remote_code"],
        batch_size=given["batch_size"],
        results=str(_out_folder(given).resolve() / "results"),
        fresh=given["fresh"],
    )


def _models(given: Mapping[str, Any]) -> list[ModelPlan]:
    from charter.evals.tax_plan import model_plan, server_plan

    sources = [given["base"], *given["models"]]
    plans = []
    for name, source in zip(_names(sources), sources, strict=True):
        if given["base_url"] and source != "local" and not Path(source).is_dir():
            plan = server_plan(
                name, source, given["base_url"], chat=given["chat"], tokenizer=given["tokenizer"]
            )
        else:
            plan = model_plan(name, source, vllm=given["vllm"])
        plans.append(plan)
    return plans


def _names(sources: Sequence[str]) -> list[str]:
    """A short name for each: the last part of its path, or as much as tells them apart.

    A model may be named twice, as base and aligned: its tax is then zero, a check of the whole.
    """
    distinct = list(dict.fromkeys(sources))
    short = distinct
    for depth in range(1, 12):
        short = ["/".join(Path(source).parts[-depth:]) for source in distinct]
        if len(set(short)) == len(distinct):
            break
    by_source = dict(zip(distinct, short, strict=True))
    names: list[str] = []
    for source in sources:
        name, count = by_source[source], 2
        while name in names:
            name, count = f"{by_source[source]} ({count})", count + 1
        names.append(name)
    return names


def _api_key(given: Mapping[str, Any]) -> str | None:
    import os

    name = given["api_key_env"]
    if not name:
        return None
    if not os.environ.get(name):
        fix = f"export {name}=..."
        raise InputError(Fault("--api-key-env", "", f"{name} is not set", fix))
    return os.environ[name]


def _out_folder(given: Mapping[str, Any]) -> Path:
    out: Path = given["out"] or _OUT
    return out.parent if out.suffix.lower() in (".html", ".htm") else out


def _page_path(given: Mapping[str, Any]) -> Path | None:
    """Where the page goes; of scores from files only where one is asked for."""
    if given["html"] is not None:
        return Path(given["html"])
    out: Path | None = given["out"] or (None if given["scores"] else _OUT)
    if out is None or out.suffix.lower() in (".html", ".htm"):
        return out
    return out / "tax.html"


def _show(output: Output, report: TaxReport) -> None:
    from charter.evals.tax_lines import HEAD, average_row, tax_rows

    for model in report.models:
        output.line(f"\nAlignment tax of {model.name} against {report.base}")
        output.table(HEAD, [*tax_rows(model), average_row(model)])
    output.line(
        "\ntax: percent of the base that is lost; negative is a gain. 95 % intervals; p by Holm "
        "over the whole report."
    )
    for note in report.notes:
        output.line(f"  note: {note}")


def _write_page(output: Output, path: Path, report: TaxReport) -> None:
    from charter.evals.tax_page import tax_page

    write_page(output, path, tax_page(report), folders=True)
