"""What a training is told: the method, the pinned version, and fields of that TRL config.

No TRL is imported here: field names and types come from the generated `trl_fields.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from charter.errors import Fault, InputError, nearest

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["CHARTER_FIELDS", "Lora", "TrainSettings", "check_values", "read_settings"]

# Keys of Charter's own beside the fields of the TRL config, with their types.
CHARTER_FIELDS: Final = {
    "model": "str | None",
    "lora": "bool",
    "lora_r": "int",
    "lora_alpha": "int",
    "limit": "int | None",
}
# Fields that Charter decides itself, and what to do instead.
_OURS: Final = {
    "output_dir": "name the folder with --out",
    "push_to_hub": "upload the folder of the model when it is done",
    "disable_tqdm": "leave it out; Charter shows its own progress",
}


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters on every linear layer but the head, merged into the saved model.

    Hu et al. 2021 (arXiv 2106.09685); on every linear layer, as Dettmers et al. 2023
    (arXiv 2305.14314, section 4) found necessary to match full fine-tuning.

    Attributes:
        r: rank.
        alpha: scale; the update is multiplied by alpha / r.
    """

    r: int = 16
    alpha: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """One training. Only the `train` split of the version can be trained on.

    Attributes:
        method: `sft`, `dpo`.
        dataset: the pinned version.
        out: the folder of the model; must not exist, or be empty.
        model: a folder or a name on the Hub; None for the version's own generator.
        fields: fields of that TRL config, checked; what is not here is Charter's default for
            the device, else TRL's.
        lora: adapters instead of all weights; None trains everything.
        limit: only the first rows of `train`, in the order of the version.
    """

    method: str
    dataset: Version
    out: Path
    model: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    lora: Lora | None = None
    limit: int | None = None


def read_settings(
    method: str,
    dataset: Version,
    out: Path,
    *,
    model: str | None = None,
    values: Mapping[str, Any] | Iterable[str] = (),
) -> TrainSettings:
    """Settings from a recipe's block (a mapping) or from `--set FIELD=VALUE` (texts).

    Args:
        method: the trainer.
        dataset: the pinned version.
        out: the folder of the model.
        model: what `--model` says; it goes before a `model` among the values.
        values: fields of the TRL config and `CHARTER_FIELDS`.

    Raises:
        InputError: every unknown method or field and every value of the wrong type, at once.
    """
    given, faults = check_values(method, values)
    if faults:
        raise InputError(faults)
    ours = {name: given.pop(name) for name in CHARTER_FIELDS if name in given}
    return TrainSettings(
        method=method,
        dataset=dataset,
        out=Path(out),
        model=model if model is not None else ours.get("model"),
        fields=given,
        lora=_lora(ours),
        limit=ours.get("limit"),
    )


def check_values(
    method: str, values: Mapping[str, Any] | Iterable[str]
) -> tuple[dict[str, Any], list[Fault]]:
    """The values as their fields' types take them, and every fault.

    Raises:
        InputError: there is no such method.
    """
    types = _types(method)
    faults: list[Fault] = []
    given: dict[str, Any] = {}
    for name, value, text in _assignments(values, faults):
        place = f"--set {name}" if text is not None else ""
        path = "" if text is not None else f"train.{method}.{name}"
        if name in _OURS:
            faults.append(Fault(place, path, "is set by Charter", _OURS[name]))
        elif name not in types:
            what = f'{method} has no field "{name}"'
            faults.append(Fault(place, path, what, _hint(name, types)))
        else:
            try:
                given[name] = _coerced(value, text, types[name])
            except ValueError as error:
                faults.append(Fault(place, path, str(error), _advice(types[name])))
    return given, [*faults, *_range_faults(given)]


def _lora(ours: Mapping[str, Any]) -> Lora | None:
    if not ours.get("lora", "lora_r" in ours or "lora_alpha" in ours):
        return None
    r = ours.get("lora_r", Lora().r)
    # Twice the rank unless said otherwise: the scale stays what it is when the rank is changed.
    return Lora(r=r, alpha=ours.get("lora_alpha", 2 * r))


@cache
def _all_types() -> dict[str, dict[str, str]]:
    text = resources.files("charter.recipes").joinpath("trl_fields.json").read_text("utf-8")
    loaded: dict[str, dict[str, str]] = json.loads(text)
    return loaded


def _types(method: str) -> dict[str, str]:
    from charter.trainers.registry import METHODS

    if method not in METHODS:
        raise InputError(Fault("", "method", f'no trainer "{method}"', nearest(method, METHODS)))
    return {**_all_types()[method], **CHARTER_FIELDS}


def _assignments(
    values: Mapping[str, Any] | Iterable[str], faults: list[Fault]
) -> Iterable[tuple[str, Any, str | None]]:
    """Name, value as YAML reads it, and the text as typed (None in a mapping)."""
    if isinstance(values, Mapping):
        yield from ((name, value, None) for name, value in values.items())
        return
    for assignment in values:
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip():
            what = f'"{assignment}" sets nothing'
            faults.append(Fault("--set", "", what, "write FIELD=VALUE"))
            continue
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        yield name.strip(), value, text.strip()


def _coerced(value: Any, text: str | None, kind: str) -> Any:
    """A value as its field's type takes it; ValueError says what it is instead."""
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
    except ValueError:
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


def _advice(kind: str) -> str:
    names = [json.loads(part) for part in kind.split(" | ") if part.startswith('"')]
    if names:
        return f"use one of: {', '.join(names)} (in quotes in YAML)"
    return (
        "leave it out; it can't be written in YAML" if "object" in kind else f"write {_kinds(kind)}"
    )


def _hint(name: str, types: Iterable[str]) -> str:
    hint = nearest(name, types)
    # The whole list is 130 names long: nothing anyone reads in an error.
    return hint if hint.startswith("did you") else "see `charter train --help` for the fields"


def _range_faults(given: Mapping[str, Any]) -> list[Fault]:
    return [
        Fault("", name, f"is {given[name]}", "give a number above 0")
        for name in ("lora_r", "lora_alpha", "limit")
        if given.get(name) is not None and given[name] <= 0
    ]
