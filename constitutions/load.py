"""Find a constitution by its shipped name or its path, and load it strictly."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from charter.constitutions.schema import Constitution
from charter.documents import Document, expanded, is_file, read_document, validated
from charter.errors import Fault, InputError, nearest

__all__ = ["find_constitution", "load_constitution", "shipped_constitutions"]


def shipped_constitutions() -> dict[str, Path]:
    """The constitutions that come with the package, by name."""
    folder = Path(str(resources.files("charter.constitutions")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_constitution(name: str, beside: Path | None = None) -> Path:
    """The file of a constitution.

    Args:
        name: a shipped name (`hhh`), or a path, relative to the working folder or to `beside`.
        beside: the folder of the recipe that names it.

    Raises:
        InputError: there is none.
    """
    shipped = shipped_constitutions()
    if name in shipped:
        return shipped[name]
    folders = [Path()] + ([beside] if beside else [])
    for folder in folders:
        path = expanded(folder / name)
        if is_file(path):
            return path
    fix = "check the path" if "/" in name or name.endswith(".yaml") else nearest(name, shipped)
    raise InputError(Fault("", "constitution", f'no constitution "{name}"', fix))


def load_constitution(source: Path | Document) -> Constitution:
    """Load a constitution file.

    Raises:
        InputError: every fault of the file at once.
    """
    document = source if isinstance(source, Document) else read_document(source)
    constitution, faults = validated(document, Constitution)
    if constitution is None:
        raise InputError(faults)
    return constitution
