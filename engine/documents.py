"""YAML documents with the place of every value, and their strict validation.

Constitutions and recipes are read here: every fault of a file is found before any is reported,
each with `file:line:col`, the dotted path, what is wrong and what to do about it.
"""

from __future__ import annotations

import json
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from charter.errors import Fault, InputError, nearest
from charter.values import Loc, YamlValues, dotted

__all__ = [
    "Document",
    "Loc",
    "Settings",
    "dotted",
    "in_order",
    "is_file",
    "read_document",
    "read_text",
    "read_value",
    "validated",
]

ModelT = TypeVar("ModelT", bound=BaseModel)
_LARGEST = 2**63  # what a column of a dataset holds


class Settings(BaseModel):
    """Base of every settings model: strict, frozen, and no unknown key."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=False
    )


@dataclass(slots=True)
class Document:
    """A YAML file as plain values, with the place of each.

    Attributes:
        name: what to call the file in faults.
        data: dicts, lists, strings, numbers, booleans and None.
        places: line and column (from 1) by location.
        overridden: locations that `--set` put there; faults name the option instead.
    """

    name: str
    data: Any
    places: dict[Loc, tuple[int, int]]
    overridden: set[Loc] = field(default_factory=set)

    def at(self, *loc: str | int) -> Any:
        """The value at a location; None where there is nothing."""
        here = self.data
        for part in loc:
            if isinstance(here, dict):
                here = here.get(part)
            elif isinstance(here, list) and isinstance(part, int) and part < len(here):
                here = here[part]
            else:
                return None
        return here

    def place(self, loc: Loc) -> str:
        """`file:line:col` of a location, or of the nearest one around it that is written."""
        # Options first: what the file has at and below such a place is no longer what counts.
        for end in range(len(loc), -1, -1):
            if loc[:end] in self.overridden:
                return f"--set {dotted(loc[:end])}"
        for end in range(len(loc), -1, -1):
            if loc[:end] in self.places:
                line, col = self.places[loc[:end]]
                return f"{self.name}:{line}:{col}"
        return self.name

    def fault(self, loc: Loc, what: str, fix: str) -> Fault:
        """A fault at a location of this document."""
        return Fault(self.place(loc), dotted(loc), what, fix)


def is_file(path: Path) -> bool:
    """Whether there is such a file; no for a path that no file can have, such as one too long."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_text(path: Path) -> str:
    """A UTF-8 file as text; anything that stands in the way is an InputError."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        beside = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        hint = nearest(path.name, beside)
        fix = hint if hint.startswith("did you") else "check the path"
        raise InputError(Fault(str(path), "", "no such file", fix)) from None
    except IsADirectoryError:
        raise InputError(Fault(str(path), "", "is a folder", "name a file in it")) from None
    except OSError as error:
        raise InputError(
            Fault(str(path), "", f"cannot be read ({error.strerror})", "check its permissions")
        ) from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        col = error.start - raw.rfind(b"\n", 0, error.start)
        raise InputError(
            Fault(f"{path}:{line}:{col}", "", "is not UTF-8", "save the file as UTF-8")
        ) from None


def read_document(path: Path, text: str | None = None) -> Document:
    """Read a YAML file whole.

    Args:
        path: the file; its name stands in faults.
        text: its text, when it was read already.

    Raises:
        InputError: it cannot be read, is not YAML, is empty, or has a key twice.
    """
    name = str(path)
    source = read_text(path) if text is None else text
    builder = YamlValues(lambda mark: f"{name}:{mark.line + 1}:{mark.column + 1}")
    try:
        data = builder.read(source)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = builder.spot(mark) if mark else name
        what = f"is not YAML: {error.problem or error.context}"
        raise InputError(Fault(place, "", what, "mend the line, or quote the text")) from None
    except yaml.reader.ReaderError as error:
        before = source[: error.position]
        place = f"{name}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        what = f"is not YAML: the character U+{ord(source[error.position]):04X} cannot stand here"
        raise InputError(Fault(place, "", what, "remove the character")) from None
    if builder.faults:
        raise InputError(builder.faults)
    if not isinstance(data, dict):
        what = "is empty" if data is None else "is no mapping of keys to values"
        raise InputError(Fault(name, "", what, "start from `charter init DIR`"))
    return Document(name, data, builder.places)


def read_value(text: str, place: str) -> tuple[Any, list[Fault]]:
    """The value that an option gives, read as YAML; text that is no YAML is that text.

    Args:
        text: what stands after the equals sign.
        place: the option, as faults name it.
    """
    builder = YamlValues(lambda _: place)
    try:
        return builder.read(text), builder.faults
    except yaml.YAMLError:
        return text, []


def validated(document: Document, model: type[ModelT]) -> tuple[ModelT | None, list[Fault]]:
    """Check a document against a settings model.

    Validation is strict and in JSON mode, so that lists become tuples and names become enums,
    but no text becomes a number.

    Returns:
        The model and no faults, or None and every fault.
    """
    unfit: list[Fault] = []
    data = _as_json(document, document.data, (), unfit)
    try:
        made = model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        known = {fault.path for fault in unfit}
        more = [fault for fault in _faults(document, model, error) if fault.path not in known]
        return None, in_order([*unfit, *more])
    return (None, unfit) if unfit else (made, [])


def _as_json(document: Document, value: Any, loc: Loc, unfit: list[Fault]) -> Any:
    """The value with null for all that JSON does not have, and a fault for each of these."""
    if isinstance(value, dict):
        return {k: _as_json(document, v, (*loc, k), unfit) for k, v in value.items()}
    if isinstance(value, list):
        return [_as_json(document, v, (*loc, i), unfit) for i, v in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        unfit.append(document.fault(loc, "is not a finite number", "give a number"))
    elif isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        unfit.append(document.fault(loc, "is out of range", "give a number of at most 18 digits"))
    elif value is not None and not isinstance(value, str | int | float | bool):
        what = f"is of a kind that no setting has ({type(value).__name__})"
        unfit.append(document.fault(loc, what, "quote it to make it text"))
    else:
        return value
    return None


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Faults of one file from its first line to its last; those of options come before."""

    def order(fault: Fault) -> tuple[int, ...]:
        parts = fault.place.rsplit(":", 2)[1:]
        return tuple(int(part) for part in parts) if all(p.isdigit() for p in parts) else (0,)

    return sorted(faults, key=order)


