"""`charter review`: people check the AI's labels."""

from __future__ import annotations

import click

from charter.cli.lazy import LazyGroup

__all__ = ["command"]

# One visible line a command: name -> module of `charter.cli` and what `--help` says.
COMMANDS = {
    "serve": ("review_serve", "The embedded Argilla on loopback."),
    "status": ("review_status", "Whether it runs, where, and how far the review is."),
    "stop": ("review_stop", "End it; the answers stay."),
    "send": ("review_send", "Rows of a version to people."),
    "collect": ("review_collect", "Their answers back, each once."),
    "report": ("review_report", "How far people and the AI agree."),
    "publish": ("review_publish", "The answers as a config of the next version."),
}


@click.group(
    "review",
    cls=LazyGroup,
    lines=COMMANDS,
    noun="command of review",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """People check the AI's labels, and the dataset says how that went.

    \b
    Example:
      charter review serve
      charter review send me/quickstart@v0.1.0 --n 50
      charter review collect me/quickstart
      charter review report me/quickstart@v0.1.0
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
