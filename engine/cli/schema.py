"""`charter schema`: the JSON schema for editors."""

from __future__ import annotations

import json

import click
from pydantic import BaseModel

from charter.constitutions import Constitution
from charter.recipes import Recipe

_KINDS: dict[str, type[BaseModel]] = {"recipe": Recipe, "constitution": Constitution}


@click.command("schema")
@click.argument("kind", type=click.Choice(list(_KINDS)))
@click.option("--json", "as_json", is_flag=True, help="On one line, as the last one on stdout.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def command(kind: str, as_json: bool, debug: bool) -> None:
    """Print the JSON schema of a recipe or constitution, so that editors complete it.

    \b
    Example:
      charter schema recipe > recipe.schema.json
      # then, on top of a recipe:
      # yaml-language-server: $schema=recipe.schema.json
    """  # noqa: D301
    schema = _KINDS[kind].model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    click.echo(json.dumps(schema, indent=None if as_json else 2, ensure_ascii=False))
