"""`charter promote`: a release from a candidate."""

from __future__ import annotations

from pathlib import Path

import click

from charter.cli.options import open_named, store_option
from charter.cli.output import Output, common


@click.command("promote")
@click.argument("version")
@click.option(
    "--require",
    "require",
    multiple=True,
    metavar="NAME",
    help="What must have been measured: reviews, evaluations, or a figure of one of them.",
)
@store_option
@common
def command(
    version: str, require: tuple[str, ...], store: Path, as_json: bool, debug: bool
) -> None:
    """Make the release vX.Y.Z from its candidate vX.Y.Z-rc.N: the same rows, verified.

    What is missing of --require is named, and nothing is published then.

    \b
    Example:
      charter run mine/recipe.yaml --version rc
      charter promote me/mine@v0.2.0-rc.1 --require reviews
    """  # noqa: D301
    from charter.hub.promote import promote_hub, promote_local

    output = Output(as_json)
    opened = open_named(version, store)
    if opened.commit is not None:
        found = promote_hub(opened, store, require, output.line)
    else:
        found = promote_local(opened, store, require)
    output.line(f"{found.repo}@{found.tag} is published in {found.path}")
    output.result({"repo": found.repo, "version": found.tag, "path": str(found.path)})
