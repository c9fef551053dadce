"""All that rounds need of a recipe, looked at before the first of them."""

from __future__ import annotations

from charter.errors import Fault, InputError
from charter.improve import halves
from charter.improve.tax import tax_faults
from charter.recipes import Loaded

__all__ = ["check"]


def check(loaded: Loaded) -> None:
    """See that the recipe has all that rounds need; no model is loaded.

    A benchmark that is none would else be found hours later, and the mended recipe would begin
    anew. What the trainers would refuse is said where the recipe is read.

    Raises:
        InputError: every fault at once.
        Failure: lm-eval cannot say whether it has a task.
    """
    faults: list[Fault] = []
    try:
        halves.check(loaded)
    except InputError as error:
        faults += error.faults
    faults += tax_faults(loaded)
    if faults:
        raise InputError(faults)
