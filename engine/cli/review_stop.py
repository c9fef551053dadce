"""`charter review stop`: end the embedded Argilla."""

from __future__ import annotations

from pathlib import Path

import click

from charter.cli.output import Output, common
from charter.cli.review_serve import data_option

__all__ = ["command"]


@click.command("stop")
@data_option
@common
def command(data: Path | None, as_json: bool, debug: bool) -> None:
    """End the embedded Argilla; the answers stay. Nothing to do where none runs.

    \b
    Example:
      charter review stop
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from charter.review.embedded import data_folder, stop_process

    folder = data_folder(data)
    there = stop_process(folder)
    out = Output(as_json)
    said = f"ended: {there.url}" if there else f"no server runs on {folder}"
    out.line(said)
    out.result({"stopped": there is not None, "data": str(folder)})
