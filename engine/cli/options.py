"""Options that several commands share."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from charter.documents import Document, in_order, is_file, read_document
from charter.errors import Failure, Fault, InputError
from charter.recipes import Loaded, check_recipe, shipped_recipes
from charter.recipes.train import METHODS

if TYPE_CHECKING:
    from charter.hub import Version

T = TypeVar("T")

__all__ = [
    "DEFAULT_OUT",
    "Real",
    "card_option",
    "checked",
    "load",
    "on_hub",
    "open_named",
    "or_local",
    "out_option",
    "recipe_options",
    "seed_option",
    "store_option",
]

DEFAULT_OUT = Path("out")


class Real(click.FloatRange):
    """A number of an option; `nan`, which click finds in every range, and `inf` are none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number, which is finite and in the range."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value} is no finite number", param, ctx)
        return found

    def _describe_range(self) -> str:
        """For the help: nothing where there are no bounds, of which click says `x<=None`."""
        return "" if self.min is None and self.max is None else super()._describe_range()


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
            help="Local store of REPO@TAG; given, the Hub is not asked for what it lacks.",
        ),
    ):
        function = option(function)
    return function


def seed_option(what: str) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """--seed, with what is drawn by it."""
    return click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help=what,
    )


def card_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--card."""
    return click.option(
        "--card",
        type=click.Choice(["fail", "keep", "replace"]),
        default="fail",
        show_default=True,
        help="On a Hub: what becomes of a card that people changed there.",
    )(function)


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
    shipped = None if is_file(recipe) else shipped_recipes().get(str(recipe))
    path = shipped or recipe
    loaded, faults = checked(read_document(path), path, extra)
    if loaded is None or faults:
        raise InputError(faults)
    return loaded


def checked(
    document: Document, path: Path, overrides: tuple[str, ...] = ()
) -> tuple[Loaded | None, list[Fault]]:
    """A recipe and every fault of it, those that only the trainers know among them."""
    loaded, faults = check_recipe(document, path, overrides)
    said = {fault.path for fault in faults}
    more = [fault for fault in _train_faults(document, loaded) if fault.path not in said]
    own = [f for f in faults if f.place.startswith((document.name, "--set"))]
    elsewhere = [f for f in faults if f not in own]
    return loaded, [*in_order([*own, *more]), *elsewhere]


def _train_faults(document: Document, loaded: Loaded | None) -> list[Fault]:
    """What the trainers would refuse of a recipe's `train` block, said before a run.

    `recipes` knows the names of TRL's fields; the trainers also know their types.
    """
    from charter.trainers.settings import check_values

    faults = []
    for method in METHODS:
        # Where another block is wrong there is no recipe, but what is written can be read.
        block = getattr(loaded.recipe.train, method) if loaded else document.at("train", method)
        if isinstance(block, dict) and all(map(_plain, (*block, *block.values()))):
            _, found = check_values(method, block)
            faults += [replace(f, place=document.place(tuple(f.path.split(".")))) for f in found]
    return faults


def _plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | list | dict)
