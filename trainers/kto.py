"""Kahneman-Tversky optimisation on single answers (Ethayarajh et al. 2024, arXiv 2402.01306)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from charter.trainers.method import Job, Method, without_telemetry

__all__ = ["KTO"]


def _build(job: Job) -> Any:
    from trl import KTOConfig, KTOTrainer
    from trl.data_utils import unpair_preference_dataset

    # Each chosen answer is a good one, each rejected one a bad one. TRL would take pairs apart
    # itself, but then put all good ones first, and this trainer reads rows in their order.
    args = KTOConfig(**job.arguments)
    single = unpair_preference_dataset(job.train).shuffle(seed=args.seed)
    job = replace(job, train=single)
    return without_telemetry(KTOTrainer)(args=args, **job.keywords)


KTO = Method(
    name="kto",
    title="Kahneman-Tversky optimisation (KTO) on AI labels",
    config="preference",
    completions=("chosen", "rejected"),
    build=_build,
)
