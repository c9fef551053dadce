"""Supervised fine-tuning on the revised answers (Bai et al. 2022, arXiv 2212.08073, section 3)."""

from __future__ import annotations

import inspect
from typing import Any

from charter.errors import Fault, InputError
from charter.trainers.method import Job, Method, without_telemetry

__all__ = ["SFT"]


def _build(job: Job) -> Any:
    from trl import SFTConfig, SFTTrainer

    # Conversational `prompt` and `completion`: TRL puts the loss on the completion alone. Of rows
    # that come as tokens it cannot tell, and would measure `test` on its prompts too.
    more = {"completion_only_loss": True} if job.settings.recovery else {}
    config = SFTConfig(**{**job.arguments, **more})
    trainer = without_telemetry(SFTTrainer)(args=config, **job.keywords)
    if trainer.padding_free:
        _check_apart(trainer.model)
    return trainer


def _check_apart(model: Any) -> None:
    """See that documents packed into one sequence stay apart: a model knows them by positions.

    Raises:
        InputError: it takes none (Bloom, Mamba), and each would be read as going on with the last.
    """
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    if "position_ids" in inspect.signature(inner.forward).parameters:
        return
    what = f"{type(inner).__name__} can't keep the documents of one sequence apart"
    fix = "leave it out, or take packing_strategy=wrapped, where they see one another anyway"
    raise InputError(Fault("", "packing", what, fix))


SFT = Method(
    name="sft",
    title="supervised fine-tuning (SFT) on revised answers",
    config="sft",
    completions=("completion",),
    build=_build,
    test_metrics={"eval_loss": "test_loss", "eval_mean_token_accuracy": "test_token_accuracy"},
    measured_before=True,
)
