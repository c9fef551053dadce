"""Options of all commands: what a number may be is told when it is read."""

import click
from all_commands import all_commands

from charter.cli.options import Real

_PLAIN = (click.INT, click.FLOAT)


def test_a_number_has_a_range_or_is_finite():
    options = [(name, each) for name, command in all_commands() for each in command.params]
    numbers = [each for _, each in options if isinstance(each.type, click.IntRange | Real)]
    assert len(numbers) > 50
    loose = [(name, *each.opts) for name, each in options if each.type in _PLAIN]
    assert loose == []


def test_no_seed_is_negative():
    seeds = [
        (name, each)
        for name, command in all_commands()
        for each in command.params
        if "--seed" in each.opts
    ]
    assert len(seeds) > 10
    assert [name for name, each in seeds if each.type.min != 0] == []


def test_a_number_without_bounds_shows_none():
    told = [
        record[1]
        for name, command in all_commands()
        for each in command.params
        if isinstance(each.type, Real)
        if (record := each.get_help_record(click.Context(command, info_name=name)))
    ]
    assert len(told) > 5
    assert [each for each in told if "None" in each] == []
