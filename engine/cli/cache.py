"""`charter cache`: the paid-for calls, counted, thinned out, carried elsewhere, mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from charter.cli.output import Output, common, print_faults
from charter.errors import Failure, Fault, InputError

_SAID = 100_000  # entries


@click.group("cache", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """The paid-for calls: what is there, what to drop, carry elsewhere or mend.

    The cache is one SQLite file, in the user's cache folder or where CHARTER_CACHE says. Each
    command takes --json.

    \b
    Example:
      charter cache stats
      charter cache export calls.jsonl.gz
      charter cache import calls.jsonl.gz --cache elsewhere/calls.sqlite
    """  # noqa: D301


def _cache_option(function: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--cache",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The cache file.  [default: the user's]",
    )
    return option(function)


def _path(cache: Path | None) -> Path:
    from charter.models.cache import default_cache_path

    return cache if cache is not None else default_cache_path()


@contextmanager
def _ticking(output: Output, name: str, total: int) -> Iterator[Callable[[int], None]]:
    with output.progress() as shown:
        shown.begin(name, total, "entries")
        yield lambda done: shown.advance(name, done)


@contextmanager
def _counting(output: Output, name: str) -> Iterator[Callable[[int], None]]:
    """A line now and then, where nobody knows how many there are."""
    done = 0
    with output.progress() as shown:

        def tick(more: int) -> None:
            nonlocal done
            done += more
            if done // _SAID != (done - more) // _SAID:
                shown.say(f"{name}: {done} entries so far")

        yield tick


def _size(count: int) -> str:
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit}" if unit != "B" else f"{count} B"


def _day(stamp: float) -> str:
    try:
        return datetime.fromtimestamp(stamp, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):  # a damaged one
        return "?"


@command.command("stats")
@click.option("--verify", is_flag=True, help="Check every entry against its checksum.")
@_cache_option
@common
def stats(verify: bool, cache: Path | None, as_json: bool, debug: bool) -> None:
    """Count what the cache holds, by model.

    With --verify it exits 1 when an entry is damaged. A run takes such an entry for absent.

    \b
    Example:
      charter cache stats --verify
    """  # noqa: D301
    from charter.models import cache_files

    path, output = _path(cache), Output(as_json)
    with cache_files.read_cache(path) as db:
        found = cache_files.stats(path, db)
        damaged = None
        if verify:
            with _ticking(output, "verify", found.entries) as tick:
                damaged = cache_files.count_damaged(db, tick)
    rows, models = [], {}
    for name, model in found.models.items():
        figures = (model.answers, model.prompt_tokens, model.completion_tokens)
        first, last = _day(model.first), _day(model.last)
        rows.append((name, *figures, round(model.seconds, 1), first, last))
        names = ("answers", "prompt_tokens", "completion_tokens", "seconds", "first", "last")
        values = (*figures, round(model.seconds, 3), first, last)
        models[name] = dict(zip(names, values, strict=True))
    output.line(f"{path}: {found.entries} answers, {_size(found.bytes)}")
    output.table(("model", "answers", "read", "written", "seconds", "first", "last"), rows)
    output.line(f"failed or empty calls noted: {found.failures}")
    if damaged is not None:
        output.line(f"damaged entries: {damaged}")
    output.result(
        {
            "path": str(path),
            "entries": found.entries,
            "bytes": found.bytes,
            "failures": found.failures,
            "damaged": damaged,
            "models": models,
        }
    )
    if damaged:
        from charter.models.cache import REPAIR

        raise Failure(Fault(str(path), "", f"{damaged} entries are damaged", REPAIR))


def _before(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    from charter.models.cache_prune import age

    try:
        return None if value is None else age(value)
    except (ValueError, OverflowError):
        raise click.BadParameter(f'"{value}" is no span; write it as 30d, 12h or 8w') from None


@command.command("prune")
@click.option("--older-than", "before", callback=_before, metavar="SPAN", help="30d, 12h, 8w.")
@click.option("--model", metavar="NAME", help="Of this model.")
@click.option(
    "--keep-runs",
    "runs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Not asked for by any run in this folder; may be given again.",
)
@click.option("--failures", is_flag=True, help="Notes of failed calls instead of answers.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@_cache_option
@common
def prune(
    before: float | None,
    model: str | None,
    runs: tuple[Path, ...],
    failures: bool,
    dry_run: bool,
    cache: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """Drop entries for good, and give their space back to the disk.

    An entry goes when all that is given applies to it. With --keep-runs, end running runs first:
    what they have just asked is not in their lists yet.

    \b
    Example:
      charter cache prune --older-than 30d --keep-runs out/runs --dry-run
    """  # noqa: D301
    from charter.models.cache_prune import Which
    from charter.models.cache_prune import prune as prune_cache

    if before is None and model is None and not runs and not failures:
        what = "nothing says what is to go"
        fix = "give --older-than, --model, --keep-runs or --failures"
        raise InputError(Fault("charter cache prune", "", what, fix))
    path, output = _path(cache), Output(as_json)
    found = prune_cache(path, Which(before, model, runs, failures), dry_run, lambda _: None)
    kind = "notes of failed calls" if failures else "answers"
    verb = "would go" if dry_run else "are gone"
    output.line(f"{path}: {found.pruned} {kind} {verb}, {found.kept} stay")
    if found.held:
        output.line("another process uses the cache: its space is given back when it ends")
    elif found.pruned and not dry_run:
        output.line(f"{_size(found.bytes_before)} on disk before, {_size(found.bytes_after)} now")
    output.result({"path": str(path), "dry_run": dry_run, **found.as_json()})


@command.command("export")
@click.argument("file")
@click.option("--model", metavar="NAME", help="Of this model alone.")
@_cache_option
@common
def export(file: str, model: str | None, cache: Path | None, as_json: bool, debug: bool) -> None:
    """Write all answers to FILE, .jsonl or .jsonl.gz, one JSON object a line; `-` is stdout.

    Damaged entries are left out and named; it then exits 1.

    \b
    Example:
      charter cache export calls.jsonl.gz
    """  # noqa: D301
    from charter.models import cache_files
    from charter.models.cache_exchange import check_target, export_cache

    if file == "-" and as_json:
        what = "stdout cannot have both the lines and the object of --json"
        raise InputError(Fault("charter cache export", "", what, "leave --json out"))
    check_target(file)
    path, output = _path(cache), Output(as_json or file == "-")
    with cache_files.read_cache(path) as db:
        total = cache_files.count(db, model)
    bad = _Told()
    with _ticking(output, "export", total) as tick:
        written = export_cache(path, file, model, bad, tick)
    output.line(f"{file}: {written} answers")
    if file != "-":
        output.result({"path": file, "entries": written, "damaged": bad.count})
    if bad.count:
        what = f"{bad.count} entries were damaged, so left out; the others are there"
        raise Failure(Fault(file, "", what, "`charter cache repair` clears them away"))


@command.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_cache_option
@common
def import_(files: tuple[str, ...], cache: Path | None, as_json: bool, debug: bool) -> None:
    """Merge exports and other cache files into the cache; `-` is an export on stdin.

    What is known stays as it is. Every entry is checked; bad ones are named and left out, and it
    then exits 1.

    \b
    Example:
      charter cache import calls.jsonl.gz /mnt/shared/calls.sqlite
    """  # noqa: D301
    from charter.models.cache_exchange import import_into

    path, output, bad = _path(cache), Output(as_json), _Told()
    with _counting(output, "import") as tick:
        found = import_into(path, files, bad, tick)
    output.line(f"{path}: {found.new} new, {found.known} known, {found.bad} bad")
    output.result({"path": str(path), "new": found.new, "known": found.known, "bad": found.bad})
    if found.bad:
        what = f"{found.bad} entries were bad, so left out; the others are in"
        raise Failure(Fault(str(path), "", what, "see the lines named above"))


class _Told:
    """Prints faults as they come, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, fault: Fault) -> None:
        self.count += 1
        print_faults([fault])


@command.command("repair")
@_cache_option
@common
def repair(cache: Path | None, as_json: bool, debug: bool) -> None:
    """Save what can be read of a damaged cache into a new file, which takes its place.

    Every answer whose checksum is right is saved. The damaged file stays beside it, as
    calls.sqlite.damaged-1. A sound file is left alone.

    \b
    Example:
      charter cache repair
    """  # noqa: D301
    from charter.models.cache_repair import repair as repair_cache

    path, output = _path(cache), Output(as_json)
    with _counting(output, "repair") as tick:
        found = repair_cache(path, tick)
    if found.repaired:
        output.line(f"{path}: {found.saved} answers saved, {found.lost} known to be lost")
        output.line(f"the damaged file is {found.damaged}")
    else:
        output.line(f"{path}: {found.saved} answers, nothing to repair")
    output.result({"path": str(path), **found.as_json()})
