"""`charter eval`: what training did to a model."""

from __future__ import annotations

import click

from charter.cli.lazy import LazyGroup

__all__ = ["command"]

# One visible line a command: name -> module of `charter.cli` and what `--help` says.
COMMANDS = {
    "tax": ("eval_tax", "What alignment cost in capability."),
    "tamper": ("eval_tamper", "How few examples undo a model's refusals."),
    "depth": ("eval_depth", "How many tokens deep a model's safety goes."),
    "winrate": ("eval_winrate", "Which of some models a judge prefers."),
    "refusal": ("eval_refusal", "What a model refuses, harmful and harmless."),
}


@click.group(
    "eval",
    cls=LazyGroup,
    lines=COMMANDS,
    noun="evaluation",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Measure a model: what alignment cost, whether it overdid it, how deep it goes.

    \b
    Example:
      charter eval refusal --model local --model out/models/me/quickstart/v0.1.0/dpo
      charter eval refusal --completions answers.jsonl --html refusals.html
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
