"""`charter plan`: what a run would ask, and what of it is paid for."""

from __future__ import annotations

from pathlib import Path

import click

from charter.cli.options import load, recipe_options
from charter.cli.output import Output, common


@click.command("plan")
@recipe_options
@common
def command(
    recipe: Path, settings: tuple[str, ...], limit: int | None, as_json: bool, debug: bool
) -> None:
    """Count rows, calls, tokens and cost of a recipe, and what the cache holds; call nothing.

    Calls are exact as far as the cache answers, and the most there can be after that; tokens are
    an estimate.

    \b
    Example:
      charter plan recipes/quickstart.yaml
    """  # noqa: D301
    from charter.models.cache import CallCache, default_cache_path
    from charter.run.plan import plan_run

    output = Output(as_json)
    cache = CallCache(default_cache_path())
    try:
        plan = plan_run(load(recipe, settings, limit), cache)
    finally:
        cache.close()
    output.line(f"{plan.rows} prompts ({plan.rejects} records rejected)")
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
    found = plan.as_json()
    output.line(f"{found['calls']} calls, {found['cached_calls']} of them paid for already")
    output.result(found)
