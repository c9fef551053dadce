"""Train a model from a pinned version: whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charter.errors import Failure, Fault, InputError, Interrupted
from charter.models.threads import wait_asleep
from charter.trainers import card
from charter.trainers.base import Base, load_tokenizer, resolve_base
from charter.trainers.method import Job, Method
from charter.trainers.registry import METHODS
from charter.trainers.rows import Rows, read_rows
from charter.trainers.settings import TrainSettings
from charter.trainers.truncation import Truncation, count_truncated
from charter.trainers.work import WorkFolder

if TYPE_CHECKING:
    from charter.trainers.progress import Progress, ProgressCallback

__all__ = ["Trained", "train"]


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that stands in its folder, and how it got there.

    Attributes:
        model: the folder: config, safetensors, tokenizer with chat template, card, lineage.
        metrics: `steps`, `rows`, `truncated_rows`, `dropped_rows`, `seconds`; of the loss
            `first_loss`, `last_loss`, `mean_loss`, and from two epochs on, over the same rows
            and so comparable, `first_epoch_loss` and `last_epoch_loss`; with a `test` split
            `test_rows`, `test_loss` (of SFT `test_loss_before` too) and the method's own
            (`test_accuracy` and `test_margin` of DPO are TRL's means over batches).
        history: what was logged while training, by `step`.
        notes: what TRL warned of.
    """

    model: Path
    metrics: dict[str, float]
    history: list[dict[str, float]]
    notes: tuple[str, ...] = field(default=())


def train(settings: TrainSettings, progress: Progress | None = None) -> Trained:
    """Train as the settings say and save a plain transformers checkpoint at `settings.out`.

    Nothing is seen at `out` before everything is there. An interrupted training starts again
    with the same command, from its last checkpoint where `save_strategy` left one.

    Args:
        settings: what to train on what.
        progress: called as `progress(done_steps, total_steps, logs)`.

    Raises:
        InputError: wrong model, empty or missing split, rows of `test` in `train`, a folder
            that is taken, a value TRL refuses.
        Failure: the loss is not a number any more, or memory ran out.
        Interrupted: Ctrl-C.
    """
    wait_asleep()
    from charter.trainers.quiet import quiet

    method = METHODS[settings.method]
    with quiet() as notes:
        rows = read_rows(settings, method)
        base = resolve_base(settings)
        with WorkFolder(settings.out, card.identity(settings, base)) as work:
            started = time.monotonic()
            arguments = {
                **_defaults(settings),
                **settings.fields,
                "output_dir": str(work.checkpoints),
            }
            metrics, history = _run(settings, method, rows, base, arguments, work, progress)
            metrics["seconds"] = round(time.monotonic() - started, 2)
            card.write(work.model, settings, method, base, rows, arguments, metrics, notes)
            work.publish()
    return Trained(settings.out, metrics, history, tuple(notes))


