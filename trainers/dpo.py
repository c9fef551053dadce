"""Direct preference optimisation on the AI labels (Rafailov et al. 2023, arXiv 2305.18290)."""

from __future__ import annotations

from typing import Any

from charter.trainers.method import Job, Method, without_telemetry

__all__ = ["DPO"]


def _build(job: Job) -> Any:
    from trl import DPOConfig, DPOTrainer

    from charter.trainers.divergence import with_divergence
    from charter.trainers.soft_dpo import SoftDPOTrainer, learn_softly

    labels = job.settings.labels
    soft = labels.soft != "none" or labels.weight != "none"
    # No `ref_model`: the reference is the policy at the start. TRL loads it again from the
    # same name, or takes the adapters off where there are adapters. That is why the policy is
    # given by name and never as a model changed in memory.
    kind = with_divergence(without_telemetry(SoftDPOTrainer if soft else DPOTrainer))
    trainer = kind(args=DPOConfig(**job.arguments), **job.keywords)
    if soft:
        learn_softly(trainer, labels)
    return trainer


DPO = Method(
    name="dpo",
    title="direct preference optimisation (DPO) on AI labels",
    config="preference",
    completions=("chosen", "rejected"),
    build=_build,
    test_metrics={
        "eval_loss": "test_loss",
        "eval_rewards/accuracies": "test_accuracy",
        "eval_rewards/margins": "test_margin",
    },
)
