"""`charter preview`: what the models write for a few prompts; nothing is published."""

from __future__ import annotations

from pathlib import Path

import click

from charter.cli.options import load
from charter.cli.output import Output, common
from charter.cli.rejects import counted_records, print_records
from charter.cli.trace import print_row


@click.command("preview")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "-n", "count", type=click.IntRange(min=1), default=3, show_default=True, help="Prompts."
)
@click.option("--set", "settings", multiple=True, metavar="A.B=VALUE", help="Override a value.")
@common
def command(
    recipe: Path, count: int, settings: tuple[str, ...], as_json: bool, debug: bool
) -> None:
    """Run the first prompts of a recipe and show every step's text.

    Nothing is published. What was called is cached, so the run does not pay for it again.

    \b
    Example:
      charter preview recipes/quickstart.yaml -n 2
    """  # noqa: D301
    from charter.models.cache import CallCache, default_cache_path
    from charter.recipes import read_prompts
    from charter.run.execute import preview_rows

    output = Output(as_json)
    loaded = load(recipe, settings, None)
    limit = loaded.recipe.prompts.limit
    if limit is None or limit > count:  # what the run does not have is not asked for
        loaded = load(recipe, settings, count)
    prompts = read_prompts(loaded)
    cache = CallCache(default_cache_path())
    try:
        with output.progress() as progress:
            progress.say("loading models")
            rows, tally = preview_rows(loaded, prompts, cache, progress)
    finally:
        cache.close()
    for row in rows:
        print_row(output, row)
    print_records(output, prompts.rejects, len(prompts.prompts))
    calls, cached = tally.calls.total(), tally.cached.total()
    output.line(f"{calls} calls, {cached} from the cache; nothing was published")
    found = {"rows": rows, "calls": calls, "cached_calls": cached}
    output.result({**found, "rejects": counted_records(prompts.rejects)})
