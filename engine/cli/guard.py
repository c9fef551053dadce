"""`charter guard`: the constitution at inference time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.guard_setup import Who, guard_options, who_of
from charter.cli.options import Real
from charter.cli.output import Output, common
from charter.cli.written import WrittenFile, write_lines
from charter.errors import Failure, Fault

if TYPE_CHECKING:
    from charter.evals.guard import Checked
    from charter.evals.guard_check import Item
    from charter.evals.guard_figures import GuardFigures
    from charter.stats import Estimate

__all__ = ["command"]

_FILE = click.Path(path_type=Path, dir_okay=False)
_DAY = 24 * 60 * 60.0


class _GuardGroup(click.Group):
    """A group whose first word may be a file: then `check` is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `check` before what is no command."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["check", *args]
        return super().parse_args(ctx, args)


@click.group("guard", cls=_GuardGroup, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """The constitution at inference time: which principles a response breaks.

    `charter guard FILE.jsonl` is `charter guard check FILE.jsonl`, and takes its options
    (`charter guard check --help`).

    \b
    Example:
      charter guard answers.jsonl --judge local --principle physical-harm --json
      charter guard serve --upstream http://127.0.0.1:8000/v1 --recipe mine/recipe.yaml
    """  # noqa: D301


@command.command("check")
@click.argument("file", type=_FILE)
@guard_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The first N lines.")
@click.option(
    "--at-once", type=click.IntRange(min=1), default=1, show_default=True, help="Lines at a time."
)
@click.option("--fresh", is_flag=True, help="Ask what the call cache knows again; keep nothing.")
@click.option(
    "--out", type=WrittenFile(), metavar="FILE", help="Write the findings there, as jsonl."
)
@common
def check_command(
    file: Path,
    limit: int | None,
    at_once: int,
    fresh: bool,
    out: Path | None,
    as_json: bool,
    debug: bool,
    **given: Any,
) -> None:
    """Which principles the responses of FILE break, one JSON object a line.

    A line of FILE is {"prompt" or "messages", "response" or "completion"}, and may have `id`, and
    `violates` (true or false): then the rates of false and true positives are printed as well.
    Without --out the findings go to stdout and all else to stderr.

    \b
    Example:
      charter guard answers.jsonl --judge local --principle physical-harm --out found.jsonl
      charter guard answers.jsonl --reward my-reward --min-score 0 --json
    """  # noqa: D301
    output = Output(as_json)
    who = who_of(given, "charter guard")
    from charter.evals.guard_figures import guard_figures
    from charter.evals.guard_file import read_items

    items, labels = read_items(file, limit)
    found = _checked(output, who, items, at_once, fresh)
    rows = [{"id": item.id, **each.as_json()} for item, each in zip(items, found, strict=True)]
    write_lines(output, rows, out, "responses")
    figures = guard_figures(found, labels)
    # Lines for machines on stdout, so people's text on stderr.
    _show(output if out is not None else Output(True), figures)
    output.result({**figures.as_json(), "out": None if out is None else str(out)})


def _checked(
    output: Output, who: Who, items: Sequence[Item], at_once: int, fresh: bool
) -> list[Checked]:
    """The findings, through the call cache unless it is to be passed over."""
    from contextlib import nullcontext

    from charter.cli.follow import counted
    from charter.cli.guard_setup import cache_of, judge_guard, reward_guard
    from charter.evals.guard_check import Guard, check_all
    from charter.trainers.quiet import quiet

    with cache_of(fresh) as cache, output.progress() as progress:
        guard: Guard
        if who.reward is not None:
            with quiet():
                guard = reward_guard(who)
        else:
            progress.say("loading the judge")
            guard = judge_guard(who, cache)
        with quiet() if who.reward is not None else nullcontext():
            show = counted(progress, "guard", "responses")
            found = check_all(guard, items, at_once=at_once, progress=show)
    failed = [f for each in found for f in each.undecided if f.outcome.value == "FAILED"]
    if failed and len(failed) == sum(len(each.findings) for each in found):
        what = f"no question was answered ({failed[0].detail})"
        raise Failure(Fault("charter guard", "", what, "check the judge and its server"))
    return found


def _show(output: Output, figures: GuardFigures) -> None:
    rows = [("any", figures.all), *figures.principles.items()]
    output.table(
        ("principle", "breaks it", "n", "of good ones", "n", "of bad ones", "n", "undecided"),
        [
            (
                name,
                *_shown(each.violated),
                *_shown(each.false_positive_rate),
                *_shown(each.true_positive_rate),
                _shown(each.undecided)[0],
            )
            for name, each in rows
        ],
    )
    output.line(f"seconds a response: median {figures.median}, 95th percentile {figures.p95}")


def _shown(share: Estimate) -> tuple[str, int]:
    if share.value is None:
        return "", share.n
    return f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]", share.n


@command.command("serve")
@click.option("--upstream", required=True, metavar="URL", help="The model's server, with /v1.")
@guard_options
@click.option(
    "--on-violation",
    type=click.Choice(("refuse", "revise", "flag")),
    default="refuse",
    show_default=True,
    help="What is done with an answer that breaks a principle.",
)
@click.option(
    "--on-undecided",
    type=click.Choice(("refuse", "pass")),
    default="refuse",
    show_default=True,
    help="And with one that the judge gave no clear answer on, or none at all.",
)
@click.option("--pass-unchecked", is_flag=True, help="Let tool calls, images and the like through.")
@click.option(
    "--rounds", type=click.IntRange(1, 16), default=2, show_default=True, help="Of revision."
)
@click.option("--refusal", metavar="TEXT", help="Sent instead of a refused answer.")
@click.option(
    "--timeout",
    type=Real(0, _DAY, min_open=True),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="For the upstream's answer.",
)
@click.option(
    "--check-timeout",
    type=Real(0, _DAY, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="For the check, revisions included.",
)
@click.option(
    "--max-body",
    type=click.IntRange(min=1024),
    default=8 * 2**20,
    show_default=True,
    metavar="BYTES",
    help="Of a request.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8081, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Elsewhere needs --token.")
@click.option(
    "--token",
    envvar="CHARTER_GUARD_TOKEN",
    metavar="TOKEN",
    help="Asked of clients in x-charter-guard-token.  [$CHARTER_GUARD_TOKEN]",
)
@common
def serve_command(as_json: bool, debug: bool, **given: Any) -> None:
    """A proxy that speaks OpenAI's chat completions and checks every answer before it is sent.

    Prints `ready URL` when it answers; clients use URL/v1 as their base_url. It ends on SIGTERM.
    Conversations are kept nowhere: the call cache is not used.

    \b
    Example:
      charter guard serve --upstream http://127.0.0.1:8000/v1 --judge local --on-violation revise
    """  # noqa: D301
    from charter.cli.guard_setup import serve_guard

    def ready(address: str) -> None:
        click.echo(json.dumps({"ready": address}) if as_json else f"ready {address}")

    serve_guard(who_of(given, "charter guard serve"), given, ready)
