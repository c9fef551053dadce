"""What pydantic finds wrong with a value of a settings file, in words that say what to write."""

from __future__ import annotations

import json
import math
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Final

import yaml
from pydantic import BaseModel

from charter.errors import nearest
from charter.values import Loc

__all__ = ["LARGEST", "explained"]

LARGEST: Final = 2**63
"""What a column of a dataset holds."""

_KINDS: Mapping[str, tuple[str, str]] = {
    "int_type": ("is not a whole number", "give a whole number"),
    "int_from_float": ("is not a whole number", "give a whole number"),
    "float_type": ("is not a number", "give a number"),
    "bool_type": ("is not true or false", "give true or false"),
    "dict_type": ("is not a mapping of keys to values", "indent keys below it"),
    "model_type": ("is not a mapping of keys to values", "indent keys below it"),
    "model_attributes_type": ("is not a mapping of keys to values", "indent keys below it"),
    "tuple_type": ("is not a list", "give a list: [a, b]"),
    "list_type": ("is not a list", "give a list: [a, b]"),
    "too_short": ("is empty", "give at least one"),
    "too_long": ("has too many items", "take some out"),
}
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


def explained(model: type[BaseModel], item: Any, loc: Loc) -> tuple[str, str]:
    """What is wrong and how to mend it.

    Args:
        model: of the whole file.
        item: one of pydantic's errors, or one of `Clashes`.
        loc: where it stands in the file.
    """
    kind, context = item["type"], item.get("ctx", {})
    name = str(loc[-1]) if loc else ""
    if kind == "extra_forbidden":
        known = _fields_at(model, loc[:-1])
        return f'there is no key "{name}" here', nearest(name, known)
    if kind == "missing" and isinstance(loc[-1], int):
        return "is missing: the list is too short", "add an item"
    if kind == "missing":
        return f'the key "{name}" is missing', f"add `{name}:`"
    if kind in ("literal_error", "enum"):
        return f"no such value {_shown(item['input'])}", _choices(item["input"], context)
    if kind in ("value_error", "assertion_error", "clash"):
        # Our validators say `what; fix` themselves.
        what, _, fix = str(context["error"]).partition("; ")
        return what, fix
    if kind in ("float_type", "int_type") and isinstance(item["input"], str):
        whole = kind == "int_type"
        return f"is text, not a {'whole ' * whole}number", _as_number(item["input"], whole)
    if kind == "string_type":
        return _no_text(item["input"])
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in _BOUNDS:
        bound, word = _BOUNDS[kind]
        return f"is {_shown(item['input'])}", f"give a number {word} {context[bound]:g}"
    what = item["msg"][0].lower() + item["msg"][1:]
    return f"{what} (here: {_shown(item['input'])})", "change the value"


def _no_text(value: Any) -> tuple[str, str]:
    """What stands where a text is wanted: unquoted, YAML makes other things of many words."""
    if isinstance(value, bool):
        words = "yes and on" if value else "no and off"
        return f"is not text: YAML takes {words} for {_shown(value)}", "quote it to make it text"
    if isinstance(value, int | float):
        return "is not text but a number", "quote it to make it text"
    kind = "a list" if isinstance(value, list) else "a mapping" if value else "empty"
    return f"is not text but {kind}", "write one text"


def _as_number(text: str, whole: bool) -> str:
    """How a number is written that YAML reads as text: `1e-3` has no point."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if whole and number.is_integer() and abs(number) < LARGEST:
        return f"write {int(number)}, without quotes"
    if whole or not math.isfinite(number):
        return f"give a {'whole ' * whole}number"
    return f"write {yaml.safe_dump(number).split()[0]}, without quotes"


def _shown(value: Any) -> str:
    """A value as it could stand in the file, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _choices(value: Any, context: Mapping[str, Any]) -> str:
    """What a setting may be: the nearest of the words, or all, in YAML's spelling."""
    expected = str(context["expected"])
    hint = nearest(value, re.findall(r"'([^']*)'", expected)) if isinstance(value, str) else ""
    if hint.startswith("did you"):
        return hint
    return f"use {expected}".replace("True", "true").replace("False", "false")


def _fields_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The names a mapping at this location may have."""
    current: list[Any] = [model]
    for part in loc:
        following: list[Any] = []
        for kind in current:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                info = kind.model_fields.get(str(part))
                following += _unwrapped(info.annotation) if info else []
            elif typing.get_args(kind):
                following += _unwrapped(typing.get_args(kind)[-1 if isinstance(part, str) else 0])
        current = following
    return [
        name
        for kind in current
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        for name in kind.model_fields
    ]


def _unwrapped(annotation: Any) -> list[Any]:
    """The branches of a union, without Annotated."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _unwrapped(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [leaf for arm in typing.get_args(annotation) for leaf in _unwrapped(arm)]
    return [annotation]
