"""`charter plan`: what a run would ask, and what of it is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from charter.cli.lines import duration, money
from charter.cli.options import load, recipe_options
from charter.cli.output import Output, common
from charter.cli.rejects import counted_records, print_records

if TYPE_CHECKING:
    from charter.run.plan import Plan


@click.command("plan")
@recipe_options
@common
def command(
    recipe: Path, settings: tuple[str, ...], limit: int | None, as_json: bool, debug: bool
) -> None:
    """Count rows, calls, tokens, cost and time of a recipe, and what the cache holds; call nothing.

    Calls are exact as far as the cache answers, and the most there can be after that; tokens are
    an estimate; the time is made from how long such calls took before, and is null where the
    cache holds none that tell. A judge behind a server is asked once whether it gives
    log-probabilities: the plan counts neither this call nor, before it is made, the votes that
    one without them gives instead.

    \b
    Example:
      charter plan recipes/quickstart.yaml
    """  # noqa: D301
    from contextlib import closing

    from charter.models.cache import CallCache, default_cache_path
    from charter.recipes import read_prompts
    from charter.run.plan import plan_run

    output = Output(as_json)
    loaded = load(recipe, settings, limit)
    with closing(CallCache(default_cache_path())) as cache:
        plan = plan_run(loaded, cache)
    output.line(f"{plan.rows} prompts ({plan.rejects} records rejected)")
    # Only a count stands in the plan: the records are read again where there is more to say.
    rejects = read_prompts(loaded).rejects if plan.rejects else []
    print_records(output, rejects, plan.rows)
    _print_steps(output, plan)
    _print_principles(output, plan)
    found = plan.as_json()
    calls, cached = found["calls"], found["cached_calls"]
    output.line(f"{calls} calls, {cached} of them paid for already; at most {plan.missing} to make")
    cost = found["cost"]
    if cost is None:
        output.line("cost: not known; give models.ROLE.price (money per million tokens)")
    else:
        output.line(f"cost: at most {money(cost)}")
    output.line(f"time: {_time(plan, loaded.recipe.run.in_flight)}")
    output.result({**found, "rejects": counted_records(rejects)})


def _print_steps(output: Output, plan: Plan) -> None:
    output.table(
        ("step", "model", "calls", "cached", "tokens to read", "to write at most", "cost"),
        [
            (
                step.step,
                step.model,
                step.calls,
                step.cached_calls,
                step.prompt_tokens,
                step.completion_tokens,
                "no price given" if step.cost is None else f"{step.cost:.4f}",
            )
            for step in plan.steps
        ],
    )


def _print_principles(output: Output, plan: Plan) -> None:
    rows = [(p.principle, p.calls, p.cached_calls) for p in plan.principles if p.calls]
    if rows:
        output.line()
        output.table(
            ("principle", "calls", "cached", "to make at most"),
            [(name, calls, cached, calls - cached) for name, calls, cached in rows],
        )
        output.line()


def _time(plan: Plan, in_flight: int) -> str:
    """The time in words, and where the figure is from."""
    if plan.minutes is None:
        return "not known; the cache holds no such call whose time was taken (`charter preview`)"
    if not plan.missing:
        return "nothing is to be asked"
    rates = plan.rates.steps.values()
    own = sum(rate.calls for rate in rates if rate.of == "step")
    sources = [f"{own} answers to this recipe's own steps"] if own else []
    others = {(r.calls, r.seconds) for r in rates if r.of == "model"}
    if others:
        sources.append(f"the {sum(n for n, _ in others)} newest answers of the models")
    said = f"{' and '.join(sources)} in the cache, {in_flight} calls at once"
    return f"about {duration(plan.minutes * 60)}, by {said}"
