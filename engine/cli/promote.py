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
@click.option(
    "--model",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="A model trained on it and measured by `charter report --card`: its figures are kept.",
)
@store_option
@common
def command(
    version: str,
    require: tuple[str, ...],
    model: Path | None,
    store: Path,
    as_json: bool,
    debug: bool,
) -> None:
    """Make the release vX.Y.Z from its candidate vX.Y.Z-rc.N: the same rows, verified.

    What is missing of --require, or of what the candidate's own recipe asks for in its blocks
    review and evaluate, is named, and nothing is published then.

    \b
    Example:
      charter run mine/recipe.yaml --version rc
      charter promote me/mine@v0.2.0-rc.1 --require reviews
      charter promote me/mine@v0.2.0-rc.1 --model out/models/me/mine/v0.2.0-rc.1/dpo
    """  # noqa: D301
    from charter.hub.evaluation_gate import read_evaluation
    from charter.hub.promote import promote_hub, promote_local

    output = Output(as_json)
    opened = open_named(version, store)
    figures = None if model is None else read_evaluation(model, opened)
    if opened.commit is not None:
        found = promote_hub(opened, store, require, output.line, figures)
    else:
        found = promote_local(opened, store, require, figures)
    output.line(f"{found.repo}@{found.tag} is published in {found.path}")
    output.result({"repo": found.repo, "version": found.tag, "path": str(found.path)})
