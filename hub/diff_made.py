"""What two versions were made from, compared: constitution, recipe, models and the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from charter.constitutions import Constitution, load_constitution
from charter.documents import read_text
from charter.errors import InputError
from charter.hub.version import Version
from charter.hub.yaml_text import read_yaml

__all__ = ["Made", "Setting", "compare_made"]

_FIELDS: Final = ("name", "critique", "revision", "comparison", "weight", "tags")
_PLAIN: Final = ("prompt_set", "seeds", "models")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that is not the same in both.

    Attributes:
        key: its dotted path.
        before: in the earlier version, None where it is not there.
        after: in the later version.
    """

    key: str
    before: Any
    after: Any

    def as_json(self) -> dict[str, Any]:
        """By name."""
        return {"key": self.key, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class Made:
    """What differs in what two versions were made from.

    Attributes:
        schema_version: of both, the earlier first.
        principles: `added`, `removed`, `changed` and `moved` -> ids; `moved` are in another order.
        fields: id of a changed principle -> its fields that changed.
        constitution: its name, version, licence and fingerprint, where they changed.
        recipe: settings of `recipe.yaml`.
        settings: of prompt set, seeds and models, as the manifests have them.
        notes: what could not be compared.
    """

    schema_version: tuple[int, int]
    principles: dict[str, list[str]]
    fields: dict[str, list[Setting]]
    constitution: list[Setting]
    recipe: list[Setting]
    settings: list[Setting]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """By name, plain values."""

        def plain(settings: list[Setting]) -> list[dict[str, Any]]:
            return [each.as_json() for each in settings]

        return {
            "schema_version": list(self.schema_version),
            "constitution": {
                **self.principles,
                "fields": {name: plain(each) for name, each in self.fields.items()},
                "settings": plain(self.constitution),
            },
            "recipe": plain(self.recipe),
            "settings": plain(self.settings),
        }


def compare_made(one: Version, other: Version) -> Made:
    """Compare what two versions were made from, `other` being the later one."""
    notes: list[str] = []
    texts = [_constitution(version, notes) for version in (one, other)]
    principles, fields = _principles(texts[0], texts[1])
    recipes = [_recipe(version, notes) for version in (one, other)]
    manifests = [version.manifest.model_dump(mode="json") for version in (one, other)]
    return Made(
        (one.manifest.schema_version, other.manifest.schema_version),
        principles,
        fields,
        _settings(manifests[0]["constitution"], manifests[1]["constitution"]),
        _settings(*recipes) if None not in recipes else [],
        _settings(*({name: each[name] for name in _PLAIN} for each in manifests)),
        notes,
    )


def _constitution(version: Version, notes: list[str]) -> Constitution | None:
    try:
        return load_constitution(version.path / "constitution.yaml")
    except InputError as error:
        notes.append(f"the constitution of {version.tag} was not compared: {error.faults[0].what}")
        return None


def _recipe(version: Version, notes: list[str]) -> Any:
    try:
        found = read_yaml(read_text(version.path / "recipe.yaml"))
    except (InputError, yaml.YAMLError):
        notes.append(f"the recipe of {version.tag} was not compared: it cannot be read")
        return None
    return found if found is not None else {}


def _principles(
    one: Constitution | None, other: Constitution | None
) -> tuple[dict[str, list[str]], dict[str, list[Setting]]]:
    found: dict[str, list[str]] = {"added": [], "removed": [], "changed": [], "moved": []}
    if one is None or other is None:
        return found, {}
    before = {each.id: each for each in one.principles}
    after = {each.id: each for each in other.principles}
    found["added"] = [name for name in after if name not in before]
    found["removed"] = [name for name in before if name not in after]
    fields: dict[str, list[Setting]] = {}
    for name in before.keys() & after.keys():
        pairs = (
            (each, getattr(before[name], each), getattr(after[name], each)) for each in _FIELDS
        )
        if changed := [Setting(each, *map(_plain, ab)) for each, *ab in pairs if ab[0] != ab[1]]:
            fields[name] = changed
    found["changed"] = [name for name in after if name in fields]
    order = [
        [name for name in side if name in before and name in after] for side in (before, after)
    ]
    found["moved"] = [b for a, b in zip(*order, strict=True) if a != b]
    return found, {name: fields[name] for name in found["changed"]}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _settings(one: Any, other: Any) -> list[Setting]:
    before, after = dict(_flat(one)), dict(_flat(other))
    return [
        Setting(key, before.get(key), after.get(key))
        for key in dict.fromkeys([*before, *after])
        if (key in before) != (key in after) or before.get(key) != after.get(key)
    ]


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The plain values in it by their dotted paths; dates and the like as their text."""
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from _flat(each, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        for at, each in enumerate(value):
            yield from _flat(each, f"{key}[{at}]")
    elif isinstance(value, str | int | float | bool | list | None):
        yield key, value
    else:
        yield key, str(value) if not isinstance(value, Mapping) else {}
