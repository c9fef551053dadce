"""TRL's reward trainer with a probability as each row's target, and a weight."""

from __future__ import annotations

from typing import Any

from torch.nn.functional import logsigmoid
from trl import RewardTrainer

from charter.trainers.carry import CARRIED, Carrying, taken_out
from charter.trainers.labels import Labels

__all__ = ["SoftRewardTrainer", "learn_softly"]


class SoftRewardTrainer(RewardTrainer):  # type: ignore[misc]  # TRL is untyped
    """The cross-entropy of p_chosen and sigmoid(d), d being chosen minus rejected reward.

    -p logsig(d) - (1 - p) logsig(-d) is TRL's -logsig(d) plus (1 - p) d, since
    logsig(-d) = logsig(d) - d. So the stock loss is computed as it is, and what is added is
    exactly 0 for a certain label.
    """

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        missing = [name for name in CARRIED if name not in self._signature_columns]
        self._signature_columns += missing

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, **more: Any
    ) -> Any:
        """TRL's loss and what soft targets and weights add to it."""
        inputs, p_chosen, weight = taken_out(inputs)
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **more)
        chosen, rejected = outputs.logits.squeeze(-1).chunk(2)
        d = chosen - rejected
        error = 1 - p_chosen if self.soft == "target" else 0 * p_chosen
        margin = inputs.get("margin", 0.0)
        of_row = error * d - logsigmoid(d - margin)
        loss = loss + (error * d).mean() + ((weight - 1) * of_row).mean()
        return (loss, outputs) if return_outputs else loss


def learn_softly(trainer: SoftRewardTrainer, labels: Labels) -> None:
    """Make the trainer's loss that of `labels`."""
    trainer.soft = labels.soft
    trainer.data_collator = Carrying(trainer.data_collator)
