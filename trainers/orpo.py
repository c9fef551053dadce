"""Odds-ratio preference optimisation (Hong et al. 2024, arXiv 2403.07691): no reference model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from charter.trainers.method import Job, Method, without_telemetry
from charter.trainers.quiet import experimental

__all__ = ["ORPO"]

_NO_LIMIT = 1 << 20  # tokens; for None this trainer would take 512


def _build(job: Job) -> Any:
    with experimental():
        from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    # The others' trainers do this themselves.
    if job.tokenizer.pad_token is None:
        job.tokenizer.pad_token = job.tokenizer.eos_token
    arguments = dict(job.arguments)
    if "max_length" in arguments and arguments["max_length"] is None:
        arguments["max_length"] = _NO_LIMIT
    return without_telemetry(ORPOTrainer)(args=ORPOConfig(**arguments), **job.keywords)


def _defaults(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    # This trainer alone loads weights in the precision of the checkpoint and, where it is given
    # any keyword, spreads the model over devices; its collator needs the columns kept.
    return {
        "model_init_kwargs": {"dtype": "float32", "device_map": None},
        "remove_unused_columns": False,
    }


ORPO = Method(
    name="orpo",
    title="odds-ratio preference optimisation (ORPO) on AI labels",
    config="preference",
    completions=("chosen", "rejected"),
    build=_build,
    test_metrics={
        "eval_loss": "test_loss",
        "eval_rewards/accuracies": "test_accuracy",
        "eval_rewards/margins": "test_margin",
    },
    defaults=_defaults,
    wraps=True,
)
