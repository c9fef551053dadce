"""A text or a YAML value as a field of a TRL config takes it, and what to say where it does not."""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["advice", "coerced"]


def coerced(value: Any, text: str | None, kind: str) -> Any:
    """A value as its field's type takes it.

    Args:
        value: as YAML reads it.
        text: as it was typed; None where it comes from a recipe.
        kind: of the field, as in `trl_fields.json`.

    Raises:
        ValueError: it does not fit; the message says what it is instead.
    """
    # TRL takes a mapping as JSON in a text too; here it is looked into, so it is one.
    if "dict" in kind.split(" | ") and isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"is no JSON ({error})") from error
        text = None
    # `save_strategy=no` is false to YAML 1.1, `run_name=7` a number: the words as typed count.
    if text is not None and json.dumps(text) in kind.split(" | "):
        return text
    try:
        return _as_type(value, kind)
    except ValueError:
        if text is None or "str" not in kind.split(" | "):
            raise
        return text


def _as_type(value: Any, kind: str) -> Any:
    parts = kind.split(" | ")
    if value is None or isinstance(value, bool | dict):
        name = {"NoneType": "None"}.get(type(value).__name__, type(value).__name__)
        if name in parts or (value is False and "false" in parts):
            return value
    elif isinstance(value, int | float) or (isinstance(value, str) and "str" not in parts):
        number = _number(value, parts)
        if number is not None:
            return number
    lists = [part for part in parts if part.startswith("list[")]
    if isinstance(value, str) and ("str" in parts or json.dumps(value) in parts):
        return value
    if lists and isinstance(value, list | str | int | float) and not isinstance(value, bool):
        items = value if isinstance(value, list) else [value]
        return [_as_type(item, lists[0][5:-1]) for item in items]
    raise ValueError(f"is {_shown(value)}, not {_kinds(kind)}")


def _number(value: int | float | str, parts: list[str]) -> int | float | None:
    """The number in a value if the type takes it: YAML 1.1 reads `2e-4` as a text."""
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    if isinstance(value, int) and "int" in parts:
        return value
    return number if "float" in parts else None


def _shown(value: Any) -> str:
    return "null" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _kinds(kind: str) -> str:
    names = {
        "bool": "true or false",
        "int": "a whole number",
        "float": "a number",
        "str": "a text",
        "None": "null",
        "dict": "a mapping",
    }
    parts = [names.get(part, part) for part in kind.split(" | ")]
    known = [part for part in parts if not part.startswith('"')]
    return " or ".join([*(["one of its names"] if len(known) < len(parts) else []), *known])


def advice(kind: str) -> str:
    """What to write into a field of this type."""
    names = [json.loads(part) for part in kind.split(" | ") if part.startswith('"')]
    if names:
        return f"use one of: {', '.join(names)} (in quotes in YAML)"
    return (
        "leave it out; it can't be written in YAML" if "object" in kind else f"write {_kinds(kind)}"
    )
