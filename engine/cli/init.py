"""`charter init`: a first recipe and constitution to edit."""

from __future__ import annotations

import json
import os
import re
import shlex
from functools import partial
from importlib import resources
from pathlib import Path

import click

from charter.cli.output import Output, common
from charter.errors import Fault, InputError

FILES = ("recipe.yaml", "constitution.yaml", "prompts.jsonl")
_PATH = re.compile(r"(: )?\bDIR/([\w.]+)")


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@common
def command(folder: Path, as_json: bool, debug: bool) -> None:
    """Write a first recipe, a constitution and a few prompts into FOLDER, to edit.

    \b
    Example:
      charter init mine
    """  # noqa: D301
    output = Output(as_json)
    if not str(folder).isprintable():  # which the recipe could not name
        what = "is a name that cannot be printed"
        raise InputError(Fault(str(folder), "", what, "name another folder"))
    try:
        taken = [str(folder / name) for name in FILES if os.path.lexists(folder / name)]
        if not taken:
            _write(folder)
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        raise InputError(Fault(str(folder), "", what, "name another folder")) from None
    if taken:
        raise InputError(
            [Fault(name, "", "is there already", "name another folder") for name in taken]
        )
    recipe, constitution = (shlex.quote(str(folder / name)) for name in FILES[:2])
    commands = [
        f"charter check {recipe} {constitution}",
        f"charter preview {recipe} -n 2",
        f"charter run {recipe}",
    ]
    output.line(f"wrote {', '.join(FILES)} in {folder}; next:")
    for text in commands:
        output.line(f"  {text}")
    output.result({"files": [str(folder / name) for name in FILES], "next": commands})


def _write(folder: Path) -> None:
    from charter.run.folder import write_whole

    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        text = resources.files("charter.cli").joinpath(f"starter/{name}").read_text("utf-8")
        write_whole(folder / name, _PATH.sub(partial(_path, folder), text))


def _path(folder: Path, match: re.Match[str]) -> str:
    """A path in the starter with the folder's name: a value of YAML, or a word of a command."""
    value, name = match.groups()
    path = (folder / name).as_posix()
    if not value:
        return shlex.quote(path)
    plain = re.fullmatch(r"[\w./-]+", path)
    return value + (path if plain else json.dumps(path, ensure_ascii=False))
