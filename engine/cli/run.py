"""`charter run`: the recipe's datasets published, its models trained, its figures measured."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.options import Real, card_option, load, out_option, recipe_options
from charter.cli.output import Output, common
from charter.errors import Fault, InputError

if TYPE_CHECKING:
    from charter.evals.report_page import Missed
    from charter.recipes import Recipe
    from charter.run import RunResult


@click.command("run")
@recipe_options
@out_option
@click.option("--version", metavar="TAG", help="Publish as this tag instead of the next one.")
@click.option("--max-calls", type=click.IntRange(min=0), metavar="N", help="Make no more calls.")
@click.option("--max-cost", type=Real(min=0), metavar="MONEY", help="Spend no more, by price.")
@click.option(
    "--max-reject-rate",
    type=Real(0, 1),
    metavar="SHARE",
    help="End the run when more rows than this share lose a call.  [default: the recipe's, 0.2]",
)
@click.option("--retry-rejects", is_flag=True, help="Ask again for what failed for good before.")
@click.option("--pr", is_flag=True, help="`to: hub`: open a pull request.")
@click.option("--rebase", is_flag=True, help="`to: hub`: take the next number if need be.")
@click.option("--dry-run", is_flag=True, help="`to: hub`: check and decide; send, train nothing.")
@card_option
@click.option("--no-train", is_flag=True, help="Leave out the recipe's train and evaluate blocks.")
@common
def command(
    recipe: Path,
    settings: tuple[str, ...],
    limit: int | None,
    out: Path,
    version: str | None,
    max_calls: int | None,
    max_cost: float | None,
    max_reject_rate: float | None,
    retry_rejects: bool,
    pr: bool,
    rebase: bool,
    dry_run: bool,
    card: str,
    no_train: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Run a recipe: publish its datasets as a version, then train and evaluate as it says.

    An interrupted run is taken up by the same command: no answered call is made again. Ctrl-C
    once finishes the calls in flight, twice stops at once. At --max-calls or --max-cost the run
    stops with everything kept, and goes on when the limit is raised.

    \b
    Example:
      charter run recipes/quickstart.yaml
      charter run recipes/quickstart.yaml --limit 8 --set sft.rounds=1 --no-train
      charter run recipes/quickstart.yaml --max-cost 5.00 --max-calls 10000
    """  # noqa: D301
    from charter.cli.account import print_account
    from charter.cli.follow import evaluate_models, train_models
    from charter.cli.report import end_unless_reached, report_release
    from charter.hub import HubOptions
    from charter.run import run_recipe
    from charter.run.limits import Limits
    from charter.run.report_account import account_of

    output = Output(as_json)
    _check_tag(version)
    loaded = load(recipe, settings, limit)
    rate = loaded.recipe.run.max_reject_rate if max_reject_rate is None else max_reject_rate
    limits = Limits(max_calls, max_cost, rate)
    hub = HubOptions(rebase=rebase, pr=pr, dry_run=dry_run, card=card)
    if loaded.recipe.publish.to != "hub" and hub != HubOptions():
        what = "--pr, --rebase, --dry-run and --card belong to a Hub"
        fix = "set publish.to: hub, or leave them out"
        raise InputError(Fault(str(recipe), "publish.to", what, fix))
    with output.progress() as progress:
        result = run_recipe(
            loaded, out, progress, version, limits=limits, retry_rejects=retry_rejects, hub=hub
        )
    print_account(output, result, dry_run=dry_run)
    no_train = no_train or dry_run  # its tag is free still: another version may come by it
    found: dict[str, Any] = result.as_json() | account_of(result)
    found["review"] = _print_review(output, loaded.recipe, result)
    if not no_train:
        models = train_models(output, loaded.recipe, result.published.path, out)
        found["models"] = {method: str(path) for method, path in models.items()}
        if loaded.recipe.evaluate.refusal:
            found["refusal"] = evaluate_models(output, loaded, result.published.path, models)
    missed: Missed = ()
    if loaded.recipe.evaluate.gates and not no_train:
        found["report"], missed = report_release(
            output, loaded, result.published, models, out, settings
        )
    _print_next(output, result, found.get("models", {}))
    output.result(found)
    end_unless_reached(f"{result.published.repo}@{result.published.tag}", missed)


def _check_tag(version: str | None) -> None:
    """Said before a call is paid for: a version is only named once all of them are made."""
    from charter.hub.content import check_wanted

    try:
        check_wanted(version or "auto")
    except InputError as error:
        faults = (replace(each, place="charter run", path="--version") for each in error.faults)
        raise InputError(faults) from None


def _print_review(output: Output, recipe: Recipe, result: RunResult) -> list[str]:
    """The rows that the recipe's `review` block chooses for people; returns their ids."""
    from charter.hub import open_version
    from charter.review import candidates, draw_rows

    review = recipe.review
    version = open_version(result.published.path)
    seed = recipe.seed if review.seed is None else review.seed
    chosen = draw_rows(candidates(version, "preference"), review.n, seed, review.uncertain)
    if chosen:
        path = shlex.quote(str(result.published.path))
        output.line(f"\nFor people to look at first (`charter show {path} ROW`)")
        output.table(
            ("row", "p(chosen)", "orders", "chance of being chosen"),
            [
                (
                    each.row.row_id,
                    f"{each.row.p_chosen:.3f}",
                    "agree" if each.row.order_consistent else "disagree",
                    f"{each.inclusion:.2f}",
                )
                for each in chosen
            ],
        )
    return [each.row.row_id for each in chosen]


def _print_next(output: Output, result: RunResult, models: dict[str, str]) -> None:
    path = shlex.quote(str(result.published.path))
    output.line(f"\nreport: {result.folder / 'report.html'}")
    output.line("Next:")
    output.line(f"  charter show {path}                    the rows, with all behind them")
    configs = {"sft": "sft", "dpo": "preference"}
    method = next((name for name, config in configs.items() if result.counts.get(config)), None)
    if method is not None:
        output.line(f"  charter train {method} --dataset {path} --out my-model --set max_steps=20")
    if models:
        name = list(models)[-1]
        output.line(f"  the {name} model is an ordinary transformers folder: {models[name]}")
