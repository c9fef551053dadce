"""Finished results on disk: one file a model and benchmark, found again by what made it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from charter.evals.tax_figures import Leaf, Score
from charter.rows import digest
from charter.run.folder import write_whole

__all__ = ["SCHEMA_VERSION", "load_score", "result_key", "save_score"]

SCHEMA_VERSION: Final = 1


def result_key(
    *,
    model: str,
    task: Mapping[str, Any],
    limit: int | None,
    chat_template: bool,
    versions: Mapping[str, str],
) -> str:
    """Names a result (scheme 1): 24 hex digits.

    Covers the model's identity; of each task in the benchmark its configuration, with the source
    of its functions, its number of shots and the items asked; the headline metric; the limit;
    whether the chat template is used; the versions of lm-eval, transformers and torch. Leaves
    out the model's name and place, batch size, device and threads.
    """
    return digest(SCHEMA_VERSION, model, dict(task), limit, chat_template, dict(versions))[:24]


def save_score(folder: Path, key: str, score: Score, about: Mapping[str, Any]) -> None:
    """Keep a result; a reader sees all of it or nothing.

    Raises:
        OSError: it cannot be written.
    """
    leaves = score.leaves
    value = {
        "schema_version": SCHEMA_VERSION,
        "about": dict(about),
        "value": score.value if score.value is None or math.isfinite(score.value) else None,
        "standard_error": score.standard_error,
        "n": score.n,
        "reason": score.reason,
        "higher_is_better": score.higher_is_better,
        "leaves": None
        if leaves is None
        else {
            name: {"weight": leaf.weight, "values": dict(leaf.values)}
            for name, leaf in leaves.items()
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{key}.json", json.dumps(value, allow_nan=False) + "\n")


def load_score(folder: Path, key: str) -> Score | None:
    """A kept result, or None where there is none that can be read."""
    try:
        value = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        if value["schema_version"] != SCHEMA_VERSION:
            return None
        leaves = value["leaves"]
        return Score(
            value["value"],
            value["standard_error"],
            value["n"],
            None
            if leaves is None
            else {name: Leaf(each["values"], each["weight"]) for name, each in leaves.items()},
            value["reason"],
            value["higher_is_better"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not there, or not whole: it is made again
