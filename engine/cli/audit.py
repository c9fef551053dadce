"""`charter audit`: how far a judge, a constitution or a frame can be trusted."""

from __future__ import annotations

from importlib import import_module

import click

from charter.errors import nearest

__all__ = ["command"]

# One visible line a command: name -> module of `charter.cli` and what `--help` says.
COMMANDS = {
    "judge": ("audit_judge", "A judge against people: right, consistent, biased, calibrated."),
    "constitution": ("audit_constitution", "Principles that contradict, repeat or flip labels."),
    "injections": ("audit_injections", "Responses that try to win by talking to the judge."),
}


class _Audits(click.Group):
    """A group that imports an audit's module when the audit is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All audits."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The audit of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"charter.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The audit, or a suggestion."""
        if args and args[0] not in COMMANDS:
            raise click.UsageError(f'no audit "{args[0]}"; {nearest(args[0], COMMANDS)}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the audits without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group("audit", cls=_Audits, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Measure how far labels can be trusted, before and after they are made.

    \b
    Example:
      charter audit judge me/quickstart@v0.1.0 --json
      charter audit judge --votes votes.jsonl.gz --pass final
      charter audit constitution hhh
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
