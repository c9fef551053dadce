"""`charter eval`: what training did to a model."""

from __future__ import annotations

from pathlib import Path

import click

from charter.cli.output import Output, common


@click.group("eval", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Measure a model: refusals."""


@command.command("refusal")
@click.option("--model", "models", multiple=True, required=True, metavar="DIR|local")
@click.option(
    "--prompts", default="prompts/shipped.jsonl", show_default=True, help="jsonl with a category."
)
@click.option("--category", "categories", multiple=True, default=("harmful", "benign"))
@click.option("--per-category", type=click.IntRange(min=1), default=16, show_default=True)
@click.option("--max-tokens", type=click.IntRange(min=1), default=48, show_default=True)
@common
def refusal(
    models: tuple[str, ...],
    prompts: str,
    categories: tuple[str, ...],
    per_category: int,
    max_tokens: int,
    as_json: bool,
    debug: bool,
) -> None:
    """Count refusals of local models by category, with Wilson intervals.

    Answers are classified by rules alone. `local` is the embedded model.

    \b
    Example:
      charter eval refusal --model local --model out/models/me/quickstart/v0.1.0/dpo
    """  # noqa: D301
    from charter.cli.follow import measure_models
    from charter.recipes.schema import RefusalSettings

    settings = RefusalSettings(
        path=prompts,
        per_category=per_category,
        categories=categories,
        max_tokens=max_tokens,
    )
    named = {name: None if name == "local" else Path(name) for name in models}
    output = Output(as_json)
    output.result(measure_models(output, settings, named, Path(), frozenset()))
