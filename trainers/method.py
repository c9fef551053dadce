"""What a trainer is to Charter: the rows it reads, the TRL trainer it makes, what it measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from charter.trainers.settings import TrainSettings

__all__ = ["Job", "Method", "without_telemetry"]


@dataclass(frozen=True, slots=True)
class Job:
    """All that a TRL trainer is built from.

    Attributes:
        model: a folder or a name on the Hub; TRL loads it itself, so that a reference model
            that is reloaded by name is the policy at the start.
        tokenizer: the model's.
        arguments: every keyword of the TRL config.
        train: the rows of `train`, the method's columns only.
        test: the rows of `test`, or None.
        peft_config: adapters, or None.
        callbacks: transformers callbacks.
        settings: of the training.
        counts: figures that a builder's own parts count while training; they become metrics.
    """

    model: str
    tokenizer: Any
    arguments: Mapping[str, Any]
    train: Any
    test: Any | None
    peft_config: Any | None
    callbacks: tuple[Any, ...]
    settings: TrainSettings
    counts: dict[str, float] = field(default_factory=dict)

    @property
    def keywords(self) -> dict[str, Any]:
        """What every TRL trainer is given by the same name."""
        return {
            "model": self.model,
            "train_dataset": self.train,
            "eval_dataset": self.test,
            "processing_class": self.tokenizer,
            "peft_config": self.peft_config,
            "callbacks": list(self.callbacks),
        }


@dataclass(frozen=True, slots=True)
class Method:
    """One way of training.

    Attributes:
        name: its name in commands and recipes.
        title: its name in a model card, with the paper.
        config: the config of the version that it reads (`sft`, `preference`).
        completions: the columns whose text follows the prompt; the longest one counts for
            truncation. None where answers are made while training.
        build: makes the TRL trainer.
        test_metrics: our names of what TRL measures on `test`, by TRL's.
        measured_before: whether the loss on `test` before training says anything: that of a
            preference loss is the same for every model.
        instead: the config that is read where the first has no rows, and the column of it that
            stands for `completion`.
        overflow: what TRL does with rows longer than the window: `cut` their end, `drop` the row.
        wraps: whether TRL puts the tokens that begin and end a text where they are missing.
        scores: whether the model gives a score and no text.
        defaults: what Charter sets where the fields say nothing.
        tracked: the figure that shows learning where the loss does not.
    """

    name: str
    title: str
    config: str
    completions: tuple[str, ...]
    build: Callable[[Job], Any]
    test_metrics: Mapping[str, str] = field(default_factory=lambda: {"eval_loss": "test_loss"})
    measured_before: bool = False
    instead: tuple[str, str] | None = None
    overflow: Literal["cut", "drop"] = "cut"
    wraps: bool = False
    scores: bool = False
    defaults: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda fields: {}
    tracked: str | None = None


def without_telemetry(trainer: type) -> type:
    """The same TRL trainer without its call home at construction.

    TRL 1.16 sends class, architecture and device names to an outside host unless an
    environment variable, read at import, says no. Training here talks to no one unasked.
    """
    return type(trainer.__name__, (trainer,), {"_send_telemetry": lambda self: None})
