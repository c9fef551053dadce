"""`charter review send`: rows of a version to people."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.options import Real, open_named, store_option
from charter.cli.output import Output, common
from charter.cli.review_serve import data_option

if TYPE_CHECKING:
    from charter.hub import Version
    from charter.review.plan import SendOptions

_SHARE = Real(0, 1, max_open=True)


@click.command("send")
@click.argument("version")
@click.option("--n", type=click.IntRange(min=1), help="Rows, gold ones included.")
@click.option("--uncertain", type=_SHARE, help="Share for the least sure labels.")
@click.option(
    "--gold",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="jsonl of rows with known answers.",
)
@click.option("--gold-share", type=_SHARE, help="Share of the rows that are gold.")
@click.option("--overlap", type=click.IntRange(min=1), help="Reviewers of each row.")
@click.option("--kind", type=click.Choice(("preference", "sft")), help="Which rows.")
@click.option("--split", type=click.Choice(("train", "test")), help="Only of this split.")
@click.option(
    "--critiques/--no-critiques", default=None, help="Show the judge's reasons; needs --show-ai."
)
@click.option("--show-ai", is_flag=True, help="Not blind: the AI's label is chosen already.")
@click.option("--again", is_flag=True, help="Also rows that were sent before.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the draw and the order shown.")
@click.option("--workspace", default="charter", show_default=True, help="In Argilla.")
@click.option("--dry-run", is_flag=True, help="Draw, print, send nothing.")
@data_option
@store_option
@common
def command(version: str, store: Path, as_json: bool, debug: bool, **given: Any) -> None:
    """Draw rows of a version and send them to the reviewers in Argilla.

    What is not given is as the `review` block of the version's own recipe says. The same command
    again, after it was cut off, sends the rest; after it was done, other rows.

    \b
    Example:
      charter review send me/quickstart@v0.1.0 --n 200
      charter review send me/quickstart@v0.1.0 --n 50 --gold gold.jsonl --overlap 2
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from charter.review.block import review_block
    from charter.review.store import ReviewStore

    output = Output(as_json)
    opened = open_named(version, store)
    block = review_block(opened)
    kinds = [given["kind"]] if given["kind"] else list(block.kinds)
    options = _options(opened, given)
    with ReviewStore.open(opened.repo, given["data"]) as answers:
        if given["dry_run"]:
            from charter.review.send import plan_only

            found = [plan_only(opened, kind, options, answers) for kind in kinds]
        else:
            found = _send(output, opened, kinds, options, answers, given["data"])
    for each in found:
        _print(output, each, dry=given["dry_run"])
    output.result(_together(found))


def _options(version: Version, given: dict[str, Any]) -> SendOptions:
    """The options, and for those that were not given the block of the version's recipe."""
    from charter.review.block import recipe_seed, review_block
    from charter.review.plan import SendOptions

    block = review_block(version)
    seed = block.seed if block.seed is not None else recipe_seed(version)
    values = {
        name: getattr(block, name) if given[name] is None else given[name]
        for name in ("n", "uncertain", "gold_share", "overlap", "critiques")
    }
    gold = given["gold"] or (Path(block.gold) if block.gold else None)
    return SendOptions(
        **values,
        gold=gold,
        shown=given["show_ai"],
        again=given["again"],
        seed=seed if given["seed"] is None else given["seed"],
        split=given["split"],
        workspace=given["workspace"],
    )


def _send(
    output: Output,
    version: Version,
    kinds: list[Any],
    options: SendOptions,
    answers: Any,
    data: Path | None,
) -> list[dict[str, Any]]:
    from charter.review.client import connect, find_server
    from charter.review.send import send_rows

    client = connect(find_server(data))
    with closing(client.http_client), output.progress() as progress:
        return [send_rows(version, kind, options, client, answers, progress) for kind in kinds]


def _print(output: Output, found: dict[str, Any], *, dry: bool) -> None:
    done = f"{found['drawn']} would be sent" if dry else f"{found['sent']} sent"
    shares = ", ".join(f"{count} {name}" for name, count in found["by_share"].items() if count)
    output.line(
        f"{found['dataset']}: of {found['population']} {found['kind']} rows {done}"
        + (f" ({shares})" if shares else "")
    )
    if found["already"]:
        output.line(f"{found['already']} rows had been sent before")
    if found["too_long"]:
        output.line(f"{found['too_long']} rows are too long to be shown whole, and left out")
    if found["strata"]:
        rows = [(each["stratum"], each["rows"], each["sent"]) for each in found["strata"]]
        output.table(("principle/category/confidence", "rows", "drawn"), rows)
    if found["url"]:
        output.line(f"open {found['url']}")


def _together(found: list[dict[str, Any]]) -> dict[str, Any]:
    """One result: of one kind as it is; of two kinds the first one's, with sums and all strata."""
    shares = [each["by_share"] for each in found]
    return {
        **found[0],
        **{
            name: sum(each[name] for each in found)
            for name in ("drawn", "sent", "already", "population", "too_long")
        },
        "by_share": {name: sum(each[name] for each in shares) for name in shares[0]},
        "strata": [{"kind": e["kind"], **cell} for e in found for cell in e["strata"]],
        "datasets": [{"dataset": e["dataset"], "url": e["url"], "sent": e["sent"]} for e in found],
    }
