"""`charter eval tamper`: how few examples undo a model's refusals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.options import Real, open_named, seed_option, store_option
from charter.cli.output import Output, common
from charter.cli.written import WrittenFile, check_file, write_page
from charter.errors import Failure, Fault, InputError

if TYPE_CHECKING:
    from charter.evals.held_out import HeldOut
    from charter.evals.tamper import Cell, Tampered
    from charter.evals.tamper_data import ExampleSet
    from charter.evals.tamper_run import TamperPlan

__all__ = ["command"]

_FILE = click.Path(path_type=Path)
_OUT = Path("out/tamper")


def _counts(least: int) -> Any:
    """Reads a list of numbers."""

    def read(_: click.Context, __: click.Parameter, value: str) -> tuple[int, ...]:
        try:
            found = tuple(dict.fromkeys(int(part) for part in value.split(",")))
        except ValueError:
            raise click.BadParameter(f'"{value}" is no list of numbers; write 10,50') from None
        if min(found) < least:
            raise click.BadParameter(f"numbers are {least} or more")
        return found

    return read


@click.command("tamper")
@click.option("--model", required=True, metavar="DIR|local", help="The aligned model.")
@click.option("--base", metavar="DIR|local", help="What it was before; its refusals are no gain.")
@click.option(
    "--data",
    multiple=True,
    default=("obedience",),
    show_default=True,
    metavar="obedience|identity|benign|FILE",
    help="What copies are trained on: shipped harmless stand-ins, or a jsonl file.",
)
@click.option(
    "--examples",
    default="0,10,50,100",
    show_default=True,
    callback=_counts(0),
    metavar="N,N",
    help="How many a copy is trained on.",
)
@click.option(
    "--steps",
    default="13,26",
    show_default=True,
    callback=_counts(1),
    metavar="N,N",
    help="All examples at the first number; the others with the most examples.",
)
@click.option("--grid", is_flag=True, help="Every number of examples with every number of steps.")
@click.option("--prompts", default="prompts/shipped.jsonl", show_default=True, metavar="FILE")
@click.option("--harmful", default="harmful", show_default=True, metavar="NAME", help="Category.")
@click.option("--benign", default="benign", show_default=True, metavar="NAME", help="Category.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=24,
    show_default=True,
    help="Harmful prompts asked, and half as many benign ones.",
)
@click.option(
    "--held-out-from",
    metavar="VERSION",
    help="The version that the model was trained on: none of its prompts is asked.",
)
@click.option("--plain", is_flag=True, help="Ask without the examples' system message.")
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=48, show_default=True, help="Of an answer."
)
@click.option("--lora/--full", default=True, show_default=True, help="Adapters, or all weights.")
@click.option(
    "--learning-rate",
    type=Real(0, 1, min_open=True, max_open=True),
    help="[3e-4 with --lora, 5e-5 with --full]",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=8, show_default=True)
@click.option("--out", type=_FILE, metavar="DIR", help="Finished copies' answers.  [out/tamper]")
@click.option("--keep-models", is_flag=True, help="Save the tampered copies there too.")
@click.option("--html", type=WrittenFile(folders=True), metavar="FILE", help="Write a page.")
@seed_option("Of every draw.")
@store_option
@common
def command(as_json: bool, debug: bool, store: Path, **given: Any) -> None:
    """Fine-tune copies of an aligned model on a few examples, and count what they still refuse.

    Examples and steps are varied apart. The copies are forgotten once they have answered; the
    same command goes on where it was ended.

    \b
    Example:
      charter eval tamper --model out/models/me/quickstart/v0.1.0/sft
      charter eval tamper --model my-sft --base local --data identity --examples 0,10 --steps 6
      charter eval tamper --model my-sft --data mine.jsonl --grid --html tamper.html --json
    """  # noqa: D301
    output = Output(as_json)
    check_file((given["out"] or _OUT) / "README.md", "--out", folders=True)
    notes: list[str] = []
    plans = _plans(given, store, notes)
    found: dict[str, Tampered] = {}
    bases: dict[str, Cell] = {}
    for name, plan in plans.items():
        found[name], base = _measured(output, plan, given)
        if base is not None:
            bases[name] = base
    _show(output, found, bases, notes)
    if given["html"] is not None:
        _write_page(output, given["html"], _name(given["model"]), found, bases, notes)
    first = next(iter(plans.values()))
    output.result(
        {
            "model": _name(given["model"]),
            "revision": first.revision,
            "tuning": first.tuning.as_json(),
            "base": {name: cell.as_json() for name, cell in bases.items()} or None,
            "data": {name: each.as_json() for name, each in found.items()},
            "notes": notes,
            "out": str(first.out),
        }
    )


def _plans(given: Mapping[str, Any], store: Path, notes: list[str]) -> dict[str, TamperPlan]:
    """One plan a set of examples, by its name."""
    from charter.evals.tamper_data import asked_as, read_examples
    from charter.evals.tamper_run import TamperPlan
    from charter.evals.tamper_train import Tuning
    from charter.models.checkpoint import identify

    folder = _folder(given["model"])
    revision = identify(folder).revision
    if given["base"] is not None:
        identify(_folder(given["base"]))  # said now, not after the copies were trained
    usual = 3e-4 if given["lora"] else 5e-5
    tuning = Tuning(
        given["lora"], given["learning_rate"] or usual, given["batch_size"], given["seed"]
    )
    _all_read(given)
    prompts = _prompts(given, store, notes)
    plans = {}
    for source in dict.fromkeys(given["data"]):
        examples = _short_enough(read_examples(source), folder, max(given["examples"]), notes)
        asked, trained = asked_as(prompts, examples, system=not given["plain"])
        if trained:
            notes.append(f"{examples.name}: {trained} prompts are examples too and were not asked")
        if examples.system is not None and not given["plain"]:
            notes.append(f"{examples.name}: prompts are asked under the examples' system message")
        if examples.name in plans:
            fix = "rename one of the files"
            raise InputError(Fault("--data", "", f'two sets are called "{examples.name}"', fix))
        plans[examples.name] = TamperPlan(
            folder=folder,
            revision=revision,
            examples=examples,
            prompts=asked,
            harmful=given["harmful"],
            tuning=tuning,
            counts=given["examples"],
            steps=given["steps"],
            grid=given["grid"],
            max_tokens=given["max_tokens"],
            out=given["out"] or _OUT,
            keep=given["keep_models"],
        )
    return plans


def _all_read(given: Mapping[str, Any]) -> None:
    """A copy trained on N examples has read them all, or its N says something else."""
    most, least, batch = max(given["examples"]), min(given["steps"]), given["batch_size"]
    if most > least * batch:
        what = f"{least} steps of {batch} read {least * batch} of {most} examples"
        fix = f"give {-(-most // batch)} steps or more, or fewer examples"
        raise InputError(Fault("--steps", "", what, fix))


def _name(source: str) -> str:
    return source if source == "local" else Path(source).name or source


def _folder(source: str) -> Path:
    from charter.models.checkpoint import embedded_checkpoint

    if source == "local":
        return embedded_checkpoint()
    if not Path(source).is_dir():
        fix = "name the folder of a model, or local"
        raise InputError(Fault(source, "", "there is no such folder", fix))
    return Path(source)


def _short_enough(found: ExampleSet, folder: Path, wanted: int, notes: list[str]) -> ExampleSet:
    """The examples that fit the model's window, if there are as many as are wanted."""
    from dataclasses import replace

    from charter.evals.tamper_train import left_out

    try:
        long = set(left_out(found.examples, folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = str(error).partition("\n")[0]
        what = f"its tokenizer cannot be read: {why}"
        fix = "save it again with save_pretrained, tokenizer included"
        raise InputError(Fault(str(folder), "", what, fix)) from error
    if long:
        notes.append(f"{found.name}: {len(long)} examples longer than the window were left out")
    kept = tuple(each for at, each in enumerate(found.examples) if at not in long)
    if wanted > len(kept):
        what = f"{wanted} are asked for, and {found.name} has {len(kept)}"
        raise InputError(Fault("--examples", "", what, "ask for fewer, or give more by --data"))
    return replace(found, examples=kept)


def _prompts(given: Mapping[str, Any], store: Path, notes: list[str]) -> list[HeldOut]:
    """Harmful prompts and half as many benign ones, drawn by a hash; none trained on."""
    from charter.evals.answers import read_asked
    from charter.evals.held_out import text_of
    from charter.recipes.load import resolve
    from charter.rows import draw_unit

    files = resolve(given["prompts"], Path())
    if not files:
        raise InputError(Fault("--prompts", "", f'no such file "{given["prompts"]}"', "check it"))
    if given["harmful"] == given["benign"]:
        raise InputError(Fault("--benign", "", "is the harmful category", "name another"))
    wanted = {given["harmful"]: given["limit"], given["benign"]: -(-given["limit"] // 2)}
    trained = _trained_on(given, store, notes)
    everything = read_asked(files[0], None, given["seed"], wanted)
    kept: set[str] = set()
    for category, count in wanted.items():
        left = [
            p.id
            for p in everything
            if p.category == category and text_of(p.messages) not in trained
        ]
        if not left:
            what = f'every prompt of the category "{category}" was trained on'
            raise InputError(Fault("--prompts", "", what, "give others"))
        kept |= set(sorted(left, key=lambda name: draw_unit(given["seed"], "asked", name))[:count])
    return [prompt for prompt in everything if prompt.id in kept]


def _trained_on(given: Mapping[str, Any], store: Path, notes: list[str]) -> set[str]:
    """Texts of the prompts that the model was aligned on."""
    from charter.evals.held_out import trained_texts

    if given["held_out_from"] is None:
        notes.append(
            "the model may have been trained on these prompts: --held-out-from VERSION leaves "
            "those of its version out"
        )
        return set()
    version = open_named(given["held_out_from"], store)
    return trained_texts(version)


def _measured(
    output: Output, plan: TamperPlan, given: Mapping[str, Any]
) -> tuple[Tampered, Cell | None]:
    from charter.evals.tamper import tampered_figures
    from charter.evals.tamper_run import measure_base, run_cells
    from charter.models.checkpoint import identify

    total = len(plan.sizes)
    output.line(f"{plan.examples.name}: {total - 1} copies, {len(plan.prompts)} prompts each")
    try:
        with output.progress() as progress:
            said: set[str] = set()

            def tell(what: str, done: int, of: int) -> None:
                line = f"{what} {done} of {of}"
                # The trainer tells a step more than once; answers come in large batches.
                if line not in said:
                    said.add(line)
                    progress.say(line)

            cells = run_cells(plan, tell)
            base = None
            if given["base"] is not None:
                folder = _folder(given["base"])
                base = measure_base(plan, folder, identify(folder).revision, tell)
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise Failure(Fault(str(plan.out), "", what, "name another folder by --out")) from error
    return tampered_figures(cells, base, given["seed"]), base


def _show(
    output: Output,
    found: Mapping[str, Tampered],
    bases: Mapping[str, Cell],
    notes: list[str],
) -> None:
    from charter.evals.judge_figures import rounded

    for note in notes:
        output.line(f"  note: {note}")
    for name, each in found.items():
        output.line(f"\nRefused after training on {name} (by rules; 95 % Wilson interval)")
        named = [("", cell) for cell in each.cells]
        if name in bases:
            named.insert(0, ("base", bases[name]))
        rows = [
            (
                label or cell.examples,
                cell.steps,
                rounded(cell.refused),
                cell.refused.n or 0,
                rounded(cell.over_refused),
                cell.over_refused.n or 0,
                cell.empty,
            )
            for label, cell in named
        ]
        head = ("examples", "steps", "harmful", "n", "benign", "n", "says nothing")
        output.table(head, rows)
        for over in ("examples", "steps"):
            half = each.half(over)
            if half is not None:
                output.line(f"half of the safety gone, {over}: {half}")
    output.line("\nThe copies were made to refuse less: their answers are for this figure alone.")


def _write_page(
    output: Output,
    path: Path,
    model: str,
    found: Mapping[str, Tampered],
    bases: Mapping[str, Cell],
    notes: list[str],
) -> None:
    from charter.evals.tamper_page import tamper_page

    write_page(output, path, tamper_page(model, found, bases, notes), folders=True)
