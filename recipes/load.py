"""Load a recipe with its constitution, and check everything that can be known without a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from charter.addresses import is_address, may_hold_key
from charter.constitutions import (
    Constitution,
    find_constitution,
    load_constitution,
    shipped_constitutions,
)
from charter.documents import (
    Document,
    Loc,
    expanded,
    in_order,
    is_file,
    read_document,
    read_text,
    read_value,
    validated,
)
from charter.errors import Fault, InputError, nearest
from charter.recipes.preference import unread_faults
from charter.recipes.prompt_files import FORMATS, format_of
from charter.recipes.schema import ModelsSettings, Recipe
from charter.recipes.train import train_faults
from charter.rows import digest
from charter.values import dotted, is_unicode

__all__ = ["Loaded", "check_recipe", "is_constitution", "load_recipe", "shipped_recipes"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A recipe that passed every check, with what it names.

    Attributes:
        recipe: the settings.
        constitution: the constitution it names.
        constitution_name: its shipped name, or the path at which it was found.
        path: the recipe's file.
        recipe_yaml: the recipe as run: all settings, with overrides and without defaults unsaid.
        constitution_yaml: the text of the constitution's file.
        prompt_files: the files of `prompts.path`, in order; empty for a dataset of the Hub.
        judge_logprobs: False where the judge was found to give no log-probabilities.
        most_given: under `candidates: given`, those of the prompt that brings the most.
    """

    recipe: Recipe
    constitution: Constitution
    constitution_name: str
    path: Path
    recipe_yaml: str
    constitution_yaml: str
    prompt_files: tuple[Path, ...]
    judge_logprobs: bool = True
    most_given: int = 16

    def fingerprint(self) -> str:
        """SHA-256 over what can change a row (scheme 2).

        Covers seed, the constitution's fingerprint, `prompts` but for its path (the records have
        a fingerprint of their own), `models`, `sft` and `preference`. Leaves out name, comments,
        `publish`, `review`, `train`, `evaluate`, `improve` and `run`, and where models are reached.
        """
        recipe = self.recipe.model_dump(mode="json")
        prompts = {k: v for k, v in recipe["prompts"].items() if k != "path"}
        models = {role: model_identity(self.recipe, role) for role in self.recipe.roles}
        return digest(
            "recipe",
            2,
            recipe["seed"],
            self.constitution.fingerprint(),
            prompts,
            models,
            recipe["sft"],
            recipe["preference"],
            self.judge_logprobs,
        )


class _Found(NamedTuple):
    """A constitution, what a task calls it, and its text."""

    constitution: Constitution
    name: str
    text: str


_NOT_IDENTITY = ("base_url", "api_key_env", "price", "serve")


