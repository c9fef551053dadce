"""Columns that a TRL collator would drop, carried to the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from charter.trainers.labels import P_CHOSEN, WEIGHT

__all__ = ["CARRIED", "Carrying", "taken_out"]

CARRIED = (P_CHOSEN, WEIGHT)


@dataclass(frozen=True)
class Carrying:
    """A collator that adds `p_chosen` and weight of each row to what another one makes.

    Attributes:
        inner: TRL's own collator.
    """

    inner: Any

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The batch with one float32 a row in each carried column; 1 where a row has none."""
        batch: dict[str, Any] = self.inner(examples)
        for name in CARRIED:
            batch[name] = torch.tensor([float(row.get(name, 1.0)) for row in examples])
        return batch


def taken_out(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], torch.Tensor, torch.Tensor]:
    """The batch without what was carried, which no model takes; and p_chosen and the weights."""
    rest = {name: value for name, value in inputs.items() if name not in CARRIED}
    return rest, inputs[P_CHOSEN], inputs[WEIGHT]
