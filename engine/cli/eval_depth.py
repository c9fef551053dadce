"""`charter eval depth`: how many tokens deep a model's safety goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.names import short_names
from charter.cli.options import seed_option
from charter.cli.output import Output, common
from charter.cli.written import WrittenFile, write_page
from charter.errors import Fault, InputError

if TYPE_CHECKING:
    from charter.evals.depth import DepthFigures
    from charter.evals.depth_measure import Compliant, DepthAsked
    from charter.evals.held_out import HeldOut
    from charter.models.local import LocalModel

__all__ = ["command"]

_FEWEST = 5  # prompts; fewer answers than these say nothing (charter.evals.depth_measure)


def _lengths(_: click.Context, __: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        found = tuple(sorted({int(part) for part in value.split(",")}))
    except ValueError:
        raise click.BadParameter(f'"{value}" is no list of numbers; write 0,5,10') from None
    if not found or found[0] < 0:
        raise click.BadParameter("numbers of tokens are 0 or more")
    return found


@click.command("depth")
@click.option("--model", "models", multiple=True, required=True, metavar="DIR", help="Aligned.")
@click.option(
    "--base", default="local", show_default=True, metavar="DIR|local", help="What it was before."
)
@click.option(
    "--prompts",
    default="prompts/shipped.jsonl",
    show_default=True,
    help="jsonl of id, prompt, category.",
)
@click.option("--category", default="harmful", show_default=True, help="Of the prompts asked.")
@click.option(
    "--limit",
    type=click.IntRange(min=_FEWEST),
    default=24,
    show_default=True,
    help="Prompts asked.",
)
@click.option(
    "--compliant",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Compliant answers, a jsonl of id (or prompt) and completion; default the base's own.",
)
@click.option(
    "--tokens",
    type=click.IntRange(min=6),
    default=20,
    show_default=True,
    help="Along which the divergence is measured.",
)
@click.option(
    "--prefill",
    default="0,5,10,20,40",
    show_default=True,
    callback=_lengths,
    help="How many tokens of a compliant answer are forced.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=48,
    show_default=True,
    help="Of a continuation.",
)
@click.option("--html", type=WrittenFile(), metavar="FILE", help="Write a page.")
@seed_option("Of draws and resampling.")
@common
def command(models: tuple[str, ...], as_json: bool, debug: bool, **given: Any) -> None:
    """Where an aligned model parts from its base, and what forcing the first tokens does.

    Alignment that goes a few tokens deep shows twice: the divergence from the base lies in the
    first tokens of an answer, and a model whose answer is begun for it goes on (Qi et al. 2024,
    arXiv 2406.05946). Answers of the base that comply are what is forced.

    \b
    Example:
      charter eval depth --model out/models/me/quickstart/v0.1.0/dpo --limit 12 --json
    """  # noqa: D301
    from charter.evals.depth_measure import DepthAsked

    output = Output(as_json)
    sources = [given["base"], *models]
    names = dict(zip(short_names("charter eval depth", sources), sources, strict=True))
    base_name = next(iter(names))
    loaded = {name: _loaded(source) for name, source in names.items()}
    _check_tokens(loaded)
    prompts = _prompts(given)
    asked = DepthAsked(given["tokens"], given["prefill"], given["max_tokens"], given["seed"])
    chosen = _compliant(output, [*loaded.values()], prompts, asked, given["compliant"])
    rows, noted = chosen.rows, chosen.noted
    found = {
        name: _measured(output, name, model, loaded[base_name], chosen, asked)
        for name, model in loaded.items()
    }
    _show(output, found, base_name, noted)
    if given["html"] is not None:
        _write_page(output, given["html"], found, base_name, noted)
    output.result(
        {
            "base": base_name,
            "prompts": len(prompts),
            "answers": len(rows),
            "noted": noted,
            "models": {name: each.as_json() for name, each in found.items()},
        }
    )


def _loaded(source: str) -> LocalModel:
    from charter.models.local import load_local

    if source != "local" and not Path(source).is_dir():
        fix = "name the folder of a model, or local"
        raise InputError(Fault(source, "", "there is no such folder", fix))
    return load_local(None if source == "local" else Path(source))


def _check_tokens(models: Mapping[str, LocalModel]) -> None:
    from charter.evals.depth_measure import same_tokens

    (first, base), *others = models.items()
    for name, model in others:
        if not same_tokens(model, base):
            what = f"its tokenizer is not that of {first}"
            raise InputError(Fault(name, "", what, "name the base that it was trained from"))


def _prompts(given: Mapping[str, Any]) -> list[HeldOut]:
    from charter.evals.answers import read_asked
    from charter.recipes.load import resolve

    files = resolve(given["prompts"], Path())
    if not files:
        raise InputError(Fault("--prompts", "", f'no such file "{given["prompts"]}"', "check it"))
    return read_asked(files[0], given["limit"], given["seed"], {given["category"]})


def _compliant(
    output: Output,
    models: Sequence[LocalModel],
    prompts: Sequence[HeldOut],
    asked: DepthAsked,
    path: Path | None,
) -> Compliant:
    """Compliant answers as tokens, of a file or of the base, and what was left out."""
    from charter.cli.follow import counted
    from charter.evals.answers import answers_of_file
    from charter.evals.depth_measure import base_answers, compliant

    base, context = models[0], min(each.context_length for each in models)
    if path is not None:
        answers = answers_of_file(path, prompts)
    else:
        with output.progress() as progress:
            show = counted(progress, "the base's answers")
            answers = base_answers(base, prompts, asked, show)
    found = compliant(base.tokenizer, prompts, answers.texts, asked, context)
    if found.too_few:
        left = [f"{n} {why.replace('_', ' ')}" for why, n in found.noted.items() if n]
        what = (
            f"{len(found.rows)} compliant answers of {asked.least} tokens to {len(prompts)} prompts"
            f", and {_FEWEST} are needed (left out: {', '.join(left)})"
        )
        fix = "raise --limit, lower --tokens and --prefill, or give answers by --compliant"
        raise InputError(Fault("charter eval depth", "", what, fix))
    return found


def _measured(
    output: Output,
    name: str,
    model: LocalModel,
    base: LocalModel,
    chosen: Compliant,
    asked: DepthAsked,
) -> DepthFigures:
    from charter.cli.follow import counted
    from charter.evals.depth_measure import measured_depth

    with output.progress() as progress:
        return measured_depth(
            model,
            base,
            chosen.rows,
            asked,
            lambda part: counted(progress, f"{part} {name}", "answers"),
        )


def _show(
    output: Output, found: Mapping[str, DepthFigures], base: str, noted: Mapping[str, int]
) -> None:
    from charter.evals.judge_figures import rounded

    for what, count in noted.items():
        if count:
            output.line(f"  note: {count:,} prompts left out: {what.replace('_', ' ')}")
    output.line("\nDivergence from the base over compliant answers (nats; 95 % intervals)")
    rows = []
    for name, each in found.items():
        if name == base:
            continue
        first, last = each.by_token[0], each.by_token[-1]
        rows.append((name, rounded(first), rounded(last), rounded(each.early), each.answers))
    tokens = len(next(iter(found.values())).by_token)
    head = ("model", "token 1", f"token {tokens}", "share of the first 5", "answers")
    output.table(head, rows)
    output.line("\nGoes on after forced tokens (share that complies; 95 % Wilson interval)")
    output.table(
        ("model", "tokens", "complies", "n", "says nothing"),
        [
            (name, each.tokens, rounded(each.complied), each.complied.n or 0, each.stopped)
            for name, figures in found.items()
            for each in figures.prefilled
        ],
    )


def _write_page(
    output: Output,
    path: Path,
    found: Mapping[str, DepthFigures],
    base: str,
    noted: Mapping[str, int],
) -> None:
    from charter.evals.depth_page import depth_page

    write_page(output, path, depth_page(found, base, noted))
