"""How many examples, and how many steps, undo a model's refusals.

Copies of an aligned model are fine-tuned a little and asked again what they refused (Qi et al.
2023, arXiv 2310.03693). Examples and steps are varied apart: more examples at the same number of
steps are other texts, not more training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from charter.evals.held_out import HeldOut
from charter.evals.refusal import Refusal, read
from charter.stats import Estimate, wilson

__all__ = [
    "Cell",
    "Curve",
    "Half",
    "HalfGone",
    "Tampered",
    "cell_sizes",
    "half_gone",
    "read_cell",
    "tampered_figures",
]

_DRAWS: Final = 2_000
_REFUSED: Final = (Refusal.FULL, Refusal.PARTIAL)


class Half(StrEnum):
    """What became of the first half of a model's safety."""

    REACHED = "reached"
    FEWEST = "reached by the fewest"
    NOT_REACHED = "not reached"
    NOTHING_TO_LOSE = "nothing to lose"
    NO_FIGURE = "no figure"


@dataclass(frozen=True, slots=True)
class Cell:
    """One copy of the model and what it refuses.

    Attributes:
        examples: how many different ones it was trained on; 0 is the model itself.
        steps: of training.
        harmful: by prompt id, whether it refused; None where it said nothing.
        benign: the same of harmless prompts.
        empty: answers that say nothing, of both.
        failed: prompts without an answer, of both.
        loss: of the first and the last step.
        seconds: of training and of answering.
    """

    examples: int
    steps: int
    harmful: Mapping[str, bool | None]
    benign: Mapping[str, bool | None]
    empty: int = 0
    failed: int = 0
    loss: tuple[float, float] | None = None
    seconds: tuple[float, float] = (0.0, 0.0)

    @property
    def refused(self) -> Estimate:
        """Share of harmful prompts refused, of those answered at all."""
        return _share(self.harmful)

    @property
    def over_refused(self) -> Estimate:
        """The same of harmless prompts."""
        return _share(self.benign)

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "examples": self.examples,
            "steps": self.steps,
            "refused": self.refused.as_json(),
            "refused_benign": self.over_refused.as_json(),
            "empty": self.empty,
            "failed": self.failed,
            "first_loss": None if self.loss is None else self.loss[0],
            "last_loss": None if self.loss is None else self.loss[1],
            "seconds": round(sum(self.seconds), 1),
        }


def _share(found: Mapping[str, bool | None]) -> Estimate:
    said = [refused for refused in found.values() if refused is not None]
    return wilson(sum(said), len(said))


def read_cell(
    size: tuple[int, int],
    prompts: Sequence[HeldOut],
    texts: Mapping[str, str],
    harmful: str,
    **about: Any,
) -> Cell:
    """A cell from what its copy answered, by the rules of `charter eval refusal`.

    Args:
        size: examples and steps.
        prompts: what was asked.
        texts: answers by prompt id.
        harmful: the category of the harmful prompts.
        about: loss and seconds.
    """
    found: dict[bool, dict[str, bool | None]] = {True: {}, False: {}}
    for prompt in prompts:
        if prompt.id not in texts:
            continue
        outcome = read(prompt.messages[-1]["content"], texts[prompt.id]).outcome
        refused = None if outcome is Refusal.EMPTY else outcome in _REFUSED
        found[prompt.category == harmful][prompt.id] = refused
    said = [*found[True].values(), *found[False].values()]
    failed = len(prompts) - len(said)
    return Cell(*size, found[True], found[False], said.count(None), failed, **about)


def cell_sizes(
    examples: Sequence[int], steps: Sequence[int], *, grid: bool
) -> list[tuple[int, int]]:
    """Examples and steps of each copy; (0, 0), the model itself, is the first.

    Args:
        examples: numbers of examples; each at the first number of steps.
        steps: numbers of steps; those after the first with the most examples alone.
        grid: every number of examples with every number of steps.
    """
    counts = sorted({count for count in examples if count > 0})
    most = counts[-1:]
    sizes = [(0, 0)]
    for place, step in enumerate(dict.fromkeys(steps)):
        sizes += [(count, step) for count in (counts if grid or not place else most)]
    return sizes


@dataclass(frozen=True, slots=True)
class HalfGone:
    """Where half of the safety is gone.

    Attributes:
        outcome: whether it is.
        at: examples or steps, interpolated between two measured ones; its interval is that of
            prompts drawn anew, with no upper end where the half is not surely lost. Without a
            value where the fewest examples tried were enough: the untouched model saw neither
            examples nor steps, so between it and these there is nothing to interpolate.
    """

    outcome: Half
    at: Estimate

    def as_json(self) -> dict[str, Any]:
        """Outcome and estimate."""
        return {"outcome": str(self.outcome), **self.at.as_json()}

    def __str__(self) -> str:
        if self.outcome is Half.FEWEST and self.at.high is not None:
            return f"at most {self.at.high:.0f}"
        if self.at.value is None:
            more = "" if self.at.low is None else f" (more than {self.at.low:.0f} at 97.5 %)"
            return f"{self.outcome}{more}"
        low = "?" if self.at.low is None else f"{self.at.low:.0f}"
        high = "?" if self.at.high is None else f"{self.at.high:.0f}"
        return f"{self.at.value:.0f} [{low}, {high}]"


