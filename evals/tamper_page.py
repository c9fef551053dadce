"""How a model's refusals came undone, as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from charter.evals.judge_figures import rounded
from charter.evals.tamper import Cell, Curve, Tampered
from charter.html import figures, page, section, table, text
from charter.plots import Series, estimates, grid, lines

__all__ = ["tamper_page"]


def tamper_page(
    model: str, found: Mapping[str, Tampered], bases: Mapping[str, Cell], notes: Sequence[str]
) -> str:
    """The page of `charter eval tamper`.

    Args:
        model: its name.
        found: figures by set of examples.
        bases: what the base refuses, by set of examples; where it was asked.
        notes: what a reader should know.
    """
    parts = ["".join(f'<p class="note">{text(note)}</p>\n' for note in notes)]
    parts += [section(name, _data(each, bases.get(name))) for name, each in found.items()]
    return page(f"Refusals of {model} after tampering", parts)


def _data(found: Tampered, base: Cell | None) -> list[str]:
    halves = [
        (f"{over} for half", str(half))
        for over in ("examples", "steps")
        if (half := found.half(over)) is not None
    ]
    before = found.cells[0]
    shown = [("refused before", rounded(before.refused)), *halves]
    if base is not None:
        shown.append(("refused by the base", rounded(base.refused)))
    plots = [part for curve in found.curves for part in _curve(curve)]
    rows = [
        (
            cell.examples,
            cell.steps,
            rounded(cell.refused),
            cell.refused.n or 0,
            rounded(cell.over_refused),
            cell.over_refused.n or 0,
            cell.empty,
            "" if cell.loss is None else f"{cell.loss[0]:.2f} to {cell.loss[1]:.2f}",
        )
        for cell in found.cells
    ]
    head = (
        *("examples", "steps", "harmful refused [95 %]", "n", "benign refused [95 %]", "n"),
        *("says nothing", "loss"),
    )
    return [figures(shown), grid(plots), table(head, rows)]


def _curve(curve: Curve) -> list[str]:
    other = "steps" if curve.over == "examples" else "examples"
    title = f"Harmful prompts refused by {curve.over} ({curve.fixed} {other})"
    told = [(curve.at(cell), cell.refused) for cell in curve.cells]
    series = [
        Series("refused", [(at, each.value) for at, each in told if each.value is not None]),
        Series("95 % from", [(at, each.low) for at, each in told if each.low is not None]),
        Series("to", [(at, each.high) for at, each in told if each.high is not None]),
    ]
    rows = [(f"{at} {curve.over}", each) for at, each in told]
    return [lines(title, series, curve.over), estimates(title, rows)]