def _faults(document: Document, model: type[BaseModel], error: ValidationError) -> list[Fault]:
    found: dict[str, Fault] = {}
    items = [(_written(document.data, i), i) for i in error.errors(include_url=False)]
    for loc, item in items:
        if isinstance(item["input"], dict | list) and _other_branch_fits(items, loc, item):
            continue
        what, fix = _explain(model, item, loc)
        fault = document.fault(loc, what, fix)
        key = f"{fault.path}|{item['type'] == 'missing'}"
        # The branches of a union report one by one; together they are one fault.
        if key in found and found[key].what != what:
            before = found[key]
            merged = before.fix if fix in before.fix else f"{before.fix}, or {fix}"
            fault = Fault(before.place, before.path, before.what, merged)
        found[key] = fault
    return in_order(found.values())


def _other_branch_fits(items: Sequence[tuple[Loc, Any]], loc: Loc, item: Any) -> bool:
    """Whether another branch of the union is the one meant, but for a fault of its own."""
    if any(len(other) > len(loc) and other[: len(loc)] == loc for other, _ in items):
        return True
    whole = any(other == loc and i["type"] == "value_error" for other, i in items)
    return whole and item["type"] != "value_error"


def _written(data: Any, item: Any) -> Loc:
    """The location without the names that pydantic gives to the branches of a union."""
    loc: Sequence[str | int] = item["loc"]
    kept: list[str | int] = []
    here = data
    for index, part in enumerate(loc):
        inside = part in here if isinstance(here, dict) else False
        if isinstance(here, list):
            inside = isinstance(part, int) and part < len(here)
        if inside:
            here = here[part]
        elif index == len(loc) - 1 and item["type"] == "missing":
            pass  # a missing key is named though it is not there
        else:
            continue
        kept.append(part)
    return tuple(kept)


_KINDS: Mapping[str, tuple[str, str]] = {
    "string_type": ("is not text", 'give text; quote it where it looks like a number ("1.0")'),
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
}
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


def _explain(model: type[BaseModel], item: Any, loc: Loc) -> tuple[str, str]:
    kind, context = item["type"], item.get("ctx", {})
    name = str(loc[-1]) if loc else ""
    if kind == "extra_forbidden":
        known = _fields_at(model, loc[:-1])
        return f'there is no key "{name}" here', nearest(name, known)
    if kind == "missing":
        return f'the key "{name}" is missing', f"add `{name}:`"
    if kind in ("literal_error", "enum"):
        return f"no such value {_shown(item['input'])}", _choices(item["input"], context)
    if kind in ("value_error", "assertion_error"):
        # Our validators say `what; fix` themselves.
        what, _, fix = str(context["error"]).partition("; ")
        return what, fix
    if kind == "float_type" and isinstance(item["input"], str):
        return "is text, not a number", _as_number(item["input"])
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in _BOUNDS:
        bound, word = _BOUNDS[kind]
        return f"is {_shown(item['input'])}", f"give a number {word} {context[bound]:g}"
    what = item["msg"][0].lower() + item["msg"][1:]
    return f"{what} (here: {_shown(item['input'])})", "change the value"


def _as_number(text: str) -> str:
    """How a number is written that YAML reads as text: `1e-3` has no point."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        return "give a number"
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
