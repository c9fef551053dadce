"""`charter review serve`: the embedded Argilla."""

from __future__ import annotations

from pathlib import Path

import click

from charter.cli.output import common

__all__ = ["command", "data_option"]


def data_option(function: click.decorators.FC) -> click.decorators.FC:
    """--data, the folder of the embedded Argilla."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        help="Its folder; CHARTER_REVIEW, else the user's data folder, where not given.",
    )(function)


@click.command("serve")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=6900,
    show_default=True,
    help="0 picks a free one.",
)
@data_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Anything but loopback can be reached from elsewhere, without encryption.",
)
@click.option(
    "--user",
    "users",
    multiple=True,
    metavar="NAME[:ROLE]",
    help="A reviewer to make: annotator (default), admin or owner; several are allowed.",
)
@click.option(
    "--workspace",
    default="charter",
    show_default=True,
    help="Where the users are members; others see nothing of it.",
)
@click.option("--background", is_flag=True, help="Leave it running; return once it answers.")
@common
def command(
    port: int,
    data: Path | None,
    host: str,
    users: tuple[str, ...],
    workspace: str,
    background: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Serve Argilla with its web page until SIGTERM: one line `ready URL` when it answers.

    The first time, its environment is made (a minute) and the owner's password and API key,
    which are shown once and kept in DATA/credentials.json, for you alone to read. Passwords of
    --user are shown once and kept nowhere.

    \b
    Example:
      charter review serve --user ann --user bob:admin
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from charter.review.embedded import data_folder, parse_person, serve

    serve(
        data_folder(data),
        host=host,
        port=port,
        people=[parse_person(text) for text in users],
        workspace=workspace,
        background=background,
        as_json=as_json,
        say=lambda line: click.echo(line, err=True),
    )
