"""Train a model from a pinned version: whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charter.errors import Fault, InputError
from charter.models.threads import wait_asleep
from charter.trainers import card, report
from charter.trainers.base import Base, load_tokenizer, resolve_base
from charter.trainers.defaults import defaults_of
from charter.trainers.figures import history_of, loss_before, measured_of, metrics_of
from charter.trainers.fit import WINDOW, fitted
from charter.trainers.made_up import made_up
from charter.trainers.mend import is_unreadable, mended
from charter.trainers.method import Job, Method
from charter.trainers.processes import check_deepspeed, is_first, several
from charter.trainers.recovery import Refuses, augmented
from charter.trainers.registry import METHODS
from charter.trainers.rows import Rows, read_rows
from charter.trainers.save import save_model
from charter.trainers.settings import TrainSettings
from charter.trainers.work import WorkFolder

if TYPE_CHECKING:
    from charter.trainers.progress import Progress

__all__ = ["Trained", "train"]

# What transformers and TRL begin anew, or leave out, at a checkpoint.
_INEXACT = (
    ("sync_ref_model", True),
    ("ignore_data_skip", True),
    ("train_sampling_strategy", "group_by_length"),
)
_NO_STEP = (
    "not one step was made: the settings leave no batch, or no epoch",
    "look at per_device_train_batch_size, dataloader_drop_last, num_train_epochs and max_steps",
)


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that stands in its folder, and how it got there.

    Attributes:
        model: the folder: config, safetensors, tokenizer with chat template, card, lineage.
        metrics: `steps`, `rows`, `truncated_rows`, `dropped_rows`, `seconds` in all and
            `train_seconds` of its steps alone (both since it was taken up again); of the loss
            `first_loss`, `last_loss`, `mean_loss`, and from two epochs on, over the same rows
            and so comparable, `first_epoch_loss` and `last_epoch_loss`; with a `test` split
            `test_rows`, `test_loss` (of SFT in one process `test_loss_before` too), the method's
            own (`test_accuracy`, `test_margin`: means over TRL's batches); `unsure_rows` left
            out by `min_p`; of GRPO `first_reward`, `last_reward`, the same of each principle,
            `clipped_share` of its answers that were cut at `max_completion_length`, and what the
            judge was asked (`charter.trainers.judge`); `last_kl` where `kl` is logged.
        history: what was logged while training, by `step`.
        notes: what TRL warned of.
        resumed_at: the step of the checkpoint it went on from; 0 where there was none.
    """

    model: Path
    metrics: dict[str, float]
    history: list[dict[str, float]]
    notes: tuple[str, ...] = field(default=())
    resumed_at: int = 0


def train(
    settings: TrainSettings,
    progress: Progress | None = None,
    refuses: Refuses | None = None,
) -> Trained:
    """Train as the settings say and save a plain transformers checkpoint at `settings.out`.

    Nothing is seen at `out` before everything is there. An interrupted training starts again
    with the same command, from its last whole checkpoint: `save_strategy` leaves them or, where
    nothing is said, one is left every minute or more (`charter.trainers.checkpoints`).
    Of several processes that train together, all call this, and the first one writes.

    Args:
        settings: what to train on what.
        progress: called as `progress(done_steps, total_steps, logs)`.
        refuses: what tells a refusal, for `recovery` alone.

    Raises:
        InputError: wrong model, empty or missing split, rows of `test` in `train`, a folder
            that is taken, a value TRL refuses, a tracker or DeepSpeed that is not installed; with
            `resume`, checkpoints of another training.
        Failure: the loss is not a number any more, memory ran out, the disk is full, or the judge
            is not reached.
        Interrupted: Ctrl-C.
    """
    check_deepspeed(settings.fields)
    wait_asleep()
    from charter.trainers.quiet import quiet

    method = METHODS[settings.method]
    with quiet() as notes:
        rows = read_rows(settings, method)
        base = resolve_base(settings)
        identity = card.identity(settings, base)
        owner = is_first()
        with WorkFolder(settings.out, identity, owner=owner, resume=settings.resume) as work:
            started = time.monotonic()
            training = _Training(settings, method, base, work, progress, refuses)
            with mended(training.steps, work, f"train.{method.name}"):
                metrics, history = training.run(rows)
                metrics["seconds"] = round(time.monotonic() - started, 2)
                notes.extend(training.doubts())
                if work.owner:
                    arguments = training.arguments
                    facts = card.write(
                        work.model, settings, method, base, rows, arguments, metrics, notes
                    )
                    at = [training.resumed_at] if training.resumed_at else []
                    text = report.render(settings.out.name, facts, training.measured, at)
                    (work.model / "report.html").write_text(text, "utf-8")
                work.publish()
    return Trained(settings.out, metrics, history, tuple(notes), training.resumed_at)


