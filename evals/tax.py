"""The alignment tax: per benchmark, on average, and what of it is more than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean
from typing import Any

from charter.evals.tax_figures import LEVEL, Score, Tax, paired_tax
from charter.stats import holm

__all__ = ["Average", "ModelTax", "TaxReport", "tax_report"]

_FAR = 10.0  # percent between the best and the worst from which an average hides a trade


@dataclass(frozen=True, slots=True)
class Average:
    """The mean of the taxes that are defined.

    Attributes:
        value: percent; None where no benchmark has a tax.
        low: lower end of the 95 % interval, from the standard errors of the taxes, as of
            independent benchmarks; None where one of them has none.
        high: upper end.
        n: benchmarks in it.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def as_json(self) -> dict[str, Any]:
        """`{"value", "low", "high", "n"}`; n counts benchmarks."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


@dataclass(frozen=True, slots=True)
class ModelTax:
    """The taxes of one aligned model.

    Attributes:
        name: of the model.
        taxes: by benchmark, in the order asked.
        average: over them.
    """

    name: str
    taxes: Mapping[str, Tax]
    average: Average

    def as_json(self) -> dict[str, Any]:
        """`tax` by benchmark, and `average`."""
        return {
            "tax": {name: each.as_json() for name, each in self.taxes.items()},
            "average": self.average.as_json(),
        }


@dataclass(frozen=True, slots=True)
class TaxReport:
    """The taxes of all models against one base.

    Attributes:
        base: its name.
        models: in the order given.
        notes: what a reader must know: missing scores, trades that an average hides.
    """

    base: str
    models: tuple[ModelTax, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """`tax` and `average` of the first model, and `models` with those of all."""
        return {
            "base": self.base,
            "model": self.models[0].name,
            **self.models[0].as_json(),
            "models": {each.name: each.as_json() for each in self.models},
            "correction": "Holm",
            "notes": list(self.notes),
        }


def tax_report(
    base: tuple[str, Mapping[str, Score]],
    models: Sequence[tuple[str, Mapping[str, Score]]],
    *,
    notes: Sequence[str] = (),
    seed: int = 0,
) -> TaxReport:
    """The taxes of models on every benchmark that any of them, or the base, has.

    Args:
        base: name and scores by benchmark.
        models: the same of each aligned model.
        notes: found on the way to the scores; they stand first.
        seed: of resampling.
    """
    missing = Score(None, reason="not in what was given")
    names = list(dict.fromkeys((*base[1], *(name for _, each in models for name in each))))
    taxes = [
        {
            name: paired_tax(
                base[1].get(name, missing), scores.get(name, missing), name=name, seed=seed
            )
            for name in names
        }
        for _, scores in models
    ]
    tested = [
        (index, name, each.p)
        for index, by_name in enumerate(taxes)
        for name, each in by_name.items()
        if each.p is not None
    ]
    for (index, name, _), p in zip(tested, holm([p for _, _, p in tested]), strict=True):
        taxes[index][name] = replace(taxes[index][name], p_holm=p)
    found = tuple(
        ModelTax(name, by_name, _average(by_name.values()))
        for (name, _), by_name in zip(models, taxes, strict=True)
    )
    return TaxReport(base[0], found, (*notes, *(note for each in found for note in _notes(each))))


def _average(taxes: Any) -> Average:
    defined = [each for each in taxes if each.value is not None]
    if not defined:
        return Average(None, None, None, 0)
    value = fmean(each.value for each in defined)
    errors = [each.standard_error for each in defined]
    if any(error is None for error in errors):
        return Average(value, None, None, len(defined))
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * math.hypot(*errors) / len(errors)
    return Average(value, value - half, value + half, len(defined))


def _notes(model: ModelTax) -> list[str]:
    notes = []
    for name, each in model.taxes.items():
        if each.value is None:
            notes.append(f"{model.name}, {name}: no tax; {each.reason}")
        elif each.unmatched:
            notes.append(
                f"{model.name}, {name}: {each.unmatched:,} items answered by one model only are "
                "left out"
            )
    values = {name: each.value for name, each in model.taxes.items() if each.value is not None}
    if len(values) > 1:
        # The most lost and the most gained.
        worst, best = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
        if values[best] < 0 < values[worst] or values[worst] - values[best] > _FAR:
            notes.append(
                f"{model.name}: the average hides a trade: {worst} {values[worst]:+.1f} % against "
                f"{best} {values[best]:+.1f} %. Benchmarks measure unlike things; read them one "
                "by one"
            )
    if 0 < len(values) < len(model.taxes):
        notes.append(
            f"{model.name}: the average is over {len(values)} of {len(model.taxes)} benchmarks"
        )
    return notes
