"""`charter run`: the recipe's datasets published, its models trained, its figures measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.options import load, out_option, recipe_options
from charter.cli.output import Output, common
from charter.cli.trace import print_pair, print_prompt, print_revisions

if TYPE_CHECKING:
    from charter.recipes import Recipe
    from charter.run import RunResult


@click.command("run")
@recipe_options
@out_option
@click.option("--version", metavar="TAG", help="Publish as this tag instead of the next one.")
@click.option("--no-train", is_flag=True, help="Leave out the recipe's train and evaluate blocks.")
@common
def command(
    recipe: Path,
    settings: tuple[str, ...],
    limit: int | None,
    out: Path,
    version: str | None,
    no_train: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Run a recipe: publish its datasets as a version, then train and evaluate as it says.

    An interrupted run is taken up by the same command: no answered call is made again.

    \b
    Example:
      charter run recipes/quickstart.yaml
      charter run recipes/quickstart.yaml --limit 8 --set sft.rounds=1 --no-train
    """  # noqa: D301
    from charter.cli.follow import evaluate_models, train_models
    from charter.run import run_recipe

    output = Output(as_json)
    loaded = load(recipe, settings, limit)
    with output.progress() as progress:
        result = run_recipe(loaded, out, progress, version)
    _print_account(output, result)
    found: dict[str, Any] = result.as_json()
    found["review"] = _print_review(output, loaded.recipe, result)
    if not no_train:
        models = train_models(output, loaded.recipe, result.published.path, out)
        found["models"] = {method: str(path) for method, path in models.items()}
        if loaded.recipe.evaluate.refusal:
            found["refusal"] = evaluate_models(output, loaded, result.published.path, models)
    _print_next(output, result, found.get("models", {}))
    output.result(found)


def _print_account(output: Output, result: RunResult) -> None:
    from charter.run.report import example_labels, example_trace, label_mix

    published = result.published
    output.line()
    if published.new:
        output.line(f"{published.repo}@{published.tag} is published in {published.path}")
    else:
        output.line(f"nothing changed: {published.repo}@{published.tag} in {published.path}")
    output.table(("config", "rows"), list(result.counts.items()))
    files = sorted(path for path in published.path.rglob("*") if path.is_file())
    output.table(
        ("file", "bytes"),
        [(str(file.relative_to(published.path)), file.stat().st_size) for file in files],
    )
    verdicts: dict[str, int] = {}
    for row in result.rows:
        for vote in row["votes"]:
            verdicts[vote["verdict"]] = verdicts.get(vote["verdict"], 0) + 1
    if verdicts:
        output.line("votes: " + ", ".join(f"{v} {n}" for v, n in sorted(verdicts.items())))
        mix = label_mix(result.rows)
        output.line("pairs: " + ", ".join(f"{v} {n}" for v, n in sorted(mix.items())))
    trace = example_trace(result.rows)
    if trace:
        output.line("\nOne revision trace")
        print_prompt(output, trace["prompt"])
        print_revisions(output, trace["initial_response"], trace["revisions"])
    pair = example_labels(result.rows)
    if pair:
        output.line("\nOne judged pair")
        print_prompt(output, pair[0]["prompt"][-1:])
        print_pair(output, *pair)
    tally = result.tally
    failed = f", {tally.failed.total()} failed for good" if tally.failed.total() else ""
    calls, cached = tally.calls.total(), tally.cached.total()
    output.line(f"\n{calls} calls, {cached} of them from the cache{failed}")


def _print_review(output: Output, recipe: Recipe, result: RunResult) -> list[str]:
    """The rows that the recipe's `review` block chooses for people; returns their ids."""
    from charter.hub import open_version
    from charter.review import choose_rows

    review = recipe.review
    version = open_version(result.published.path)
    chosen = choose_rows(version, review.n, recipe.seed, review.uncertain)
    if chosen:
        output.line(f"\nFor people to look at first (`charter show {result.published.path} ROW`)")
        output.table(
            ("row", "p(chosen)", "orders", "chance of being chosen"),
            [
                (
                    row.row_id,
                    f"{row.p_chosen:.3f}",
                    "agree" if row.order_consistent else "disagree",
                    f"{row.inclusion:.2f}",
                )
                for row in chosen
            ],
        )
    return [row.row_id for row in chosen]


def _print_next(output: Output, result: RunResult, models: dict[str, str]) -> None:
    path = result.published.path
    output.line(f"\nreport: {result.folder / 'report.html'}")
    output.line("Next:")
    output.line(f"  charter show {path}                    the rows, with all behind them")
    output.line(f"  charter train sft --dataset {path} --out my-model --set max_steps=20")
    if models:
        name = list(models)[-1]
        output.line(f"  the {name} model is an ordinary transformers folder: {models[name]}")