class _Training:
    """One training inside its work folder.

    Args:
        settings: what to train on what.
        method: of the settings.
        base: the model at the start.
        work: where to.
        progress: as `train` is given it.
        refuses: what tells a refusal, for `recovery`.
    """

    def __init__(
        self,
        settings: TrainSettings,
        method: Method,
        base: Base,
        work: WorkFolder,
        progress: Progress | None = None,
        refuses: Refuses | None = None,
    ) -> None:
        from charter.trainers.progress import ProgressCallback

        self.steps = ProgressCallback(progress)
        self.settings, self.method, self.base, self.work = settings, method, base, work
        self.refuses = refuses
        self.counts: dict[str, float] = {}
        self.measured: list[dict[str, float]] = []
        self.resumed_at = 0
        self._amid = ""
        self.arguments: Mapping[str, Any] = {
            **defaults_of(settings, method),
            **settings.fields,
            "output_dir": str(work.checkpoints),
        }

    def run(self, rows: Rows) -> tuple[dict[str, float], list[dict[str, float]]]:
        """Train and save into the work folder; gives metrics and history."""
        from charter.trainers.board import BoardCallback
        from charter.trainers.checkpoints import check_finite

        board = self.settings.track == "tensorboard"
        with BoardCallback(self.work.runs if board else None) as log:
            tokenizer = load_tokenizer(self.base, self.settings)
            rows, truncation = fitted(self.settings, self.method, rows, tokenizer)
            shown = self._recovered(rows, tokenizer)
            trainer = self._trainer(shown, tokenizer, (self.steps, self._checkpoints(), log))
            before: dict[str, float] = {}
            # Evaluating first marks the model as prepared, and accelerate would then not wrap it
            # for several processes: each would train by its own rows alone.
            if rows.test is not None and self.method.measured_before and not several():
                before = loss_before(trainer)
            # Checkpoints of another training are gone once the first process is here.
            trainer.accelerator.wait_for_everyone()
            checkpoint = self.work.checkpoint()
            self.resumed_at = int(checkpoint.rpartition("-")[2]) if checkpoint else 0
            self._amid = _amid(trainer.args, self.resumed_at)
            self.steps.checkpoint = checkpoint
            trainer.train(resume_from_checkpoint=checkpoint)
            if not trainer.state.global_step:
                raise InputError(Fault("", f"train.{self.method.name}", *_NO_STEP))
            check_finite(trainer.model, trainer.state.global_step)
            metrics = metrics_of(trainer, self.method, rows, truncation)
            save_model(trainer, tokenizer, self.work.model, self.method, self.base)
        self.measured = measured_of(trainer)
        return {**metrics, **before, **self.counts}, history_of(trainer)

    def doubts(self) -> list[str]:
        """What keeps a training that was taken up again from ending where another would have."""
        given = self.settings.fields
        named = [f"{name}={value}" for name, value in _INEXACT if given.get(name) == value]
        named += [self._amid] if self._amid else []
        if not self.resumed_at or not named:
            return []
        return [
            f"taken up again after step {self.resumed_at} with {', '.join(named)}, which no "
            "checkpoint remembers: an uninterrupted training ends with other weights"
        ]

    def _recovered(self, rows: Rows, tokenizer: Any) -> Rows:
        """The rows that the trainer sees: with recovery rows among them, where these are wanted."""
        recovery = self.settings.recovery
        if recovery is None:
            return rows
        if self.refuses is None:
            raise TypeError("`recovery` needs `refuses`: what tells a refusal")
        window = self.arguments.get("max_length", WINDOW)
        made, counts = augmented(
            rows.train,
            tokenizer,
            recovery,
            self.refuses,
            seed=self.arguments["seed"],
            window=window,
        )
        self.counts |= counts
        return replace(rows, train=made)

    def _checkpoints(self) -> Any:
        from charter.trainers.checkpoints import CheckpointCallback

        said = {"save_strategy", "save_steps"} & self.settings.fields.keys()
        return CheckpointCallback(timed=not said)

    def _trainer(self, rows: Rows, tokenizer: Any, callbacks: tuple[Any, ...]) -> Any:
        """The TRL trainer. What TRL refuses here are settings that don't go together."""
        from transformers import PrinterCallback

        job = Job(
            model=self.base.path,
            tokenizer=tokenizer,
            arguments=deepcopy(dict(self.arguments)),  # some trainers write into what they get
            train=rows.train,
            test=rows.test,
            peft_config=self._adapters(),
            callbacks=callbacks,
            settings=self.settings,
            counts=self.counts,
        )
        fix = "name another with --model"
        with made_up() as missing:
            try:
                trainer = self.method.build(job)
            except Exception as error:
                if not is_unreadable(error):
                    raise
                what = f'"{self.base.name}" could not be loaded: {_one_line(error)}'
                raise InputError(Fault("", "model", what, fix)) from error
        if missing:
            what = f'"{self.base.name}" lacks weights that its config.json names: {_some(missing)}'
            raise InputError(Fault("", "model", what, fix))
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _adapters(self) -> Any | None:
        lora = self.settings.lora
        if lora is None:
            return None
        from peft import LoraConfig

        return LoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            target_modules="all-linear",
            task_type="SEQ_CLS" if self.method.scores else "CAUSAL_LM",
        )


def _amid(arguments: Any, step: int) -> str:
    """What a checkpoint of GRPO lacks between two steps that learn from the same answers."""
    every = getattr(arguments, "num_iterations", 1) * getattr(arguments, "steps_per_generation", 1)
    if step * arguments.gradient_accumulation_steps % every == 0:
        return ""
    return "answers that serve for several steps (num_iterations, steps_per_generation)"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
