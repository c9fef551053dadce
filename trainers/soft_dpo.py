"""TRL's DPO trainer with a label smoothing and a weight for each row.

TRL 1.16 has one loss of this form, `robust`, with one smoothing s for all rows:

    (-(1 - s) logsig(d) + s logsig(-d)) / (1 - 2s)

It is computed with whatever `label_smoothing` is, so with a value a row it is the loss of Chowdhury
et al. with the row's own e = s. The same form holds the conservative loss of Mitchell: put
s = -e / (1 - 2e), then (1 - s) / (1 - 2s) = 1 - e and -s / (1 - 2s) = e. So all else of TRL's
computation (references, divergences, figures, further losses) stays TRL's.
"""

from __future__ import annotations

from typing import Any

import torch
from trl import DPOTrainer

from charter.trainers.carry import CARRIED, Carrying, taken_out
from charter.trainers.labels import LEAST, Labels

__all__ = ["RowSmoothing", "SoftDPOTrainer", "learn_softly"]


class RowSmoothing:
    """Stands for `label_smoothing` in TRL's robust loss, which uses it in these three places only.

    Args:
        smoothing: s of each row.
        weight: of each row's loss: it divides the denominator.
    """

    def __init__(self, smoothing: torch.Tensor, weight: torch.Tensor) -> None:
        self.smoothing = smoothing
        self.weight = weight

    def __rsub__(self, one: int) -> torch.Tensor:
        """`1 - s`, the share of the label as it stands."""
        return one - self.smoothing

    def __neg__(self) -> torch.Tensor:
        """`-s`, the share of the flipped label."""
        return -self.smoothing

    def __rmul__(self, two: int) -> torch.Tensor:
        """`2s`, of which TRL makes the denominator `1 - 2s`: with it that is (1 - 2s) / weight."""
        return 1 - (1 - two * self.smoothing) / self.weight


def smoothing_of(soft: str, p_chosen: torch.Tensor) -> torch.Tensor:
    """S of each row for that form of the loss; 0 is TRL's default loss.

    Args:
        soft: as `Labels.soft`.
        p_chosen: probabilities in (0.5, 1], one a row.
    """
    if soft == "none":
        return torch.zeros_like(p_chosen)
    error = 1 - p_chosen.double().clamp(min=LEAST[soft])
    found = error if soft == "robust" else -error / (1 - 2 * error)
    return found.to(p_chosen.dtype)


class SoftDPOTrainer(DPOTrainer):  # type: ignore[misc]  # TRL is untyped
    """DPO whose rows have labels of their own; `learn_softly` says which."""

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        missing = [name for name in CARRIED if name not in self._signature_columns]
        self._signature_columns += missing

    def compute_loss(self, model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
        """TRL's loss, with the smoothing of this batch's rows."""
        inputs, p_chosen, weight = taken_out(inputs)
        self.label_smoothing = RowSmoothing(smoothing_of(self.soft, p_chosen), weight)
        return super().compute_loss(model, inputs, *rest, **more)

    def compute_ref_log_probs(self, model: Any, inputs: Any) -> Any:
        """TRL's, of a batch that may hold more than a model takes."""
        plain = {name: value for name, value in inputs.items() if name not in CARRIED}
        return super().compute_ref_log_probs(model, plain)


def learn_softly(trainer: SoftDPOTrainer, labels: Labels) -> None:
    """Make the trainer's `sigmoid` loss that of `labels`; losses beside it stay as they are."""
    trainer.soft = labels.soft
    trainer.loss_types = ["robust" if name == "sigmoid" else name for name in trainer.loss_types]
    trainer.data_collator = Carrying(trainer.data_collator)
