"""Direct preference optimisation on the AI labels (Rafailov et al. 2023, arXiv 2305.18290)."""

from __future__ import annotations

from typing import Any

from charter.trainers.method import Job, Method, without_telemetry

__all__ = ["DPO"]


def _build(job: Job) -> Any:
    from trl import DPOConfig, DPOTrainer

    # No `ref_model`: the reference is the policy at the start. TRL loads it again from the
    # same name, or takes the adapters off where there are adapters. That is why the policy is
    # given by name and never as a model changed in memory.
    return without_telemetry(DPOTrainer)(
        model=job.model,
        args=DPOConfig(**job.arguments),
        train_dataset=job.train,
        eval_dataset=job.test,
        processing_class=job.tokenizer,
        peft_config=job.peft_config,
        callbacks=list(job.callbacks),
    )


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
