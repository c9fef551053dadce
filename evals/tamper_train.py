"""A copy of a model, fine-tuned on a few examples and asked at once: it never reaches a disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from charter.errors import Fault, InputError
from charter.evals.tamper_data import Example, in_turn

if TYPE_CHECKING:
    from charter.models.local import LocalModel

__all__ = ["Tuning", "left_out", "tamper"]

_WINDOW: Final = 1024
_RANK: Final = 16

Steps = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Tuning:
    """How copies are trained.

    Attributes:
        lora: adapters of rank 16 on every linear layer; else all weights.
        learning_rate: constant.
        batch: examples a step.
        seed: of the order of examples and of the adapters.
    """

    lora: bool = True
    learning_rate: float = 3e-4
    batch: int = 8
    seed: int = 0

    def as_json(self) -> dict[str, Any]:
        """The values by name."""
        return {**asdict(self), "rank": _RANK if self.lora else None}


def left_out(examples: Sequence[Example], folder: Path) -> list[int]:
    """Places of the examples that are longer than the window, which TRL would cut.

    Raises:
        InputError: the folder is an adapter, which cannot be trained on as it is.
    """
    from transformers import AutoTokenizer

    from charter.trainers.truncation import count_truncated

    if (folder / "adapter_config.json").is_file():
        fix = "merge it into its base and save that (`charter train` saves merged models)"
        raise InputError(Fault(str(folder), "", "is an adapter, not a whole model", fix))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [example.as_row() for example in examples]
    window = _window(folder)
    found = count_truncated(rows, tokenizer, ("completion",), window, overflow="drop")
    return list(found.dropped_at)


def _window(folder: Path) -> int:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder).get_text_config()
    return min(_WINDOW, int(getattr(config, "max_position_embeddings", _WINDOW)))


def tamper(
    folder: Path,
    examples: Sequence[Example],
    steps: int,
    tuning: Tuning,
    *,
    keep: Path | None = None,
    progress: Steps | None = None,
) -> tuple[LocalModel, tuple[float, float]]:
    """Fine-tune a copy of a model; the folder is only read.

    Args:
        folder: a whole checkpoint.
        examples: each is trained on about as often as any other.
        steps: of `tuning.batch` examples each.
        tuning: how.
        keep: where the copy is saved; None forgets it.
        progress: called as `progress(done, steps)`.

    Returns:
        The copy, to be asked, and the loss at its first and at its last step.

    Raises:
        Failure: the loss is no number any more.
    """
    from charter.trainers.progress import ProgressCallback
    from charter.trainers.quiet import quiet

    def tell(done: int, total: int, _: Any) -> None:
        if progress is not None:
            progress(done, total)

    with quiet(), TemporaryDirectory(prefix="charter-tamper-") as scratch:
        trainer = _trainer(folder, examples, steps, tuning, scratch, ProgressCallback(tell))
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        model = _answering(trainer, folder, keep)
    return model, (losses[0], losses[-1])


def _trainer(
    folder: Path,
    examples: Sequence[Example],
    steps: int,
    tuning: Tuning,
    scratch: str,
    callback: Any,
) -> Any:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    from charter.trainers.method import without_telemetry

    shown = in_turn(examples, steps * tuning.batch, tuning.seed)
    lora = LoraConfig(
        r=_RANK, lora_alpha=2 * _RANK, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    trainer = without_telemetry(SFTTrainer)(
        model=str(folder),
        args=SFTConfig(
            output_dir=scratch,
            max_steps=steps,
            per_device_train_batch_size=tuning.batch,
            learning_rate=tuning.learning_rate,
            lr_scheduler_type="constant",
            seed=tuning.seed % 2**32,  # what numpy takes
            # The rows are in their order already.
            train_sampling_strategy="sequential",
            max_length=_window(folder),
            **_device(),
        ),
        train_dataset=Dataset.from_list([example.as_row() for example in shown]),
        processing_class=AutoTokenizer.from_pretrained(folder),
        peft_config=lora if tuning.lora else None,
        callbacks=[callback],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _device() -> dict[str, Any]:
    """What is the same for every copy, and what the machine decides."""
    import torch

    cuda = torch.cuda.is_available()
    found = {
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "gradient_checkpointing": False,
        "bf16": cuda and torch.cuda.is_bf16_supported(including_emulation=False),
    }
    if not cuda:
        found["dataloader_pin_memory"] = False
    if not torch.accelerator.is_available():
        found["use_cpu"] = True
    return found


def _answering(trainer: Any, folder: Path, keep: Path | None) -> LocalModel:
    """The trained copy as a model to ask, adapters merged."""
    import torch
    from peft import PeftModel

    from charter.models.checkpoint import identify
    from charter.models.local import LocalModel
    from charter.models.pack import pack_linears

    model, tokenizer = trainer.accelerator.unwrap_model(trainer.model), trainer.processing_class
    if isinstance(model, PeftModel):
        model = model.merge_and_unload()
    model.config.use_cache = True
    model.requires_grad_(False)
    if keep is not None:
        model.save_pretrained(keep)
        tokenizer.save_pretrained(keep)
    if torch.cuda.is_available():
        model = model.to(torch.bfloat16)
    elif model.device.type == "cpu":
        pack_linears(model)
    return LocalModel(model, tokenizer, identify(folder))
