"""`charter hub`: the embedded Hub."""

from __future__ import annotations

import os
from pathlib import Path

import click

from charter.cli.output import common
from charter.errors import Fault, InputError


@click.group("hub", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """The embedded Hub: a server for the Hub's own clients, on this machine.

    \b
    Example:
      charter hub serve --port 8080 --data hub --user me:SECRET
      HF_ENDPOINT=http://127.0.0.1:8080 HF_TOKEN=SECRET hf upload me/mine . --type dataset
    """  # noqa: D301


@command.command("serve")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="0 picks a free one.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("hub-data"),
    show_default=True,
    help="The store's folder; made where it is missing.",
)
@click.option(
    "--user",
    "users",
    multiple=True,
    metavar="NAME:TOKEN[:read]",
    help="A user; several are allowed.",
)
@click.option(
    "--org",
    "orgs",
    multiple=True,
    metavar="NAME:USER,USER",
    help="An organisation and its members.",
)
@click.option("--token", metavar="TOKEN", help="The same as --user $USER:TOKEN.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Anything but loopback needs --user or --token.",
)
@common
def serve_command(
    port: int,
    data: Path,
    users: tuple[str, ...],
    orgs: tuple[str, ...],
    token: str | None,
    host: str,
    as_json: bool,
    debug: bool,
) -> None:
    """Serve the Hub's API until SIGTERM: one line `ready URL` on stdout when it answers.

    Without --user the store has one user of its own; its token is made on the first start and
    stands in DATA/credentials.json, which only you can read.

    \b
    Example:
      charter hub serve --port 0 --data hub --user me:SECRET --user guest:OTHER:read
    """  # noqa: D301
    import json

    from charter.hub.embedded import parse_org, parse_user, serve

    named = [parse_user(text) for text in users]
    if token is not None:
        named.append(parse_user(f"{os.environ.get('USER', '') or 'me'}:{token}"))
    groups = [parse_org(text) for text in orgs]
    if len({name for name, _ in groups}) != len(groups):
        raise InputError(Fault("charter hub serve", "--org", "one name twice", "join them"))

    def ready(address: str) -> None:
        if not named:
            click.echo(f"token: in {data / 'credentials.json'}", err=True)
        click.echo(json.dumps({"ready": address}) if as_json else f"ready {address}")

    serve(data, users=named, orgs=dict(groups), host=host, port=port, ready=ready)
