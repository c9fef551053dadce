"""`charter versions`: what is published of a repo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.names import check_repo_argument
from charter.cli.options import on_hub, or_local, store_option
from charter.cli.output import Output, common
from charter.errors import Fault, InputError

if TYPE_CHECKING:
    from charter.hub import Manifest


@click.command("versions")
@click.argument("repo")
@store_option
@common
def command(repo: str, store: Path, as_json: bool, debug: bool) -> None:
    """List the versions of a repo, oldest first, and what changed in each since its parent.

    The parent is the release before; of a candidate and the release made from it the same one.
    What changed is read from their manifests; `charter diff` compares the rows.

    \b
    Example:
      charter versions me/quickstart
    """  # noqa: D301
    output = Output(as_json)
    check_repo_argument(repo)
    manifests = (
        or_local(lambda: _remote(repo), lambda: _local(repo, store))
        if on_hub(repo, store)
        else _local(repo, store)
    )
    if not manifests:
        fix = "check the name, and --store"
        raise InputError(Fault(str(store), "", f'no version of "{repo}"', fix))
    details = _details(manifests)
    configs = ("sft", "preference", "judgments", "rejects")
    output.table(
        ("version", "created", *configs, "what changed"),
        [
            (
                each["tag"],
                each["created"],
                *(each["counts"].get(name, 0) for name in configs),
                ", ".join(each["changed"]) or "the card alone",
            )
            for each in details
        ],
    )
    output.result({"repo": repo, "versions": [e["tag"] for e in details], "details": details})


def _local(repo: str, store: Path) -> list[Manifest]:
    from charter.hub.version import list_versions, unverified

    return [unverified(store, repo, tag).manifest for tag in list_versions(store, repo)]


def _remote(repo: str) -> list[Manifest]:
    from huggingface_hub import HfApi

    from charter.hub.held_remote import manifest_at
    from charter.hub.remote import heads_of

    api = HfApi()
    found = [manifest_at(api, repo, commit) for commit in heads_of(api, repo).tags.values()]
    return [each[0] for each in found if each is not None]


def _details(manifests: list[Manifest]) -> list[dict[str, Any]]:
    """What is told of each: against its parent, or the one before where that is not there."""
    from charter.hub.diff_brief import brief, retraction_of

    by_tag = {manifest.tag: manifest for manifest in manifests}
    details = []
    before: Manifest | None = None
    for manifest in manifests:
        parent = by_tag.get(manifest.parent or "", before)
        details.append(
            {
                "tag": manifest.tag,
                "created": manifest.created,
                "parent": manifest.parent,
                "counts": {name: sum(each.values()) for name, each in manifest.counts.items()},
                "changed": brief(parent, manifest),
                "retracted": retraction_of(parent, manifest),
            }
        )
        before = manifest
    return details
