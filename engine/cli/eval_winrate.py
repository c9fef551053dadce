"""`charter eval winrate`: which of some models a judge prefers."""

from __future__ import annotations

import itertools
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
    from charter.cli.judging import JudgeSetup
    from charter.evals.answers import Answered
    from charter.evals.held_out import HeldOut
    from charter.evals.winrate import Game, WinRates

__all__ = ["command"]

_FIX = "name the folder of a model, local, or NAME=FILE of answers"


@click.command("winrate")
@click.argument("models", nargs=-1, required=True, metavar="MODEL MODEL...")
@click.option(
    "--prompts",
    default="prompts/shipped.jsonl",
    show_default=True,
    help="jsonl of id, prompt, category.",
)
@click.option("--category", "categories", multiple=True, metavar="NAME", help="Only these.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="So many prompts, drawn by --seed."
)
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=128, show_default=True, help="Of an answer."
)
@click.option("--judge", "judge", metavar="local|DIR", help="Who judges.")
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge, constitution and mode of a recipe.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="A.B=VALUE", help="Override a value of --recipe."
)
@click.option("--constitution", metavar="NAME", help="By what; without a recipe hhh.")
@click.option(
    "--mode",
    type=click.Choice(("logprob", "verdict", "cot", "vote")),
    help="How it judges.  [the recipe's, or logprob]",
)
@click.option("--principle", "principles", multiple=True, metavar="ID", help="Only these.")
@click.option("--html", type=WrittenFile(), metavar="FILE", help="Write a page.")
@seed_option("Of draws and resampling.")
@common
def command(models: tuple[str, ...], as_json: bool, debug: bool, **given: Any) -> None:
    """How often a judge prefers the first model's answers, both orders asked.

    MODEL is `local` (the embedded one), the folder of a model, or NAME=FILE: answers that are
    there, a jsonl of id (or prompt) and completion. A tie is half a win. Beside the plain win
    rate stands the one at equal length, and for all models together Elo ratings.

    \b
    Example:
      charter eval winrate out/models/me/quickstart/v0.1.0/dpo local --judge local --limit 20
      charter eval winrate ours=ours.jsonl theirs=theirs.jsonl --recipe mine/recipe.yaml --json
    """  # noqa: D301
    output = Output(as_json)
    if len(models) < 2:
        raise click.UsageError("one model alone wins nothing; name two or more")
    setup = _setup(given)
    prompts = _prompts(given)
    answers = _answers(output, _named(models), prompts, given["max_tokens"])
    games = _games(output, prompts, answers, setup)
    from charter.evals.winrate import win_rates

    found = win_rates(list(answers), games, given["seed"])
    failed = {name: len(each.failed) for name, each in answers.items() if each.failed}
    _show(output, found, failed)
    if given["html"] is not None:
        _write_page(output, given["html"], found, failed)
    output.result({**found.as_json(), "prompts": len(prompts), "unanswered": failed})


def _named(models: Sequence[str]) -> dict[str, Path | str]:
    """Where each model's answers come from, by its name: a file, a folder, or `local`."""
    # A folder may have the sign in its name: out/lr=1e-4.
    folders = [model for model in models if "=" not in model or Path(model).is_dir()]
    faults = [
        Fault(model, "", "there is no such folder", _FIX)
        for model in folders
        if model != "local" and not Path(model).is_dir()
    ]
    short = dict(zip(folders, short_names("charter eval winrate", folders), strict=True))
    found: dict[str, Path | str] = {}
    for model in models:
        name, _, file = model.partition("=")
        source: Path | str = "local" if model == "local" else Path(model)
        if model in short:
            name = short[model]
        else:
            source = Path(file)
        if model not in short and not file:
            faults.append(Fault(model, "", "names no file behind its =", _FIX))
        if not name:
            faults.append(Fault(model, "", "names no model before its =", _FIX))
        if name in found:
            fix = "name each once; NAME=FILE gives answers another name"
            faults.append(Fault(model, "", f'there is another model "{name}"', fix))
        found[name] = source
    if faults:
        raise InputError(faults)
    return found


def _setup(given: Mapping[str, Any]) -> JudgeSetup:
    from charter.cli.judging import judge_setup
    from charter.cli.options import load
    from charter.constitutions import find_constitution, load_constitution

    if given["settings"] and not given["recipe"]:
        raise click.UsageError("--set overrides a value of a recipe; give --recipe")
    recipe = load(given["recipe"], given["settings"], None) if given["recipe"] else None
    if not given["judge"] and not recipe:
        raise click.UsageError("there is no judge; give --judge or --recipe")
    if given["constitution"] or not recipe:
        constitution = load_constitution(find_constitution(given["constitution"] or "hhh"))
    else:
        constitution = recipe.constitution
    return judge_setup(
        constitution,
        recipe,
        model=given["judge"],
        mode=given["mode"],
        principles=given["principles"],
        seed=given["seed"],
        option="--judge",
    )


