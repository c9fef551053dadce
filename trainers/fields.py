"""The fields of TRL's configs with their types, as a list that needs no TRL to be read.

    python -m charter.trainers.fields > recipes/trl_fields.json

`charter check` and `charter train --set` read that list; a test compares it with the installed
TRL. A type is a union of `bool`, `int`, `float`, `str`, `None`, `dict`, `list[...]` and, where
TRL or transformers take one of a few names only, of those names as JSON strings.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import sys
import types
import typing

from charter.recipes.train import CONFIGS

__all__ = ["CONFIGS", "config_class", "trl_fields"]


def config_class(method: str) -> type:
    """The TRL config of a method, from where this TRL has it: stable, or experimental."""
    import trl

    if method == "orpo":
        from charter.trainers.quiet import experimental

        with experimental():
            from trl.experimental.orpo import ORPOConfig

        return typing.cast(type, ORPOConfig)
    return typing.cast(type, getattr(trl, CONFIGS[method]))


def trl_fields() -> dict[str, dict[str, str]]:
    """Method -> field -> type, from the installed TRL (imports it: seconds)."""
    return {method: _fields_of(config_class(method)) for method in CONFIGS}


def _fields_of(config: type) -> dict[str, str]:
    hints = typing.get_type_hints(config)
    return {
        field.name: " | ".join(dict.fromkeys(_parts(hints[field.name], field.metadata)))
        for field in dataclasses.fields(config)
        if field.init
    }


def _parts(hint: object, metadata: typing.Mapping[str, typing.Any]) -> list[str]:
    """The members of a type's union, in the order they are declared."""
    origin = typing.get_origin(hint)
    members = typing.get_args(hint) if origin in (typing.Union, types.UnionType) else (hint,)
    named = any(isinstance(m, type) and issubclass(m, enum.Enum) for m in members)
    parts: list[str] = []
    for member in members:
        if isinstance(member, type) and issubclass(member, enum.Enum):
            parts += [json.dumps(choice.value) for choice in member]
        elif member is str and metadata.get("choices"):
            parts += [json.dumps(choice) for choice in metadata["choices"]]
        elif not (member is str and named):  # the enum says more than the `str` beside it
            parts += _plain(member)
    return parts


def _plain(hint: object) -> list[str]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return [json.dumps(value) for value in arguments]
    if origin is list:
        # A list of an enum is written as a list of its names.
        inner = arguments[0]
        plain = inner in (bool, int, float, str)
        return [f"list[{inner.__name__}]" if plain else "list[str]"]
    if origin is dict or hint is dict:
        return ["dict"]
    if hint is types.NoneType:
        return ["None"]
    if hint in (bool, int, float, str):
        return [typing.cast(type, hint).__name__]
    # An object of another library (`ParallelismConfig`): it can't be written in YAML.
    return ["object"]


def _main() -> None:
    json.dump(trl_fields(), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    _main()
