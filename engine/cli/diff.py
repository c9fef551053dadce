"""`charter diff`: what changed between two versions, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from charter.cli.options import Real, open_named, seed_option, store_option
from charter.cli.output import Output, common
from charter.cli.written import WrittenFile, write_text
from charter.errors import Fault, InputError

if TYPE_CHECKING:
    from charter.hub.diff import Diff, Sample

_MOST = 12


@click.command("diff")
@click.argument("versions", nargs=-1, required=True, metavar="A B | REPO TAG_A TAG_B")
@click.option(
    "--moved",
    type=Real(0, 0.5),
    default=0.05,
    show_default=True,
    metavar="X",
    help="p_chosen that changed by more is a new label.",
)
@click.option(
    "--sample",
    type=click.IntRange(0, 1000),
    default=3,
    show_default=True,
    metavar="N",
    help="Rows of each kind to show.",
)
@seed_option("Of the sample.")
@click.option(
    "--html",
    "html_file",
    type=WrittenFile(),
    help="Write the comparison as a page.",
)
@store_option
@common
def command(
    versions: tuple[str, ...],
    moved: float,
    sample: int,
    seed: int,
    html_file: Path | None,
    store: Path,
    as_json: bool,
    debug: bool,
) -> None:
    """Compare two versions: rows added, removed, relabelled, with other texts.

    A and B are REPO@TAG, REPO@RANGE or folders, the earlier one first. Rows meet by their ids.

    \b
    Example:
      charter diff me/quickstart v0.1.0 v0.1.1
      charter diff me/quickstart@v0.1.0 out/versions/me/quickstart/v0.1.1 --html diff.html
    """  # noqa: D301
    from charter.hub.diff import diff_versions

    output = Output(as_json)
    one, other = (open_named(name, store) for name in _names(versions))
    diff = diff_versions(one, other, moved=moved, sample=sample, seed=seed)
    _print(output, diff)
    result = diff.as_json()
    if html_file is not None:
        result["html"] = _write(html_file, diff)
        output.line(f"written to {html_file}")
    output.result(result)


def _names(given: tuple[str, ...]) -> tuple[str, str]:
    if len(given) == 2:
        return given[0], given[1]
    if len(given) == 3 and "@" not in given[0]:
        repo, one, other = given
        return f"{repo}@{one}", f"{repo}@{other}"
    what = f"{len(given)} names were given"
    fix = "write two versions, or a repo and two tags: charter diff REPO TAG_A TAG_B"
    raise InputError(Fault("charter diff", "", what, fix))


def _write(file: Path, diff: Diff) -> str:
    from charter.cli.diff_page import diff_page

    write_text(file, diff_page(diff))
    return str(file)


def _print(output: Output, diff: Diff) -> None:
    from charter.cli.diff_page import made_rows, title

    output.line(title(diff))
    for note in diff.notes:
        output.line(f"note: {note}")
    if diff.split_moved:
        output.line(f"WRONG: {diff.split_moved} rows stand in another split than before")
    kinds = list(next(iter(diff.rows.values())).counts)
    output.table(
        ("what happened", *diff.rows),
        [
            (kind.replace("_", " "), *(each.counts[kind] for each in diff.rows.values()))
            for kind in kinds
        ],
    )
    output.table(("config", "before", "after"), [(name, *n) for name, n in diff.counts.items()])
    if diff.rejects:
        output.table(
            ("reject", "before", "after"), [(name, *n) for name, n in diff.rejects.items()]
        )
    _print_groups(output, diff)
    made = list(made_rows(diff))
    if made:
        output.line()
        output.table(("what else", "before", "after"), [tuple(map(_cut, row)) for row in made])
    for each in diff.samples:
        _print_sample(output, each)


def _cut(value: str) -> str:
    return value if len(value) <= 200 else f"{value[:199]}…"


def _print_groups(output: Output, diff: Diff) -> None:
    columns = [(f"{c}.{n}", k) for c, each in diff.rows.items() for n, k in each.columns.items()]
    if columns:
        output.table(("column", "changed rows"), columns)
    for config, groups in diff.by.items():
        for group, found in groups.items():
            kinds = list(dict.fromkeys(kind for counts in found.values() for kind in counts))
            # The values with most changes; the rest is in --json and --html.
            total = {value: sum(counts.values()) for value, counts in found.items()}
            most = sorted(found, key=lambda value: (-total[value], value))
            output.line()
            output.table(
                (f"{config} by {group.replace('_', ' ')}", *(k.replace("_", " ") for k in kinds)),
                [(value, *(found[value].get(k, 0) for k in kinds)) for value in most[:_MOST]],
            )
            if len(most) > _MOST:
                output.line(f"and {len(most) - _MOST} more")


def _print_sample(output: Output, sample: Sample) -> None:
    from charter.cli.diff_page import changed_columns, messages_text

    output.line()
    output.line(f"-- {sample.config} {sample.kind.replace('_', ' ')}: {sample.id}")
    before, after = sample.before or {}, sample.after or {}
    for name in ("prompt", "completion", "chosen", "rejected"):
        texts = [messages_text(side[name]) for side in (before, after) if name in side]
        if len(texts) == 2 and texts[0] != texts[1]:
            output.quote(f"{name} before", texts[0])
            output.quote(f"{name} after", texts[1])
        elif texts:
            output.quote(name, texts[0])
    for name, old, new in changed_columns(sample):
        output.line(f"{name}: {_cut(str(old))} -> {_cut(str(new))}")