def _prompts(given: Mapping[str, Any]) -> list[HeldOut]:
    from charter.evals.answers import read_asked
    from charter.recipes.load import resolve

    files = resolve(given["prompts"], Path())
    if not files:
        raise InputError(Fault("--prompts", "", f'no such file "{given["prompts"]}"', "check it"))
    categories = frozenset(given["categories"]) or None
    return read_asked(files[0], given["limit"], given["seed"], categories)


def _answers(
    output: Output,
    models: Mapping[str, Path | str],
    prompts: Sequence[HeldOut],
    max_tokens: int,
) -> dict[str, Answered]:
    from contextlib import closing

    from charter.cli.follow import counted
    from charter.evals.answers import answers_of_file, answers_of_model
    from charter.models.cache import CallCache, default_cache_path
    from charter.models.cached import CachedLocal

    found: dict[str, Answered] = {}
    with closing(CallCache(default_cache_path())) as cache:
        asked: dict[str, CachedLocal] = {}
        # What cannot be read is told before any model is asked.
        for name, source in models.items():
            if isinstance(source, Path) and not source.is_dir():
                found[name] = answers_of_file(source, prompts)
            else:
                asked[name] = CachedLocal(None if source == "local" else Path(source), cache)
        for name, model in asked.items():
            with output.progress() as progress:
                found[name] = answers_of_model(
                    model,
                    prompts,
                    max_tokens=max_tokens,
                    progress=counted(progress, f"answers {name}"),
                )
    return {name: found[name] for name in models}


def _games(
    output: Output,
    prompts: Sequence[HeldOut],
    answers: Mapping[str, Answered],
    setup: JudgeSetup,
) -> list[Game]:
    """Every two models' answers to every prompt that both answered, judged."""
    from charter.cli.judging import GivenPair, judge_pairs
    from charter.evals.winrate import game_of

    weights, mode = setup.weights, setup.settings().mode
    games: list[Game] = []
    for names in itertools.combinations(answers, 2):
        one, other = (answers[name].texts for name in names)
        asked = [prompt for prompt in prompts if prompt.id in one and prompt.id in other]
        texts = [(one[prompt.id], other[prompt.id]) for prompt in asked]
        # The ids do not say whose the answers are: all pairs draw the same principles.
        pairs = [
            GivenPair(prompt.id, prompt.messages, *both)
            for prompt, both in zip(asked, texts, strict=True)
        ]
        with output.progress() as progress:
            votes = judge_pairs(pairs, setup, progress)
        games += [
            game_of((prompt.id, prompt.category), names, both, each, mode, weights)
            for prompt, both, each in zip(asked, texts, votes, strict=True)
        ]
    if not games:
        fix = "give more tokens, or answers to the same prompts"
        raise InputError(Fault("charter eval winrate", "", "no two answers to one prompt", fix))
    return games


def _show(output: Output, found: WinRates, failed: Mapping[str, int]) -> None:
    from charter.evals.bradley_terry import points
    from charter.evals.judge_figures import rounded

    for name, count in failed.items():
        output.line(f"  note: {name} gave no answer to {count:,} prompts; they are left out")
    for warning in found.warnings:
        output.line(f"  warning: {warning}")
    output.line("\nWin rates (a tie is half a win; 95 % intervals)")
    rows = []
    for pair in found.pairs:
        played = f"{pair.wins}/{pair.ties}/{pair.losses}"
        shown = [rounded(each) for each in (pair.rate, pair.controlled, pair.soft)]
        rows.append((f"{pair.one} against {pair.other}", played, *shown, pair.better or "neither"))
    head = ("", "won/tied/lost", "win rate", "at equal length", "mean p", "better")
    output.table(head, rows)
    categories = [
        (f"{pair.one} against {pair.other}", name, rounded(each), each.n)
        for pair in found.pairs
        for name, each in pair.by_category.items()
    ]
    if categories:
        output.line("\nBy category of the prompt")
        output.table(("", "category", "win rate", "n"), categories)
    output.line(f"\nElo ratings ({found.models[0]} is 1000)")
    output.table(
        ("model", "rating [95 %]", "games"),
        [(name, points(each), each.n) for name, each in found.elo.items()],
    )


def _write_page(output: Output, path: Path, found: WinRates, failed: Mapping[str, int]) -> None:
    from charter.evals.winrate_page import winrate_page

    write_page(output, path, winrate_page(found, failed))
