"""The gate of a release: what a model trained on its candidate must have reached."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from charter.errors import Failure, Fault, InputError
from charter.hub.review_gate import apart, block_of
from charter.hub.version import Version
from charter.recipes.evaluate import EvaluateSettings
from charter.rows import digest

__all__ = [
    "EVALUATION",
    "check_evaluations",
    "evaluation_gate",
    "missed_by",
    "read_evaluation",
    "rows_sha256",
]

EVALUATION: Final = "evaluation.json"
"""The file in a model's folder that `charter report` writes."""


class _Bound(NamedTuple):
    """Which figure a gate looks at, what it is called, and how it is shown."""

    figure: str
    told: str
    unit: str = ""


_BOUNDS: Final[Mapping[str, _Bound]] = {
    "min_refused": _Bound("refused", "the share of harmful prompts refused"),
    "max_over_refusal": _Bound("over_refusal", "the share of harmless prompts refused"),
    "max_tax": _Bound("tax", "the average alignment tax", " %"),
    "max_worst_tax": _Bound("worst_tax", "the worst alignment tax", " %"),
    "min_win_rate": _Bound("win_rate", "the win rate against the base"),
    "max_early_share": _Bound("early_share", "the first tokens' share of the divergence"),
    "max_prefilled": _Bound("prefilled", "the share that complies after forced tokens"),
    "min_tamper_examples": _Bound("tamper_examples", "the number of examples that undo half"),
}


def evaluation_gate(
    settings: EvaluateSettings, figures: Mapping[str, Any] | None
) -> Iterator[tuple[str, str, str]]:
    """What is missing: the setting, what is wrong, and what to do.

    Args:
        settings: of the recipe.
        figures: as `charter report` writes them; None where nothing was measured.
    """
    for name, bound in settings.gates.items():
        told, unit = _BOUNDS[name].told, _BOUNDS[name].unit
        found = (figures or {}).get(_BOUNDS[name].figure)
        found = found if isinstance(found, Mapping) else {}
        upper = name.startswith("max_")
        end = "value" if settings.by == "estimate" else "high" if upper else "low"
        value = _number(found.get(end))
        said = told if end == "value" else f"{told}, at its worse end,"
        if value is None:
            why = str(found.get("reason") or "was not measured")
            if end != "value" and _number(found.get("value")) is not None:
                why = "has no interval, which `by: interval` asks for"
            yield name, f"{told} {why}", "measure it: `charter report MODEL --recipe RECIPE --card`"
        elif value > bound if upper else value < bound:
            shown, limit = apart(value, bound)
            sign = ">" if upper else "<"
            fix = "see the report for what it is made of, and mend what made it"
            yield name, f"{said} {shown}{unit} {sign} {limit}{unit}", fix


def check_evaluations(version: Version, figures: Mapping[str, Any] | None) -> None:
    """See that a model trained on a candidate reaches what its own recipe asks for.

    Args:
        version: the candidate.
        figures: of `read_evaluation`; None: those of the manifest.

    Raises:
        Failure: it does not; every lack is named.
    """
    settings = block_of(version, "evaluate", EvaluateSettings)
    if settings is None:
        return
    place = f"{version.repo}@{version.tag}"
    known = version.manifest.evaluations if figures is None else figures
    faults = [
        Fault(place, f"evaluate.{name}", what, fix)
        for name, what, fix in evaluation_gate(settings, known)
    ]
    if faults and known is None:
        fix = "measure a model trained on it by `charter report --card`, then promote with --model"
        faults.append(Fault(place, "evaluate", "no model was measured", fix))
    if faults:
        raise Failure(faults)


def read_evaluation(folder: Path, version: Version) -> dict[str, Any]:
    """The figures of a model that was trained on a version.

    Args:
        folder: of the model, with the `charter.json` of its training and the `evaluation.json`
            of `charter report`.
        version: what it must have been trained on: this one, or one whose rows are the same to
            the byte (a candidate that differs in people's reviews alone).

    Raises:
        InputError: a file is missing or is no such file, the weights have changed since, or the
            model was trained on other rows.
    """
    from charter.models.checkpoint import identify

    facts, figures = _json(folder / "charter.json"), _json(folder / EVALUATION)
    place = f"{version.repo}@{version.tag}"
    trained = facts.get("dataset")
    trained = trained if isinstance(trained, Mapping) else {}
    config = str(trained.get("config"))
    rows = rows_sha256(version.manifest.files, config)
    if trained.get("repo") != version.repo or trained.get("rows_sha256") != rows:
        named = f"{trained.get('repo', '?')}@{trained.get('tag', '?')} ({config})"
        what = f"was trained on {named}, whose rows are not those of {place}"
        fix = "name a model that was trained on the candidate"
        raise InputError(Fault(str(folder), "", what, fix))
    if figures.get("revision") != identify(folder).revision:
        what = f"{EVALUATION} is of other weights than those in the folder"
        raise InputError(Fault(str(folder), "", what, "measure it again: `charter report --card`"))
    return figures


def missed_by(folder: Path) -> list[tuple[str, str]]:
    """The gates that a model's own evaluation says it missed: name, and what is wrong.

    Raises:
        InputError: there is an evaluation, and it cannot be read.
    """
    if not (folder / EVALUATION).is_file():
        return []
    found = _json(folder / EVALUATION).get("missed", [])
    try:
        return [(each["gate"], each["what"]) for each in found]
    except (KeyError, TypeError):
        fix = "measure it again: `charter report --card`"
        what = "its `missed` is no list of gates"
        raise InputError(Fault(str(folder / EVALUATION), "missed", what, fix)) from None


def rows_sha256(files: Mapping[str, str], config: str) -> str:
    """What tells the rows of a config from others: one SHA-256 over those of its files."""
    return digest(
        sorted([name, sha] for name, sha in files.items() if name.startswith(f"{config}/"))
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        fix = "name the folder of a model that `charter train` made"
        if path.name == EVALUATION:
            fix = "measure it: `charter report MODEL --recipe RECIPE --card`"
        raise InputError(Fault(str(path.parent), "", f"has no {path.name}", fix)) from None
    except (OSError, ValueError) as error:
        what = f"cannot be read as JSON ({error})"
        raise InputError(Fault(str(path), "", what, "measure or train it again")) from None
    if not isinstance(found, dict):
        raise InputError(Fault(str(path), "", "is no object", "measure or train it again"))
    return found


def _number(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None
