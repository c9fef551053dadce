"""Supervised fine-tuning on the revised answers (Bai et al. 2022, arXiv 2212.08073, section 3)."""

from __future__ import annotations

from typing import Any

from charter.trainers.method import Job, Method, without_telemetry

__all__ = ["SFT"]


def _build(job: Job) -> Any:
    from trl import SFTConfig, SFTTrainer

    # Conversational `prompt` and `completion`: TRL puts the loss on the completion alone. Of rows
    # that come as tokens it cannot tell, and would measure `test` on its prompts too.
    more = {"completion_only_loss": True} if job.settings.recovery else {}
    config = SFTConfig(**{**job.arguments, **more})
    return without_telemetry(SFTTrainer)(args=config, **job.keywords)


SFT = Method(
    name="sft",
    title="supervised fine-tuning (SFT) on revised answers",
    config="sft",
    completions=("completion",),
    build=_build,
    test_metrics={"eval_loss": "test_loss", "eval_mean_token_accuracy": "test_token_accuracy"},
    measured_before=True,
)
