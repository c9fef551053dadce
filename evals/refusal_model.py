"""From an answer's signs to its class: two lines of weights, in a file that a command writes.

The first weighs compliance against refusal, the second a full refusal against a partial one. They
are linear (logistic regression), so that every decision is a sum that can be read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import mul
from pathlib import Path
from typing import Any, Final

from charter.documents import read_text
from charter.errors import Fault, InputError
from charter.evals.refusal_features import FEATURES

__all__ = ["SCHEME", "RefusalModel", "load_model", "shipped_model"]

SCHEME: Final = 1  # of the features; weights of another scheme are refused


@dataclass(frozen=True, slots=True)
class RefusalModel:
    """The weights.

    Attributes:
        refuses: by `FEATURES`; a sum above 0 is a refusal.
        partial: by `FEATURES`; of a refusal, a sum above 0 is a partial one.
        fitted_on: what each was fitted on, with counts, as the fitting command wrote it.
    """

    refuses: tuple[float, ...]
    partial: tuple[float, ...]
    fitted_on: Mapping[str, Any]

    def p_refused(self, vector: Sequence[float]) -> float:
        """How likely the answer refuses, in full or in part."""
        return _share(self.refuses, vector)

    def p_partial(self, vector: Sequence[float]) -> float:
        """How likely a refusal is a partial one."""
        return _share(self.partial, vector)

    def as_json(self) -> dict[str, Any]:
        """As its file has it."""
        return {
            "scheme": SCHEME,
            "fitted_on": dict(self.fitted_on),
            "refuses": dict(zip(FEATURES, self.refuses, strict=True)),
            "partial": dict(zip(FEATURES, self.partial, strict=True)),
        }


def _share(weights: Sequence[float], vector: Sequence[float]) -> float:
    total = sum(map(mul, weights, vector))
    return 1 / (1 + math.exp(-max(min(total, 50.0), -50.0)))


def load_model(path: Path) -> RefusalModel:
    """Weights from a file that `charter eval refusal --fit` wrote.

    Raises:
        InputError: it is no such file, or one of other features.
    """
    try:
        found = json.loads(read_text(path))
        if found["scheme"] != SCHEME:
            what = f"has features of scheme {found['scheme']}, not {SCHEME}"
            raise InputError(Fault(str(path), "scheme", what, "fit it again with --fit"))
        lines = [
            tuple(float(found[name][feature]) for feature in FEATURES)
            for name in ("refuses", "partial")
        ]
        fitted_on = dict(found["fitted_on"])
    except (ValueError, KeyError, TypeError):
        fix = "name a file that `charter eval refusal --fit` wrote"
        raise InputError(Fault(str(path), "", "has no weights of refusals", fix)) from None
    if not all(math.isfinite(weight) for line in lines for weight in line):
        raise InputError(Fault(str(path), "", "has weights that are no numbers", "fit it again"))
    return RefusalModel(lines[0], lines[1], fitted_on)


@cache
def shipped_model() -> RefusalModel:
    """The weights that come with the project."""
    return load_model(Path(__file__).parent / "refusal_weights.json")
