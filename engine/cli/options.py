"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from charter.errors import Failure, Fault, InputError
from charter.recipes import Loaded, load_recipe
from charter.recipes.train import METHODS

if TYPE_CHECKING:
    from charter.hub import Version

T = TypeVar("T")

__all__ = [
    "DEFAULT_OUT",
    "load",
    "on_hub",
    "open_named",
    "or_local",
    "out_option",
    "recipe_options",
    "store_option",
    "train_faults",
]

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
    """--store and --local, which say where versions are looked up by name."""

    def local(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        ctx.meta["charter.local"] = value

    for option in (
        click.option(
            "--local",
            is_flag=True,
            expose_value=False,
            callback=local,
            help="Look REPO@TAG up in the store, whatever HF_ENDPOINT says.",
        ),
        click.option(
            "--store",
            type=click.Path(path_type=Path, file_okay=False),
            default=DEFAULT_OUT / "versions",
            show_default=True,
            help="Local store of REPO@TAG; what is not in it is looked up on the Hub.",
        ),
    ):
        function = option(function)
    return function


def on_hub(repo: str, store: Path) -> bool:
    """Whether a repo is to be looked up on a Hub.

    Yes where HF_ENDPOINT names one, unless --local or --store was given; else where the local
    store does not have it.
    """
    from charter.hub import list_versions

    context = click.get_current_context(silent=True)
    if context is not None:
        given = context.get_parameter_source("store")
        if context.meta.get("charter.local") or given is click.core.ParameterSource.COMMANDLINE:
            return False
    return bool(os.environ.get("HF_ENDPOINT")) or not list_versions(store, repo)


def open_named(version: str, store: Path) -> Version:
    """Open a version by its folder, in the local store, or on a Hub (`on_hub`).

    Raises:
        InputError: there is no such version.
        Failure: the Hub is not reached.
    """
    from charter.hub import open_remote, open_version

    repo, at, _ = version.partition("@")
    if Path(version).is_dir() or not at or "/" not in repo or not on_hub(repo, store):
        return open_version(version, store=store)
    return or_local(lambda: open_remote(version), lambda: open_version(version, store=store))


def or_local(remote: Callable[[], T], local: Callable[[], T]) -> T:
    """What a Hub says; where nobody named one and the usual one is not reached, what is here."""
    try:
        return remote()
    except Failure:
        if os.environ.get("HF_ENDPOINT"):
            raise
        return local()


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
    for method in METHODS:
        _, found = check_values(method, getattr(loaded.recipe.train, method) or {})
        faults += [replace(fault, place=str(path)) for fault in found]
    return faults
