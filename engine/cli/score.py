"""`charter score`: the scores of a reward model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.options import open_named, store_option
from charter.cli.output import Output, common
from charter.cli.written import WrittenFile, write_lines
from charter.errors import Fault, InputError

if TYPE_CHECKING:
    from charter.stats import Estimate
    from charter.trainers.score_pairs import Split


@click.command("score")
@click.option(
    "--model",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="A reward model that `charter train reward` made.",
)
@click.option("--dataset", "version", metavar="VERSION", help="Score the pairs of a version.")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="Score a jsonl file: messages; prompt and response; or prompt, chosen and rejected.",
)
@click.option(
    "--split",
    type=click.Choice(["test", "train", "all"]),
    default="test",
    show_default=True,
    help="Which pairs of the version.",
)
@click.option("--out", type=WrittenFile(), help="Write the scores there, as jsonl.")
@click.option(
    "--batch", type=click.IntRange(min=1), default=16, show_default=True, help="Read at once."
)
@store_option
@common
def command(
    model: Path,
    version: str | None,
    file: Path | None,
    split: Split,
    out: Path | None,
    batch: int,
    store: Path,
    as_json: bool,
    debug: bool,
) -> None:
    """Score answers by a reward model, and say how often it agrees with labels and with people.

    Without --out the scores are printed, one JSON object a line.

    \b
    Example:
      charter score --model my-reward --dataset me/quickstart@v0.1.0 --out scores.jsonl
      charter score --model my-reward --file answers.jsonl
    """  # noqa: D301
    output = Output(as_json)
    if (version is None) == (file is None):
        what = "needs one of --dataset and --file"
        raise InputError(Fault("charter score", "", what, "give one of them"))
    opened = open_named(version, store) if version is not None else None

    from charter.cli.follow import counted
    from charter.trainers.quiet import quiet
    from charter.trainers.score import Scorer
    from charter.trainers.score_file import is_pair, read_lines, score_lines
    from charter.trainers.score_pairs import accuracy, check_split, score_version

    # What is wrong with the input is told before the model is loaded.
    if opened is not None:
        check_split(opened, split)
    lines = read_lines(file) if file is not None else []
    found: dict[str, Any] = {"model": str(model)}
    with output.progress() as progress, quiet():
        scorer = Scorer(model, batch)
        show = counted(progress, "score", "answers")
        if opened is not None:
            scored = score_version(opened, scorer, split, show)
            rows, shares, reviews = scored.rows, scored.accuracy, scored.reviews
            unread = sum(row["margin"] is None for row in rows)
            found["dataset"] = f"{opened.repo}@{opened.tag}"
        else:
            rows, reviews = score_lines(lines, scorer, show), None
            pairs = [row for row in rows if is_pair(row)]
            shares = {"file": accuracy(pairs)} if pairs else {}
            unread = sum(row["margin" if is_pair(row) else "score"] is None for row in rows)
    write_lines(output, rows, out, "scored lines")
    _say(output, shares, reviews, unread)
    found |= {
        "scored": len(rows) - unread,
        "too_long": unread,
        "accuracy": _as_json(shares),
        "reviews": None if reviews is None else _as_json(reviews),
        "out": None if out is None else str(out),
    }
    output.result(found)


def _as_json(shares: dict[str, Estimate]) -> dict[str, Any]:
    return {name: share.as_json() for name, share in shares.items()}


def _say(
    output: Output,
    shares: dict[str, Estimate],
    reviews: dict[str, Estimate] | None,
    unread: int,
) -> None:
    if unread:
        output.line(f"{unread} lines are longer than the model's window and have no score")
    table = [(f"labels of {name}", *_shown(share)) for name, share in shares.items()]
    for name, share in (reviews or {}).items():
        seen = ", which it was trained on" if name == "train" else ""
        table.append((f"people, on rows of {name}{seen}", *_shown(share)))
    if table:
        output.table(("agrees with", "share", "interval", "pairs"), table)


def _shown(share: Estimate) -> tuple[str, str, int]:
    if share.value is None:
        return "", "", share.n
    return f"{share.value:.3f}", f"{share.low:.3f} to {share.high:.3f}", share.n
