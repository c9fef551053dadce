"""`charter versions`: what is published of a repo."""

from __future__ import annotations

from pathlib import Path

import click

from charter.cli.options import store_option
from charter.cli.output import Output, common
from charter.errors import Fault, InputError


@click.command("versions")
@click.argument("repo")
@store_option
@common
def command(repo: str, store: Path, as_json: bool, debug: bool) -> None:
    """List the versions of a repo in the local store, oldest first.

    \b
    Example:
      charter versions me/quickstart
    """  # noqa: D301
    from charter.hub import list_versions, open_version

    output = Output(as_json)
    tags = [str(tag) for tag in list_versions(store, repo)]
    if not tags:
        fix = "check the name, and --store"
        raise InputError(Fault(str(store), "", f'no version of "{repo}"', fix))
    rows = []
    for tag in tags:
        manifest = open_version(f"{repo}@{tag}", store=store).manifest
        counts = {name: sum(splits.values()) for name, splits in manifest.counts.items()}
        rows.append((tag, manifest.created, counts.get("sft", 0), counts.get("preference", 0)))
    output.table(("version", "created", "sft", "preference"), rows)
    output.result({"repo": repo, "versions": tags})
