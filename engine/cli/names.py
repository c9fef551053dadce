"""Short names for models that are named by their folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from charter.addresses import is_address
from charter.documents import expanded
from charter.errors import Fault, InputError

__all__ = ["check_repo_argument", "folder_of", "server_address", "short_names"]


def check_repo_argument(repo: str, name: str = "REPO") -> None:
    """Refuse what is no name of a repo, by the name of the argument.

    Raises:
        InputError: it is none.
    """
    from charter.hub.manifest import check_repo

    try:
        check_repo(repo)
    except InputError as error:
        raise InputError(replace(fault, path=name) for fault in error.faults) from None


def folder_of(model: str) -> Path | None:
    """The folder that a model is named by, with `~` as shells read it; None where there is none."""
    folder = expanded(model)
    return folder if folder.is_dir() else None


def server_address(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """The callback of an option that takes the address of a server: refused before it is tried.

    Raises:
        InputError: it is none.
    """
    if value is None or is_address(value):
        return value
    # Not the address itself, in which somebody may have written a key.
    fix = "write it like http://host:port/v1"
    raise InputError(Fault(option.opts[0], "", "is no address of a server", fix))


def short_names(command: str, sources: Sequence[str]) -> list[str]:
    """The shortest ends of the paths that tell them apart, as many parts of each.

    Raises:
        InputError: one is named twice.
    """
    parts = [Path(source).parts for source in sources]
    for depth in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(each[-depth:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    raise InputError(Fault(command, "", "a model is named twice", "name each once"))
