"""Supervised fine-tuning on the revised answers (Bai et al. 2022, arXiv 2212.08073, section 3)."""

from __future__ import annotations

import inspect
from typing import Any

from charter.errors import Fault, InputError
from charter.trainers.method import Job, Method, without_telemetry

__all__ = ["SFT"]

_ROUNDED = 0.01  # of the largest logit


def _build(job: Job) -> Any:
    from trl import SFTConfig, SFTTrainer

    # Conversational `prompt` and `completion`: TRL puts the loss on the completion alone. Of rows
    # that come as tokens it cannot tell, and would measure `test` on its prompts too.
    more = {"completion_only_loss": True} if job.settings.recovery else {}
    config = SFTConfig(**{**job.arguments, **more})
    trainer = without_telemetry(SFTTrainer)(args=config, **job.keywords)
    if trainer.padding_free:
        _check_apart(trainer)
    return trainer


def _check_apart(trainer: Any) -> None:
    """See that documents packed into one sequence stay apart.

    Raises:
        InputError: the model reads each as going on with the last.
    """
    model = trainer.model
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    # Without positions it can't (Bloom, Mamba); with them it may still not (OPT, Jamba).
    if "position_ids" in inspect.signature(inner.forward).parameters and _reads_apart(trainer):
        return
    what = f"{type(inner).__name__} can't keep the documents of one sequence apart"
    fix = "leave it out, or take packing_strategy=wrapped, where they see one another anyway"
    raise InputError(Fault("", "packing", what, fix))


def _reads_apart(trainer: Any) -> bool:
    """Whether a document reads the same behind two others.

    Weights that lie in shards, or elsewhere than the batches, can't be asked.
    """
    import torch

    model, device = trainer.model, trainer.accelerator.device
    if any(w.device.type != device.type or not w.numel() for w in model.parameters()):
        return True
    size = model.get_input_embeddings().weight.shape[0]
    others = [[token % size for token in range(start, start + 8)] for start in (0, 8)]
    training = model.training
    model.eval()
    read = []
    for other in others:
        batch = trainer.data_collator([{"input_ids": other}, {"input_ids": others[0]}])
        del batch["labels"]
        batch = trainer._prepare_inputs(batch)
        with torch.no_grad(), trainer.accelerator.autocast():
            read.append(model(**batch, use_cache=False).logits[:, len(other) :].float())
    model.train(training)
    # Masked tokens add nothing, to the last bit; experts may round by how many tokens they get.
    return bool((read[0] - read[1]).abs().max() <= _ROUNDED * read[0].abs().max())


SFT = Method(
    name="sft",
    title="supervised fine-tuning (SFT) on revised answers",
    config="sft",
    completions=("completion",),
    build=_build,
    test_metrics={"eval_loss": "test_loss", "eval_mean_token_accuracy": "test_token_accuracy"},
    measured_before=True,
)