def model_identity(recipe: Recipe, role: str) -> dict[str, Any]:
    """A role's model and sampling parameters as they stand in manifests: no secret, no address."""
    settings = recipe.role(role).model_dump(mode="json")
    return {k: v for k, v in settings.items() if k not in _NOT_IDENTITY}


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    folder = Path(str(resources.files("charter.recipes")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def is_constitution(document: Document) -> bool:
    """Whether a document was meant for a constitution and not a recipe.

    By the keys that are spelt right, so that a wrong one is told as what it was meant for.
    """
    recipe, constitution = (
        len(kind.model_fields.keys() & document.data) for kind in (Recipe, Constitution)
    )
    return constitution > recipe


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Loaded:
    """Load a recipe.

    Args:
        path: its file; a shipped name (`quickstart`) where there is no such file.
        overrides: `a.b=value` texts, as `--set` takes them; the value is read as YAML.

    Raises:
        InputError: every fault of recipe, constitution and prompt paths at once.
    """
    if not is_file(path) and str(path) in shipped_recipes():
        path = shipped_recipes()[str(path)]
    loaded, faults = check_recipe(read_document(path), path, overrides)
    if loaded is None:
        raise InputError(faults)
    return loaded


def check_recipe(
    document: Document, path: Path, overrides: Sequence[str] = ()
) -> tuple[Loaded | None, list[Fault]]:
    """Check a recipe's document and all that it names; returns the recipe or every fault."""
    if is_constitution(document):
        fix = "name a recipe, which names this as its `constitution`"
        return None, [Fault(document.name, "", "is a constitution, no recipe", fix)]
    faults = [fault for text in overrides for fault in _override(document, text)]
    document.data.setdefault("name", _default_name(path))
    recipe, found = validated(document, Recipe)
    faults += found
    # These read the document, not the recipe, so that they also speak where the schema has.
    files, found = _prompt_files(document, path)
    faults += found + train_faults(document) + _evaluation_faults(document, path)
    faults += _evaluation_set_faults(document, path) + _address_faults(document)
    if recipe and recipe.preference:
        faults += unread_faults(document, recipe.preference)
    file, found = _constitution_file(document, path)
    faults += found
    named, elsewhere = _constitution(document, file) if file else (None, [])
    if named is not None:
        faults += _principle_faults(document, named.constitution)
    if recipe is None or named is None or faults:
        return None, [*in_order(faults), *elsewhere]
    text = recipe_text(recipe)
    loaded = Loaded(recipe, named.constitution, named.name, path, text, named.text, files)
    return loaded, []


def recipe_text(recipe: Recipe) -> str:
    """A recipe as YAML: every setting that is said, and no default that is not."""
    return yaml.safe_dump(
        recipe.model_dump(mode="json", exclude_unset=True),
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


def resolve(name: str, beside: Path) -> list[Path]:
    """Files by a path or glob: from the working folder, the recipe's, or the shipped prompts."""
    tries = [(Path(), name), (beside, name)]
    if name.startswith("prompts/"):
        shipped = Path(str(resources.files("charter.prompts")))
        tries.append((shipped, name.removeprefix("prompts/")))
    for root, pattern in tries:
        exact = expanded(root / pattern)
        if is_file(exact):
            return [exact]
        found = _matching(root, pattern)
        if found:
            return found
    return []


def _matching(root: Path, pattern: str) -> list[Path]:
    if not any(mark in pattern for mark in "*?["):
        return []
    pattern = str(expanded(pattern))
    if Path(pattern).is_absolute():
        root = Path(Path(pattern).anchor)
        pattern = str(Path(pattern).relative_to(root))
    try:
        found = sorted(path for path in root.glob(pattern) if is_file(path))
    except (OSError, ValueError):  # such as `**.jsonl`, which pathlib does not take
        return []
    # As in shells: what editors, notebooks and systems put aside is no file of the user's.
    asked = _hidden(Path(pattern))
    return [path for path in found if asked or not _hidden(path.relative_to(root))]


def _hidden(path: Path) -> bool:
    """Whether a name on the way is hidden: `.ipynb_checkpoints`, `._prompts.jsonl`."""
    return any(part.startswith(".") and part != ".." for part in path.parts)


def _default_name(path: Path) -> str:
    kept = [c if c.isalnum() or c in "-_." else "-" for c in path.stem.lower() if c.isascii()]
    return "".join(kept).strip("-_.")[:64] or "recipe"


def _override(document: Document, text: str) -> list[Fault]:
    key, equals, value_text = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        return [Fault(f"--set {text}", "", "is no setting", "write --set a.b=value")]
    if not is_unicode(text):  # a name in another encoding, as the shell has it
        return [Fault(f"--set {key.strip()}", "", "is not UTF-8", "write it in UTF-8")]
    value, faults = read_value(value_text, f"--set {key.strip()}")
    if faults:
        return faults
    here: Any = document.data
    loc: Loc = ()
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        index: str | int = part
        if isinstance(here, list):
            if not part.isdecimal() or int(part) >= len(here):
                what = f"there is no item {part}: the list has {len(here)}"
                fix = "count from 0, or set the whole list"
                return [Fault(f"--set {key.strip()}", dotted(loc), what, fix)]
            index = int(part)
        loc = (*loc, index)
        if last:
            here[index] = value
        elif not isinstance(document.at(*loc), dict | list):
            here[index] = {}  # a block that was left out, or `false`
        if last or not here[index]:
            document.overridden.add(loc)
        here = here[index]
    return []


def _look(name: str, recipe: Path) -> str:
    """What to do about a file that is not there: a recipe's folder may have been moved."""
    last = Path(name.strip()).name
    if last and is_file(recipe.parent / last):
        return f'write "{last}", which stands beside the recipe'
    return "check the path, from this folder or from the recipe's"


def _constitution_file(document: Document, path: Path) -> tuple[Path | None, list[Fault]]:
    name = document.data.get("constitution")
    if not isinstance(name, str) or not name.strip():
        return None, []  # the schema has said so
    try:
        return find_constitution(name.strip(), path.parent), []
    except InputError as error:
        fault = error.faults[0]
        fix = _look(name, path) if fault.fix == "check the path" else fault.fix
        return None, [document.fault(("constitution",), fault.what, fix)]


def _constitution(document: Document, file: Path) -> tuple[_Found | None, list[Fault]]:
    name = document.data["constitution"].strip()
    try:
        text = read_text(file)
        constitution = load_constitution(read_document(file, text))
    except InputError as error:
        return None, list(error.faults)
    shipped = file == shipped_constitutions().get(name)
    return _Found(constitution, name if shipped else str(file), text), []


def _prompt_files(document: Document, path: Path) -> tuple[tuple[Path, ...], list[Fault]]:
    loc: Loc = ("prompts", "path")
    name = document.at(*loc)
    if not isinstance(name, str) or not name.strip():
        return (), []
    name = name.strip()
    files = resolve(name, path.parent)
    if not files:
        inside = f"{name.rstrip('/')}/*.jsonl"
        fix = f'name its files: "{inside}"' if resolve(inside, path.parent) else _look(name, path)
        return (), [document.fault(loc, f'no such file "{name}"', fix)]
    faults = []
    for file in files:
        if format_of(file) not in FORMATS:
            what = f'"{file}" is of no known format'
            faults.append(document.fault(loc, what, "use .jsonl, .csv or .parquet (also .gz)"))
    return tuple(files), faults


def _evaluation_faults(document: Document, path: Path) -> list[Fault]:
    """Found now, not after hours of a run."""
    faults = []
    for block in (("evaluate", "refusal"), ("improve", "evaluate"), ("improve", "helpful")):
        loc: Loc = (*block, "path")
        name = document.at(*loc)
        if isinstance(name, str) and name.strip() and not resolve(name.strip(), path.parent):
            faults.append(document.fault(loc, f'no such file "{name}"', _look(name, path)))
    return faults


def _evaluation_set_faults(document: Document, path: Path) -> list[Fault]:
    loc: Loc = ("publish", "decontaminate")
    names = document.at(*loc)
    faults = []
    for at, entry in enumerate(names if isinstance(names, list) else ()):
        name = entry.get("path") if isinstance(entry, dict) else entry
        if isinstance(name, str) and name.strip() and not resolve(name.strip(), path.parent):
            faults.append(document.fault((*loc, at), f'no such file "{name}"', _look(name, path)))
    return faults


def _address_faults(document: Document) -> list[Fault]:
    """Found now, not when the first call is made."""
    faults = []
    places: list[Loc] = [("models", role, "base_url") for role in ModelsSettings.model_fields]
    for loc in (*places, ("train", "grpo", "judge_url")):
        address = document.at(*loc)
        if not isinstance(address, str) or not address.strip():
            continue  # the schema has said so
        # Not the address itself, in which somebody may have written a key.
        if not is_address(address.strip()):
            fix = "write it like http://host:port/v1"
            faults.append(document.fault(loc, "is no address of a server", fix))
        elif may_hold_key(address.strip()):
            what = "has a login, a query or a fragment, which would be published with the recipe"
            fix = "take it out: keys are read from OPENAI_API_KEY, or what api_key_env names"
            faults.append(document.fault(loc, what, fix))
    return faults


def _principle_faults(document: Document, constitution: Constitution) -> list[Fault]:
    ids = [principle.id for principle in constitution.principles]
    faults = _weight_faults(document, ids, ("sft", "principles"))
    shots = document.at("sft", "few_shot")
    for index in range(len(shots) if isinstance(shots, list) else 0):
        loc: Loc = ("sft", "few_shot", index, "principle")
        about = document.at(*loc)
        if isinstance(about, str) and about not in ids:
            what = f'the constitution has no principle "{about}"'
            faults.append(document.fault(loc, what, nearest(about, ids)))
    loc = ("preference", "principles")
    faults += _weight_faults(document, ids, loc)
    wanted = document.at(*loc)
    if isinstance(wanted, int) and wanted > len(ids):
        what = f"asks for {wanted} of {len(ids)} principles"
        faults.append(document.fault(loc, what, "lower it, or write all"))
    return faults


def _weight_faults(document: Document, ids: Sequence[str], at: Loc) -> list[Fault]:
    weights = document.at(*at)
    if not isinstance(weights, dict):
        return []
    faults = []
    for principle_id, weight in weights.items():
        loc: Loc = (*at, principle_id)
        if principle_id not in ids:
            what = f'the constitution has no principle "{principle_id}"'
            faults.append(document.fault(loc, what, nearest(principle_id, ids)))
        elif isinstance(weight, int | float) and weight < 0:
            faults.append(document.fault(loc, "is below 0", "give a weight of 0 or more"))
    numbers = [w for w in weights.values() if isinstance(w, int | float)]
    if len(numbers) == len(weights) and not any(w > 0 for w in numbers):
        what = "has no weight above 0"
        faults.append(document.fault(at, what, "give one principle weight"))
    return faults
