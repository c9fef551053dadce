"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from charter.errors import Fault, InputError
from charter.recipes import Loaded, load_recipe

__all__ = ["DEFAULT_OUT", "load", "out_option", "recipe_options", "store_option", "train_faults"]

DEFAULT_OUT = Path("out")


def recipe_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """RECIPE, --set and --limit."""
    for option in (
        click.option(
            "--limit", type=click.IntRange(min=1), metavar="N", help="Take the first N prompts."
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="A.B=VALUE", help="Override a value."
        ),
        click.argument("recipe", type=click.Path(path_type=Path)),
    ):
        function = option(function)
    return function


def out_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--out, for what a run leaves behind."""
    option = click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_OUT,
        show_default=True,
        help="Folder for runs, versions and models.",
    )
    return option(function)


def store_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--store, where versions are looked up by name."""
    option = click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_OUT / "versions",
        show_default=True,
        help="Where REPO@TAG is looked up.",
    )
    return option(function)


def load(recipe: Path, settings: tuple[str, ...], limit: int | None) -> Loaded:
    """The recipe with its overrides."""
    extra = (*settings, f"prompts.limit={limit}") if limit is not None else settings
    loaded = load_recipe(recipe, extra)
    faults = train_faults(recipe, loaded)
    if faults:
        raise InputError(faults)
    return loaded


def train_faults(path: Path, loaded: Loaded) -> list[Fault]:
    """What the trainers would refuse of a recipe's `train` block, said before a run.

    `recipes` knows the names of TRL's fields; the trainers also know their types.
    """
    from charter.trainers.settings import check_values

    faults = []
    for method in ("sft", "dpo"):
        _, found = check_values(method, getattr(loaded.recipe.train, method) or {})
        faults += [replace(fault, place=str(path)) for fault in found]
    return faults
