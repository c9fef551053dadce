"""`charter audit`: how far a judge, a constitution or a frame can be trusted."""

from __future__ import annotations

import click

from charter.cli.lazy import LazyGroup

__all__ = ["command"]

# One visible line a command: name -> module of `charter.cli` and what `--help` says.
COMMANDS = {
    "judge": ("audit_judge", "A judge against people: right, consistent, biased, calibrated."),
    "constitution": ("audit_constitution", "Principles that contradict, repeat or flip labels."),
    "injections": ("audit_injections", "Responses that try to win by talking to the judge."),
}


@click.group(
    "audit",
    cls=LazyGroup,
    lines=COMMANDS,
    noun="audit",
    attribute=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Measure how far labels can be trusted, before and after they are made.

    \b
    Example:
      charter audit judge me/quickstart@v0.1.0 --json
      charter audit judge --votes votes.jsonl.gz --pass final
      charter audit constitution hhh
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
