"""`charter review collect`: people's answers back from Argilla."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from charter.cli.names import check_repo_argument
from charter.cli.output import Output, common
from charter.cli.review_serve import data_option

__all__ = ["command"]


@click.command("collect")
@click.argument("repo")
@click.option(
    "--workspace", default="charter", show_default=True, metavar="NAME", help="Of Argilla."
)
@click.option("--all", "whole", is_flag=True, help="Read also what has not changed since.")
@data_option
@common
def command(
    repo: str, workspace: str, whole: bool, data: Path | None, as_json: bool, debug: bool
) -> None:
    """Bring the answers on the rows of REPO here; run it as often as you like.

    Drafts and discarded records are counted and not taken. An answer that changed replaces the
    old one; one that was taken back goes. Reviewers get names that say nothing of who they are.

    \b
    Example:
      charter review collect me/quickstart
      charter review publish me/quickstart
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from charter.review.client import connect, find_server
    from charter.review.collect import collect
    from charter.review.store import ReviewStore

    output = Output(as_json)
    repo = repo.partition("@")[0]  # answers are of a repo, on rows of any of its versions
    check_repo_argument(repo)
    with (
        ReviewStore.open(repo, data) as store,
        closing(connect(find_server(data)).http_client) as http,
    ):
        found = collect(http, repo, store, workspace=workspace, whole=whole, say=output.line)
    output.line(
        f"{found.collected} answers: {found.new} new, {found.changed} changed, "
        f"{found.removed} taken back"
    )
    rows = [
        (name, counts["submitted"], counts["drafts"], counts["discarded"])
        for name, counts in sorted(found.reviewers.items())
    ]
    if rows:
        output.table(("reviewer", "submitted", "drafts", "discarded"), rows)
    for why, n in sorted(found.rejected.items()):
        output.line(f"not usable: {n} {why}")
    if not found.datasets:
        output.line(f"nothing of {repo} was sent to the workspace {workspace} yet")
    output.result(found.as_json())
