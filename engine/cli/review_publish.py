"""`charter review publish`: people's answers as a config of the next version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from charter.cli.names import check_repo_argument
from charter.cli.options import card_option, on_hub, open_named, or_local, seed_option, store_option
from charter.cli.output import Output, common
from charter.cli.review_serve import data_option
from charter.errors import Fault, InputError

if TYPE_CHECKING:
    from charter.review.overrule import Rule

__all__ = ["command"]


@click.command("publish")
@click.argument("repo")
@click.option(
    "--overrule",
    type=click.Choice(["majority", "unanimous", "none"]),
    default="majority",
    show_default=True,
    help="When answers change a label: most of a row's say so, all do, or never.",
)
@seed_option("Of the intervals.")
@click.option("--dry-run", is_flag=True, help="Say what would be published.")
@card_option
@data_option
@store_option
@common
def command(
    repo: str,
    overrule: str,
    seed: int,
    dry_run: bool,
    card: str,
    data: Path | None,
    store: Path,
    as_json: bool,
    debug: bool,
) -> None:
    """Publish the answers collected for REPO as the config `reviews` of its next version.

    Where people say otherwise than the AI, the label becomes theirs (`label_source: human`); a
    pair in which they name no winner becomes a reject. REPO is that of the latest release; name
    a candidate as REPO@v1.2.0-rc.1 to publish the next one of it.

    \b
    Example:
      charter review publish me/quickstart --dry-run
      charter review publish me/quickstart@v0.2.0-rc.1
      charter promote me/quickstart@v0.2.0-rc.2
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from charter.review.publish import publish_reviews
    from charter.review.store import ReviewStore

    output = Output(as_json)
    version = open_named(repo if _is_named(repo) else f"{repo}@{_latest(repo, store)}", store)
    with ReviewStore.open(version.repo, data) as kept:
        collected, gone = kept.spot_checks(), kept.gone()
    done = publish_reviews(
        version,
        collected,
        gone=gone,
        rule=cast("Rule", overrule),
        store=store,
        dry_run=dry_run,
        card=card,
        seed=seed,
    )
    found = done.as_json()
    output.line(f"{done.reviews} answers on {version.repo}@{version.tag}{_stale(done.stale)}")
    for what, n in done.outcomes.items():
        output.line(f"labels {what.lower()}: {n}")
    output.line(_agreement(done.figures))
    if dry_run:
        output.line("nothing was published (--dry-run)")
    elif done.new:
        output.line(f"{version.repo}@{done.tag} is published in {done.path}")
    else:
        output.line(f"{version.repo}@{done.tag} says the same already")
    output.result(found)


def _is_named(repo: str) -> bool:
    return "@" in repo or Path(repo).is_dir()


def _latest(repo: str, store: Path) -> str:
    """The latest release of a repo; its latest candidate where it has none.

    Raises:
        InputError: nothing of it is published.
        Failure: the Hub is not reached.
    """
    from charter.hub import Tag, heads_of, list_versions

    check_repo_argument(repo)

    def remote() -> list[Tag]:
        from huggingface_hub import HfApi

        return list(heads_of(HfApi(), repo).tags)

    def local() -> list[Tag]:
        return list_versions(store, repo)

    tags = or_local(remote, local) if on_hub(repo, store) else local()
    if not tags:
        fix = "publish a version with `charter run`, or say where it is with --store"
        raise InputError(Fault(repo, "", "nothing of it is published", fix))
    return str(max((tag for tag in tags if tag.final), default=max(tags)))


def _stale(n: int) -> str:
    return f", {n} of them on texts that it does not have (kept, not counted)" if n else ""


def _agreement(figures: dict[str, Any]) -> str:
    found = figures.get("agreement") or {}
    if found.get("value") is None:
        return "agreement with the labels: not measured"
    interval = ""
    if found.get("low") is not None:
        interval = f" ({found['low']:.2f} to {found['high']:.2f})"
    return f"agreement with the labels: {found['value']:.2f}{interval} on {found['n']} rows"
