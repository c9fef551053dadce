"""A reward model on the AI labels (Bai et al. 2022, arXiv 2212.08073, section 4.1)."""

from __future__ import annotations

from typing import Any

from charter.trainers.method import Job, Method, without_telemetry

__all__ = ["REWARD"]


def _build(job: Job) -> Any:
    from trl import RewardConfig, RewardTrainer

    from charter.trainers.soft_reward import SoftRewardTrainer, learn_softly

    labels = job.settings.labels
    # A margin is TRL's own: the column of that name is enough.
    soft = labels.soft == "target" or labels.weight != "none"
    trainer = without_telemetry(SoftRewardTrainer if soft else RewardTrainer)(
        args=RewardConfig(**job.arguments), **job.keywords
    )
    if soft:
        learn_softly(trainer, labels)
    return trainer


REWARD = Method(
    name="reward",
    title="training as a reward model on AI labels",
    config="preference",
    completions=("chosen", "rejected"),
    build=_build,
    test_metrics={
        "eval_loss": "test_loss",
        "eval_accuracy": "test_accuracy",
        "eval_margin": "test_margin",
    },
    overflow="drop",
    scores=True,
)
