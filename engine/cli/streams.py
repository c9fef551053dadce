"""Standard output and standard error, as long as somebody takes what is said there."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click

__all__ = ["silence", "tell"]


def silence(stream: TextIO) -> None:
    """Let a stream that takes nothing more take all and keep none: Python writes to it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def tell(text: str, *, err: bool) -> None:
    """Print for people; where they have seen enough (`| head`), the command's work goes on.

    So it does where standard error takes nothing more: of what a command has to show for itself,
    only its exit code is left then.

    Raises:
        OSError: standard output takes nothing more, though it is read.
    """
    try:
        click.echo(text, err=err)
    except OSError as error:
        if not err and not isinstance(error, BrokenPipeError):
            raise
        silence(sys.stderr if err else sys.stdout)
