"""YAML documents with the place of every value, and their strict validation.

Constitutions and recipes are read here: every fault of a file is found before any is reported,
each with `file:line:col`, the dotted path, what is wrong and what to do about it.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from charter.errors import Fault, InputError, nearest

__all__ = ["Document", "Settings", "dotted", "read_document", "read_text", "validated"]

Loc = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)


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

    def place(self, loc: Loc) -> str:
        """`file:line:col` of a location, or of the nearest one around it that is written."""
        for end in range(len(loc), -1, -1):
            if loc[:end] in self.overridden:
                return f"--set {dotted(loc[:end])}"
            if loc[:end] in self.places:
                line, col = self.places[loc[:end]]
                return f"{self.name}:{line}:{col}"
        return self.name

    def fault(self, loc: Loc, what: str, fix: str) -> Fault:
        """A fault at a location of this document."""
        return Fault(self.place(loc), dotted(loc), what, fix)


def dotted(loc: Loc) -> str:
    """`models.judge`, `principles[3].id`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


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


class _Loader(yaml.SafeLoader):
    """SafeLoader without dates: an unquoted date stays the text that was written."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the base class has it
        first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


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
    try:
        loader = _Loader(source)
        node = loader.get_single_node()
        places: dict[Loc, tuple[int, int]] = {}
        faults: list[Fault] = []
        data = None if node is None else _build(loader, node, (), name, places, faults)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        what = f"is not YAML: {error.problem or error.context}"
        raise InputError(Fault(place, "", what, "mend the line, or quote the text")) from None
    except yaml.YAMLError as error:
        what = f"is not YAML: {str(error).splitlines()[0]}"
        raise InputError(Fault(name, "", what, "remove the character")) from None
    if faults:
        raise InputError(faults)
    if not isinstance(data, dict):
        what = "is empty" if data is None else "is no mapping of keys to values"
        raise InputError(Fault(name, "", what, "start from `charter init DIR`"))
    return Document(name, data, places)


def _build(
    loader: _Loader,
    node: yaml.Node,
    loc: Loc,
    name: str,
    places: dict[Loc, tuple[int, int]],
    faults: list[Fault],
) -> Any:
    places.setdefault(loc, (node.start_mark.line + 1, node.start_mark.column + 1))
    if len(loc) > 60:
        raise yaml.YAMLError("it is nested more than 60 deep, or refers to itself")
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            spot = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key in result:
                first = places[(*loc, key)][0]
                what = f'the key "{key}" stands here a second time (first in line {first})'
                at = f"{name}:{spot[0]}:{spot[1]}"
                faults.append(Fault(at, dotted((*loc, key)), what, "keep one of them"))
                continue
            places[(*loc, key)] = spot
            result[key] = _build(loader, value_node, (*loc, key), name, places, faults)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [
            _build(loader, item, (*loc, index), name, places, faults)
            for index, item in enumerate(node.value)
        ]
    return loader.construct_object(node, deep=True)


def validated(document: Document, model: type[ModelT]) -> tuple[ModelT | None, list[Fault]]:
    """Check a document against a settings model.

    Validation is strict and in JSON mode, so that lists become tuples and names become enums,
    but no text becomes a number.

    Returns:
        The model and no faults, or None and every fault.
    """
    unfit = list(_not_json(document))
    if unfit:
        return None, unfit
    try:
        return model.model_validate_json(json.dumps(document.data)), []
    except ValidationError as error:
        return None, _faults(document, model, error)


def _not_json(document: Document) -> Iterator[Fault]:
    def walk(value: Any, loc: Loc) -> Iterator[Fault]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from walk(item, (*loc, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from walk(item, (*loc, index))
        elif isinstance(value, float) and not math.isfinite(value):
            yield document.fault(loc, "is not a finite number", "give a number")
        elif value is not None and not isinstance(value, str | int | float | bool):
            yield document.fault(loc, f"is a {type(value).__name__}", "quote it to make it text")

    yield from walk(document.data, ())


def _faults(document: Document, model: type[BaseModel], error: ValidationError) -> list[Fault]:
    found: dict[str, Fault] = {}
    items = [(_written(document.data, i), i) for i in error.errors(include_url=False)]
    for loc, item in items:
        inside = any(len(other) > len(loc) and other[: len(loc)] == loc for other, _ in items)
        if inside and isinstance(item["input"], dict | list):
            continue  # another branch of the union fits, but for what is wrong inside it
        what, fix = _explain(model, item, loc)
        fault = document.fault(loc, what, fix)
        key = f"{fault.path}|{item['type'] == 'missing'}"
        # The branches of a union report one by one; together they are one fault.
        if key in found and found[key].what != what:
            before = found[key]
            merged = before.fix if fix in before.fix else f"{before.fix}, or {fix}"
            fault = Fault(before.place, before.path, before.what, merged)
        found[key] = fault

    def order(fault: Fault) -> tuple[int, ...]:
        parts = fault.place.rsplit(":", 2)[1:]
        return tuple(int(part) for part in parts) if all(p.isdigit() for p in parts) else (0,)

    return sorted(found.values(), key=order)


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
        return f'no such value "{item["input"]}"', f"use {context['expected']}"
    if kind in ("value_error", "assertion_error"):
        # Our validators say `what; fix` themselves.
        what, _, fix = str(context["error"]).partition("; ")
        return what, fix
    if kind in _KINDS:
        return _KINDS[kind]
    what = item["msg"][0].lower() + item["msg"][1:]
    return f"{what} (here: {json.dumps(item['input'])[:60]})", "change the value"


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
