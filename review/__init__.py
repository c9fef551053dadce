"""The review: people check the AI's labels, and the dataset says how that went."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charter.review.sample import Candidate, Drawn, candidates, draw_rows

# Name -> module. Imported when asked for: most commands need a few of them only.
_HOMES = {"Candidate": "sample", "Drawn": "sample", "candidates": "sample", "draw_rows": "sample"}

__all__ = ["Candidate", "Drawn", "candidates", "draw_rows"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
