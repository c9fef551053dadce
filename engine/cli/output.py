"""What commands print: people read stdout, or stderr under --json; machines read one object."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import click

from charter.cli.interrupts import Watchful
from charter.cli.lines import printable
from charter.cli.streams import tell
from charter.errors import Fault
from charter.run.progress import Progress

__all__ = ["Output", "common", "json_line", "print_faults"]

# What JSON may hold as it is, and readers of lines, terminals or UTF-8 do not take so; what turns
# the direction of writing is among it.
_NOT_IN_A_LINE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def json_line(value: Mapping[str, Any]) -> str:
    """An object as JSON on one line, which steers no terminal and is UTF-8 whatever it holds."""
    said = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _NOT_IN_A_LINE.sub(lambda found: f"\\u{ord(found[0]):04x}", said)


def print_faults(faults: Iterable[Fault]) -> None:
    """Print faults on stderr, one a line."""
    for fault in faults:
        # A name or a value in it may have line ends of its own.
        said = " ".join(line.strip() for line in str(fault).splitlines())
        tell(printable(said), err=True)


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every command has."""
    for option in (
        click.option("--debug", is_flag=True, help="Show the traceback of an error."),
        click.option("--json", "as_json", is_flag=True, help="Last line: one JSON object."),
    ):
        function = option(function)
    return function


class Output:
    """Prints for people and, at the end, for machines.

    Args:
        as_json: people's text goes to stderr, and `result` prints one line of JSON on stdout.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def line(self, text: str = "") -> None:
        """One line of text, perhaps from a model: nothing in it is taken for markup."""
        self._say(printable(text))

    def quote(self, label: str, text: str) -> None:
        """A labelled text of a model or of data, set in."""
        head = click.style(label, bold=True) if self._colour() else label
        self._say(head)
        for line in printable(text).splitlines() or [""]:
            self._say(f"    {line}")

    def table(self, head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
        """A table in columns; numbers to the right."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        body = list(rows)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for index, name in enumerate(head):
            number = bool(body) and all(isinstance(row[index], int | float) for row in body)
            side: Literal["left", "right"] = "right" if number else "left"
            table.add_column(Text(printable(name)), justify=side, overflow="fold")
        for row in body:
            table.add_row(*(Text(printable(str(value))) for value in row))
        console = Console(stderr=self._as_json, highlight=False)
        if not console.is_terminal:
            console.width = 120  # a pipe has no width; most people read it on a wide screen
        with console.capture() as drawn:
            console.print(table)
        self._say(drawn.get().removesuffix("\n"))

    def result(self, value: dict[str, Any]) -> None:
        """The object for machines; nothing without --json."""
        if self._as_json:
            click.echo(json_line(value))

    def _say(self, text: str) -> None:
        tell(text, err=self._as_json)

    def _colour(self) -> bool:
        return (sys.stderr if self._as_json else sys.stdout).isatty()

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Progress bars with the time left on a terminal, plain lines elsewhere."""
        if sys.stderr.isatty():
            from charter.cli.bars import bars

            with bars() as shown:
                yield Watchful(shown)
        else:
            from charter.cli.lines import Lines

            yield Watchful(Lines())