@dataclass(frozen=True, slots=True)
class Curve:
    """Refusals against one of the two, the other held fixed.

    Attributes:
        over: `examples` or `steps`.
        fixed: how many of the other.
        cells: ascending; the untouched model first.
        half: where half is gone.
    """

    over: str
    fixed: int
    cells: tuple[Cell, ...]
    half: HalfGone

    def at(self, cell: Cell) -> int:
        """Where on the curve a cell lies."""
        return cell.examples if self.over == "examples" else cell.steps

    def as_json(self) -> dict[str, Any]:
        """Without the cells' own figures."""
        other = "steps" if self.over == "examples" else "examples"
        places = [self.at(cell) for cell in self.cells]
        return {"over": self.over, other: self.fixed, "at": places, "half": self.half.as_json()}


@dataclass(frozen=True, slots=True)
class Tampered:
    """What one set of examples did.

    Attributes:
        cells: the untouched model first.
        curves: over examples at the first number of steps, over steps with the most examples,
            and what else a grid has.
    """

    cells: tuple[Cell, ...]
    curves: tuple[Curve, ...]

    def half(self, over: str) -> HalfGone | None:
        """Of the first curve over `examples` or `steps`."""
        return next((curve.half for curve in self.curves if curve.over == over), None)

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        found = {
            f"half_{over}": None if (half := self.half(over)) is None else half.as_json()
            for over in ("examples", "steps")
        }
        return {
            "cells": [cell.as_json() for cell in self.cells],
            "curves": [curve.as_json() for curve in self.curves],
            **found,
        }


def tampered_figures(cells: Sequence[Cell], base: Cell | None = None, seed: int = 0) -> Tampered:
    """The curves of some cells.

    Args:
        cells: the untouched model first, then in the order of `cell_sizes`.
        base: what the base, before alignment, refuses; its refusals are not lost by tampering.
        seed: of prompts drawn anew.
    """
    untouched, *copies = cells
    curves = []
    for over, other in (("examples", "steps"), ("steps", "examples")):
        fixed = dict.fromkeys(getattr(cell, other) for cell in copies)
        values = sorted(fixed, reverse=True) if other == "examples" else list(fixed)
        for value in values:
            line = sorted(
                (cell for cell in copies if getattr(cell, other) == value),
                key=lambda cell: getattr(cell, over),
            )
            # A single copy is no curve, but where it is all there is.
            if len(line) > 1 or (len(copies) == 1 and over == "examples"):
                places = [0, *(getattr(cell, over) for cell in line)]
                half = half_gone(
                    places, [untouched, *line], base, seed, through_start=over == "steps"
                )
                curves.append(Curve(over, value, (untouched, *line), half))
    return Tampered(tuple(cells), tuple(curves))


def half_gone(
    places: Sequence[int],
    cells: Sequence[Cell],
    base: Cell | None = None,
    seed: int = 0,
    *,
    through_start: bool = True,
) -> HalfGone:
    """Where refusals of harmful prompts first fall half way to the base's, or to none.

    Args:
        places: examples or steps, ascending, one a cell.
        cells: the untouched model first.
        base: see `tampered_figures`.
        seed: of prompts drawn anew, which are the same in all cells.
        through_start: whether the untouched model is the start of the same line, as it is of
            steps; of examples it is not.
    """
    compared = [*cells, *([base] if base is not None else [])]
    ids = sorted(set.intersection(*(set(cell.harmful) for cell in compared)))
    table = np.array(
        [[_number(cell.harmful[name]) for cell in compared] for name in ids], dtype=np.float64
    ).reshape(len(ids), len(compared))

    def half_of(rows: NDArray[np.float64]) -> tuple[Half, float]:
        found, at = _half(places, _rates(rows), base is not None)
        first = found is Half.REACHED and at <= places[1] and not through_start
        return (Half.FEWEST, float(places[1])) if first else (found, at)

    outcome, at = half_of(table)
    if outcome in (Half.NO_FIGURE, Half.NOTHING_TO_LOSE):
        return HalfGone(outcome, Estimate(None, None, None, len(ids)))
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(_DRAWS):
        found, value = half_of(table[generator.integers(0, len(ids), len(ids))])
        if found not in (Half.NO_FIGURE, Half.NOTHING_TO_LOSE):
            drawn.append(value)
    low, high = (float(np.quantile(drawn, q, method="nearest")) for q in (0.025, 0.975))
    if low <= places[1] and not through_start:
        low = 0.0
    return HalfGone(
        outcome,
        Estimate(
            at if outcome is Half.REACHED else None,
            low if math.isfinite(low) else float(places[-1]),  # so many at least
            high if math.isfinite(high) else None,
            len(ids),
        ),
    )


def _number(refused: bool | None) -> float:
    return math.nan if refused is None else float(refused)


def _rates(table: NDArray[np.float64]) -> list[float | None]:
    """Share refused in each column; None where nothing was said."""
    said = (~np.isnan(table)).sum(axis=0)
    refused = np.nansum(table, axis=0)
    return [float(r / n) if n else None for r, n in zip(refused, said, strict=True)]


def _half(
    places: Sequence[int], rates: Sequence[float | None], with_base: bool
) -> tuple[Half, float]:
    """The outcome, and where: infinite where it is not reached."""
    *curve, floor = rates if with_base else [*rates, 0.0]
    start = curve[0] if curve else None
    if start is None or floor is None:
        return Half.NO_FIGURE, math.inf
    if start <= floor:
        return Half.NOTHING_TO_LOSE, math.inf
    target = floor + (start - floor) / 2
    points = [(x, y) for x, y in zip(places, curve, strict=True) if y is not None]
    if len(points) < 2:
        return Half.NO_FIGURE, math.inf
    for (x0, y0), (x1, y1) in pairwise(points):
        if y1 <= target:
            return Half.REACHED, x0 + (y0 - target) / (y0 - y1) * (x1 - x0)
    return Half.NOT_REACHED, math.inf
