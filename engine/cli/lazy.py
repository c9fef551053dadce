"""A group of commands that are imported when they are named."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from charter.errors import nearest

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is named.

    Args:
        lines: command -> (module of `charter.cli`, what `--help` says of it), in the order in
            which a newcomer needs them.
        noun: what an unknown one is called in the error.
        attribute: name of the command in its module; the command's own name where None.
    """

    def __init__(
        self,
        *args: Any,
        lines: Mapping[str, tuple[str, str]],
        noun: str = "command",
        attribute: str | None = "command",
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.lines = lines
        self.noun = noun
        self.attribute = attribute

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order given."""
        return list(self.lines)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in self.lines:
            return None
        module = import_module(f"charter.cli.{self.lines[cmd_name][0]}")
        command: click.Command = getattr(module, self.attribute or cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, or a suggestion."""
        if args and args[0] not in self.lines:
            fix = nearest(args[0], self.lines)
            raise click.UsageError(f'no {self.noun} "{args[0]}"; {fix}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lines.items()])
