"""Every command of the command line."""

import click

from charter.cli.main import cli


def all_commands(group=cli, path=()):
    """Each command with its path, those of groups too."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from all_commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command
