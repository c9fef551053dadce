"""`charter init`: a first recipe and constitution to edit."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from charter.cli.output import Output, common
from charter.errors import Fault, InputError

FILES = ("recipe.yaml", "constitution.yaml", "prompts.jsonl")


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@common
def command(folder: Path, as_json: bool, debug: bool) -> None:
    """Write a first recipe, a constitution and a few prompts into DIR, to edit.

    \b
    Example:
      charter init mine
    """  # noqa: D301
    output = Output(as_json)
    taken = [str(folder / name) for name in FILES if (folder / name).exists()]
    if taken:
        raise InputError(
            [Fault(name, "", "is there already", "name another folder") for name in taken]
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            template = resources.files("charter.cli").joinpath(f"starter/{name}")
            text = template.read_text("utf-8").replace("DIR/", f"{folder.as_posix()}/")
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        raise InputError(Fault(str(folder), "", what, "name another folder")) from None
    recipe = folder / "recipe.yaml"
    commands = [
        f"charter check {recipe} {folder / 'constitution.yaml'}",
        f"charter preview {recipe} -n 2",
        f"charter run {recipe}",
    ]
    output.line(f"wrote {', '.join(FILES)} in {folder}; next:")
    for text in commands:
        output.line(f"  {text}")
    output.result({"files": [str(folder / name) for name in FILES], "next": commands})
