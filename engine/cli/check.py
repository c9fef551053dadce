"""`charter check`: every fault of constitutions and recipes at once."""

from __future__ import annotations

from pathlib import Path

import click

from charter.cli.options import checked
from charter.cli.output import Output, common
from charter.constitutions import Constitution
from charter.documents import read_document, validated
from charter.errors import Fault, InputError
from charter.recipes import is_constitution


@click.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@common
def command(files: tuple[Path, ...], as_json: bool, debug: bool) -> None:
    """Check constitutions and recipes: every fault at once, with its place and a fix.

    \b
    Example:
      charter check recipes/*.yaml constitutions/*.yaml
    """  # noqa: D301
    output = Output(as_json)
    faults: list[Fault] = []
    kinds: dict[str, str] = {}
    for file in files:
        kind, found = _check(file)
        kinds[str(file)] = kind
        faults += found
    if faults:
        output.result({"faults": [_as_json(fault) for fault in faults]})
        raise InputError(faults)
    for name, kind in kinds.items():
        output.line(f"{name}: a sound {kind}")
    output.result({"faults": [], "files": kinds})


def _check(file: Path) -> tuple[str, list[Fault]]:
    try:
        document = read_document(file)
    except InputError as error:
        return "", list(error.faults)
    if is_constitution(document):
        return "constitution", validated(document, Constitution)[1]
    return "recipe", checked(document, file)[1]


def _as_json(fault: Fault) -> dict[str, str]:
    return {"place": fault.place, "path": fault.path, "what": fault.what, "fix": fault.fix}
