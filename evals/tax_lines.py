"""The taxes as people read them."""

from __future__ import annotations

from charter.evals.tax import ModelTax
from charter.evals.tax_figures import Score, Tax

__all__ = ["HEAD", "average_row", "percent", "tax_rows"]

HEAD = ("benchmark", "base", "aligned", "tax %", "95 %", "s.e.", "p", "change", "n")


def percent(value: float | None, digits: int = 1) -> str:
    """A percentage; a figure that rounds to zero has no sign."""
    if value is None:
        return "-"
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _score(found: Score) -> str:
    if found.value is None:
        return "-"
    return f"{found.value:.1f}" if abs(found.value) > 1 else f"{found.value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"[{percent(low)}, {percent(high)}]"


def _change(found: Tax) -> str:
    if found.value is None:
        return "no figure"
    if found.beyond_noise is None:
        return "not tested"
    if not found.beyond_noise:
        return "within noise"
    return "worse" if found.value > 0 else "better"


def tax_rows(model: ModelTax) -> list[tuple[str, ...]]:
    """One row a benchmark, in the columns of `HEAD`."""
    return [
        (
            name,
            _score(each.base),
            _score(each.aligned),
            percent(each.value),
            _interval(each.low, each.high),
            percent(each.standard_error),
            "-" if each.p_holm is None else f"{each.p_holm:.2g}",
            _change(each),
            "-" if each.n is None else f"{each.n:,}",
        )
        for name, each in model.taxes.items()
    ]


def average_row(model: ModelTax) -> tuple[str, ...]:
    """The average, which says less than any of the rows above it."""
    found = model.average
    many = f"of {found.n} unlike benchmarks" if found.n > 1 else "one benchmark" * found.n
    shown = _interval(found.low, found.high)
    return ("average", "", "", percent(found.value), shown, "", "", many, "")
