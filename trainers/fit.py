"""Rows made to fit the model's window, and counted where they don't."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from charter.errors import Fault, InputError
from charter.trainers.truncation import Truncation, count_truncated

if TYPE_CHECKING:
    from charter.trainers.method import Method
    from charter.trainers.rows import Rows
    from charter.trainers.settings import TrainSettings

__all__ = ["WINDOW", "fitted"]

WINDOW = 1024  # tokens: TRL's default, for all methods that have one


def fitted(
    settings: TrainSettings, method: Method, rows: Rows, tokenizer: Any
) -> tuple[Rows, Truncation]:
    """The rows that can be trained and measured on, and what becomes of those of `train`.

    Rows that TRL leaves out are left out here already: ORPO's trainer would keep those whose
    prompt fills the window, and a loss over no token is no number.

    Raises:
        InputError: none of `train` is left.
    """
    fields = settings.fields
    if not method.completions:
        return rows, Truncation()
    if fields.get("packing") and fields.get("packing_strategy", "bfd") != "bfd":
        return rows, Truncation()  # these strategies split long rows and lose nothing
    window = fields.get("max_length", WINDOW)
    keeps_end = fields.get("truncation_mode") == "keep_end"
    overflow = "front" if keeps_end else method.overflow

    def counted(part: Any) -> Truncation:
        return count_truncated(
            part, tokenizer, method.completions, window, overflow=overflow, wraps=method.wraps
        )

    found = counted(rows.train)
    if found.dropped == len(rows.train):
        whose = "all" if method.overflow == "drop" else "the prompts of all"
        what = f"{whose} {found.dropped} rows fill its {window} tokens"
        raise InputError(Fault("", "max_length", what, "give a larger one, or null for no limit"))
    test = rows.test
    if test is not None:
        test = _without(test, counted(test))
    return replace(rows, train=_without(rows.train, found), test=test or None), found


def _without(rows: Any, found: Truncation) -> Any:
    if not found.dropped:
        return rows
    dropped = set(found.dropped_at)
    return rows.select([place for place in range(len(rows)) if place not in dropped])
