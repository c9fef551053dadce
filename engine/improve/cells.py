"""Figures of a round as they stand in a cell of a table."""

from __future__ import annotations

from charter.improve.figures import RoundFigures
from charter.stats import Estimate

__all__ = ["shown", "shown_tax"]


def shown(found: Estimate) -> str:
    """An estimate in a cell: `0.54 [0.41, 0.66]`."""
    if found.value is None or found.low is None or found.high is None:
        return "no figure"
    if found.n == 0:
        return f"{found.value:.2f} by definition"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def shown_tax(each: RoundFigures) -> str:
    """The average tax in percent; of the base nothing, and where it was not asked for."""
    found = each.tax
    if found.value is None:
        return "" if each.number == 0 or not each.taxes else "no figure"
    if found.low is None or found.high is None:
        return f"{found.value:+.1f}"
    return f"{found.value:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"
