"""The trainers by name, and what they have in common."""

from __future__ import annotations

from charter.trainers.dpo import DPO
from charter.trainers.grpo import GRPO
from charter.trainers.kto import KTO
from charter.trainers.method import Method
from charter.trainers.orpo import ORPO
from charter.trainers.reward import REWARD
from charter.trainers.sft import SFT

__all__ = ["METHODS"]

# One line a trainer: the NAME of `charter train NAME` and of a recipe's `train` block.
METHODS: dict[str, Method] = {
    "sft": SFT,
    "reward": REWARD,
    "dpo": DPO,
    "kto": KTO,
    "orpo": ORPO,
    "grpo": GRPO,
}
