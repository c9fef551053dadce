"""How far DPO has taken the policy from its reference, logged beside the rewards."""

from __future__ import annotations

from typing import Any

__all__ = ["with_divergence"]

_WHICH = ("chosen", "rejected")


def with_divergence(trainer: Any) -> type:
    """The same DPO trainer that also logs `kl`, in nats an answer.

    TRL's rewards are beta times the log-ratio of policy and reference. `kl` is the mean over the
    answers of a batch, chosen and rejected alike, of log reference - log policy. Where the answers
    are the reference's own it estimates KL(reference || policy); of other answers it says how much
    likelihood they lost, and it may be below 0.
    """

    def log(self: Any, logs: dict[str, float], start_time: float | None = None) -> None:
        measured = self._metrics["train" if self.model.training else "eval"]
        if self.beta > 0:
            pairs = zip(*(measured.get(f"rewards/{which}", []) for which in _WHICH), strict=True)
            found = [-(chosen + rejected) / (2 * self.beta) for chosen, rejected in pairs]
            if found:  # nothing was measured since the last one
                measured["kl"] = found
        trainer.log(self, logs, start_time)

    return type(trainer.__name__, (trainer,), {"log": log})
