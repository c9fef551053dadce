"""YAML documents with the place of every value, and their strict validation.

Constitutions and recipes are read here: every fault of a file is found before any is reported,
each with `file:line:col`, the dotted path, what is wrong and what to do about it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from charter.errors import Fault, InputError, nearest
from charter.explained import LARGEST, explained
from charter.values import Loc, YamlValues, dotted

__all__ = [
    "Clashes",
    "Document",
    "Loc",
    "Settings",
    "dotted",
    "expanded",
    "in_order",
    "is_file",
    "read_document",
    "read_text",
    "read_value",
    "validated",
]

ModelT = TypeVar("ModelT", bound=BaseModel)


class Settings(BaseModel):
    """Base of every settings model: strict, frozen, and no unknown key."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=False
    )


class Clashes(ValueError):
    """What a validator raises of a block whose values do not fit together: all of it at once.

    Args:
        found: what is wrong, as `what; fix`, each with its location from the block on.
    """

    def __init__(self, found: Iterable[tuple[Loc, str]]) -> None:
        self.found = tuple(found)
        super().__init__("; ".join(f"{dotted(loc)} {text}".strip() for loc, text in self.found))


@dataclass(slots=True)
class Document:
    """A YAML file as plain values, with the place of each.

    Attributes:
        name: what to call the file in faults.
        data: dicts, lists, strings, numbers, booleans and None.
        places: line and column (from 1) by location.
        overridden: locations that `--set` put there; faults name the option instead.
        faults: what is wrong in the text itself, such as a key twice; `validated` tells it.
    """

    name: str
    data: Any
    places: dict[Loc, tuple[int, int]]
    overridden: set[Loc] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)

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


def expanded(path: str | Path) -> Path:
    """A path with `~` as shells read it: of a user whom this machine lacks it stays as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


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
        InputError: it cannot be read, is not YAML, or is empty.
    """
    name = str(path)
    source = read_text(path) if text is None else text
    builder = YamlValues(lambda mark: f"{name}:{mark.line + 1}:{mark.column + 1}")
    try:
        data = builder.read(source)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = builder.spot(mark) if mark else name
        what = f"is not YAML: {_not_yaml(error)}"
        raise InputError(Fault(place, "", what, "mend the line, or quote the text")) from None
    except yaml.reader.ReaderError as error:
        before = source[: error.position]
        place = f"{name}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        what = f"is not YAML: the character U+{ord(source[error.position]):04X} cannot stand here"
        raise InputError(Fault(place, "", what, "remove the character")) from None
    if not isinstance(data, dict):
        what = "is empty" if data is None else "is no mapping of keys to values"
        found = builder.faults or [Fault(name, "", what, "start from `charter init DIR`")]
        raise InputError(found)
    return Document(name, data, builder.places, faults=builder.faults)


def _not_yaml(error: yaml.MarkedYAMLError) -> str:
    """What PyYAML says, with the line in which that began: a quote is missed long after it."""
    problem, context = error.problem or "", error.context or ""
    if not problem or not context.startswith("while "):
        return ", ".join(part for part in (context, problem) if part)
    begun, met = error.context_mark, error.problem_mark
    if begun is None or met is None or begun.line == met.line:
        return problem
    return f"{problem}, {context} that begins in line {begun.line + 1}"


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
    unfit = list(document.faults)
    data = _as_json(document, document.data, (), unfit)
    try:
        made = model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        known = {fault.path for fault in unfit}
        more = [fault for fault in _faults(document, model, error) if fault.path not in known]
        return None, in_order([*unfit, *more])
    return (None, in_order(unfit)) if unfit else (made, [])


def _as_json(document: Document, value: Any, loc: Loc, unfit: list[Fault]) -> Any:
    """The value with null for all that JSON does not have, and a fault for each of these."""
    if isinstance(value, dict):
        return {k: _as_json(document, v, (*loc, k), unfit) for k, v in value.items()}
    if isinstance(value, list):
        return [_as_json(document, v, (*loc, i), unfit) for i, v in enumerate(value)]
    if isinstance(value, str) and "\0" in value:
        unfit.append(document.fault(loc, "holds a character that no text has (NUL)", "take it out"))
    elif isinstance(value, float) and not math.isfinite(value):
        unfit.append(document.fault(loc, "is not a finite number", "give a number"))
    elif isinstance(value, int) and not -LARGEST <= value < LARGEST:
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
    items = [each for i in error.errors(include_url=False) for each in _located(document, i)]
    # The branch of a union that is meant has a fault deeper down, or one that a validator told.
    inside = {loc[:end] for loc, _ in items for end in range(len(loc))}
    own = {loc for loc, item in items if item["type"] in ("value_error", "clash")}
    for loc, item in items:
        other = loc in inside or (loc in own and item["type"] != "value_error")
        if other and item["type"] != "clash" and isinstance(item["input"], dict | list):
            continue
        what, fix = explained(model, item, loc)
        fault = document.fault(loc, what, fix)
        alone = fault.what if item["type"] == "clash" else item["type"] == "missing"
        key = f"{fault.path}|{alone}"
        # The branches of a union report one by one; together they are one fault.
        if key in found and found[key].what != what:
            before = found[key]
            merged = before.fix if fix in before.fix else f"{before.fix}, or {fix}"
            fault = Fault(before.place, before.path, before.what, merged)
        found[key] = fault
    return in_order(found.values())


def _located(document: Document, item: Any) -> list[tuple[Loc, Any]]:
    """An error with its location; of `Clashes` each by itself."""
    loc = _written(document.data, item)
    clashes = item.get("ctx", {}).get("error")
    if not isinstance(clashes, Clashes):
        return [(loc, item)]
    return [
        ((*loc, *below), {**item, "type": "clash", "ctx": {"error": text}})
        for below, text in clashes.found
    ]


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