def _run(
    settings: TrainSettings,
    method: Method,
    rows: Rows,
    base: Base,
    arguments: Mapping[str, Any],
    work: WorkFolder,
    progress: Progress | None,
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Train and save into the work folder; gives metrics and history."""
    from charter.trainers.progress import ProgressCallback

    callback = ProgressCallback(progress)
    with _mended(callback, work):
        tokenizer = load_tokenizer(base, settings.fields)
        truncation = _truncation(settings, method, rows, tokenizer)
        trainer = _build(settings, method, rows, base, tokenizer, arguments, callback)
        before: dict[str, float] = {}
        if rows.test is not None and method.measured_before:
            before["test_loss_before"] = trainer.evaluate()["eval_loss"]
        trainer.train(resume_from_checkpoint=work.checkpoint())
        metrics = {**_metrics(trainer, method, rows, truncation), **before}
        _save(trainer, tokenizer, work.model)
    return metrics, _history(trainer)


def _defaults(settings: TrainSettings) -> dict[str, Any]:
    """What Charter sets where the settings say nothing.

    TRL's own defaults for bf16 and gradient checkpointing hold on CPUs as well, where the
    first is slower and the second saves memory that isn't short.
    """
    import torch

    seed = settings.dataset.manifest.seeds.get("recipe", 0)
    defaults: dict[str, Any] = {
        "seed": seed,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "save_total_limit": 1,
        # A share of all steps: each step of a short run, fifty points of a long one.
        "logging_steps": 0.02,
        # Otherwise a loss that is no number is logged as the mean of the others.
        "logging_nan_inf_filter": False,
    }
    if torch.cuda.is_available():
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        # With fp16 on, TRL itself leaves bf16 off.
        return defaults if settings.fields.get("fp16") else {**defaults, "bf16": bf16}
    defaults |= {"bf16": False, "gradient_checkpointing": False, "dataloader_pin_memory": False}
    if not torch.accelerator.is_available():
        defaults["use_cpu"] = True
    return defaults


def _truncation(settings: TrainSettings, method: Method, rows: Rows, tokenizer: Any) -> Truncation:
    """Rows that are cut or left out; an InputError when none would be left."""
    window = settings.fields.get("max_length", 1024)  # TRL's default, for both methods
    if settings.fields.get("packing") and settings.fields.get("packing_strategy", "bfd") != "bfd":
        return Truncation()  # these strategies split long rows and lose nothing
    truncation = count_truncated(rows.train, tokenizer, method.completions, window)
    if truncation.dropped == len(rows.train):
        what = f"the prompts of all {truncation.dropped} rows fill its {window} tokens"
        raise InputError(Fault("", "max_length", what, "give a larger one, or null for no limit"))
    return truncation


def _build(
    settings: TrainSettings,
    method: Method,
    rows: Rows,
    base: Base,
    tokenizer: Any,
    arguments: Mapping[str, Any],
    callback: ProgressCallback,
) -> Any:
    """The TRL trainer. What TRL refuses here are settings that don't go together."""
    from transformers import PrinterCallback

    try:
        trainer = method.build(
            Job(
                model=base.path,
                tokenizer=tokenizer,
                arguments=arguments,
                train=rows.train,
                test=rows.test,
                peft_config=_peft_config(settings),
                callbacks=(callback,),
            )
        )
    except (ValueError, NotImplementedError) as error:
        raise InputError(
            Fault("", f"train.{method.name}", _one_line(error), "change that field")
        ) from error
    except OSError as error:
        what = f'"{base.name}" could not be loaded: {_one_line(error)}'
        raise InputError(Fault("", "model", what, "name another with --model")) from error
    trainer.remove_callback(PrinterCallback)
    return trainer


def _peft_config(settings: TrainSettings) -> Any | None:
    if settings.lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=settings.lora.r,
        lora_alpha=settings.lora.alpha,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _metrics(trainer: Any, method: Method, rows: Rows, truncation: Truncation) -> dict[str, float]:
    history = _history(trainer)
    metrics: dict[str, float] = {
        "steps": trainer.state.global_step,
        "rows": len(rows.train),
        "truncated_rows": truncation.cut,
        "dropped_rows": truncation.dropped,
    }
    if history:  # empty with `logging_strategy: no`
        metrics["first_loss"] = history[0]["loss"]
        metrics["last_loss"] = history[-1]["loss"]
        metrics["mean_loss"] = _mean_loss(history)
        metrics |= _epoch_losses(history)
    if rows.test is not None:
        measured = trainer.evaluate()
        metrics["test_rows"] = len(rows.test)
        names = method.test_metrics.items()
        metrics |= {ours: measured[theirs] for theirs, ours in names if theirs in measured}
    return metrics


def _history(trainer: Any) -> list[dict[str, float]]:
    return [entry for entry in trainer.state.log_history if "loss" in entry]


def _mean_loss(history: list[dict[str, float]], start: float = 0.0) -> float:
    """Over the steps after `start`; an entry is the mean since the one before it.

    The trainer's own `train_loss` is too low in a training that was taken up again: it divides
    the sum since then by all steps.
    """
    total, first = 0.0, start
    for entry in history:
        total += entry["loss"] * (entry["step"] - start)
        start = entry["step"]
    return total / (start - first)


def _epoch_losses(history: list[dict[str, float]]) -> dict[str, float]:
    """The mean loss of the first and of the last whole epoch, where there are two or more.

    Single steps can't be compared: their rows differ more than the model does.
    """
    epochs = int(history[-1]["epoch"])
    first = [entry for entry in history if entry["epoch"] <= 1]
    last = [entry for entry in history if epochs - 1 < entry["epoch"] <= epochs]
    if epochs < 2 or not first or not last:
        return {}
    start = max(entry["step"] for entry in history if entry["epoch"] <= epochs - 1)
    return {
        "first_epoch_loss": _mean_loss(first),
        "last_epoch_loss": _mean_loss(last, start),
    }


def _save(trainer: Any, tokenizer: Any, folder: Path) -> None:
    """A plain checkpoint: adapters merged, caching on, in the precision it was trained in."""
    from peft import PeftModel

    model = trainer.accelerator.unwrap_model(trainer.model)
    if isinstance(model, PeftModel):
        model = model.merge_and_unload()
    # transformers' Trainer turns it off for training; saved so, generating would be slow.
    model.config.use_cache = True
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def _mended(callback: ProgressCallback, work: WorkFolder) -> Iterator[None]:
    """Turns what can happen to anyone's training into an error with advice."""
    import torch

    try:
        yield
    except KeyboardInterrupt as error:
        if work.checkpoint() is not None:
            fix = "give the same command again: it goes on from its last checkpoint"
        else:
            fix = (
                "give the same command again: it starts from the first step "
                "(save_strategy=steps and save_steps=N leave checkpoints to go on from)"
            )
        what = f"stopped after {callback.done} of {callback.total} steps, no model was written"
        raise Interrupted(Fault("", "train", what, fix)) from error
    except torch.OutOfMemoryError as error:
        fix = (
            "lower per_device_train_batch_size and raise gradient_accumulation_steps by as much, "
            "lower max_length, or set lora=true"
        )
        raise Failure(Fault("", "train", "memory ran out", fix)) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
