"""`charter verify`: a published version looked at again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from charter.cli.options import on_hub, or_local, store_option
from charter.cli.output import Output, common

if TYPE_CHECKING:
    from charter.hub import Version


@click.command("verify")
@click.argument("version")
@store_option
@common
@click.pass_context
def command(context: click.Context, version: str, store: Path, as_json: bool, debug: bool) -> None:
    """Check a version again: fingerprints, counts, columns, the gate over all rows, the card.

    VERSION is REPO@TAG, REPO@RANGE, or the folder of a version. Exits with 1 when a check fails.

    \b
    Example:
      charter verify me/quickstart@v0.1.0
    """  # noqa: D301
    from charter.hub.verify import verify_version

    output = Output(as_json)
    opened = _opened(version, store)
    found = verify_version(opened)
    output.line(f"{found.version} in {opened.path}")
    output.table(
        ("check", "", "found"),
        [
            *((c.check, "passed" if c.passed else "FAILED", c.detail) for c in found.checks),
            *((name, "not made", why) for name, why in found.not_made.items()),
        ],
    )
    failed = sum(not check.passed for check in found.checks)
    result = f"{failed} of {len(found.checks)} checks failed" if failed else "all checks passed"
    output.line(f"{result}, {len(found.not_made)} not made" if found.not_made else result)
    output.result(found.as_json())
    if failed:
        context.exit(1)


def _opened(name: str, store: Path) -> Version:
    """The version with its files not looked at yet, downloaded where it is on a Hub."""
    from charter.hub.version import open_unchecked

    repo, at, wanted = name.partition("@")
    if Path(name).is_dir() or not at or "/" not in repo or not on_hub(repo, store):
        return open_unchecked(name, store=store)
    from charter.hub.remote import pin, snapshot

    def downloaded() -> Version:
        pinned = pin(repo, wanted)
        return replace(open_unchecked(snapshot(pinned)), commit=pinned.commit)

    return or_local(
        downloaded,
        lambda: open_unchecked(name, store=store),
    )
