"""What a training measured: losses, how they fell, and the figures on `test`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charter.trainers.method import Method
    from charter.trainers.rows import Rows
    from charter.trainers.truncation import Truncation

__all__ = ["history_of", "loss_before", "measured_of", "metrics_of"]

_CLIPPED = "completions/clipped_ratio"


def metrics_of(
    trainer: Any, method: Method, rows: Rows, truncation: Truncation
) -> dict[str, float]:
    """The figures of a training that has ended, as `Trained.metrics` names them.

    Measures on `test`, where there is one: all processes must call this.
    """
    history = history_of(trainer)
    runtimes = [e["train_runtime"] for e in trainer.state.log_history if "train_runtime" in e]
    metrics: dict[str, float] = {
        "steps": trainer.state.global_step,
        "rows": len(rows.train) + truncation.dropped,
        "truncated_rows": truncation.cut,
        "dropped_rows": truncation.dropped,
        "train_seconds": round(runtimes[-1], 3),
    }
    if rows.left_out:
        metrics["unsure_rows"] = rows.left_out
    if history:  # empty with `logging_strategy: no`
        metrics["first_loss"] = history[0]["loss"]
        metrics["last_loss"] = history[-1]["loss"]
        metrics["mean_loss"] = _mean_loss(history)
        metrics |= _epoch_losses(history)
        if shares := _numbers(history, _CLIPPED):
            metrics["clipped_share"] = sum(shares) / len(shares)
        if divergences := _numbers(history, "kl"):
            metrics["last_kl"] = divergences[-1]
        if method.tracked is not None:
            metrics |= _tracked(history, method.tracked)
    if rows.test is not None:
        measured = trainer.evaluate()
        metrics["test_rows"] = len(rows.test)
        names = method.test_metrics.items()
        metrics |= {
            ours: measured[theirs] for theirs, ours in names if _is_number(measured, theirs)
        }
    return metrics


def loss_before(trainer: Any) -> dict[str, float]:
    """The loss on `test` before training, where a batch of it is measured."""
    measured = trainer.evaluate()
    return {"test_loss_before": measured["eval_loss"]} if "eval_loss" in measured else {}


def history_of(trainer: Any) -> list[dict[str, float]]:
    """What was logged while training, by step."""
    return [entry for entry in trainer.state.log_history if "loss" in entry]


def measured_of(trainer: Any) -> list[dict[str, float]]:
    """The numbers that were logged, by step; those measured on `test` begin with `eval_`."""
    return [
        {name: value for name, value in entry.items() if _is_number(entry, name)}
        for entry in trainer.state.log_history
        if "loss" in entry or "eval_loss" in entry
    ]


def _tracked(history: list[dict[str, float]], name: str) -> dict[str, float]:
    """The first and the last of a figure, and of its parts (`rewards/PRINCIPLE/mean`).

    Steps that made no answers log none of them, and a reward that no one gave is no number.
    """
    found: dict[str, float] = {}
    for key in dict.fromkeys(key for entry in history for key in entry):
        part, _, of = key.removeprefix(f"{name}s/").rpartition("/")
        is_part = key.startswith(f"{name}s/") and of == "mean"
        if (key == name or is_part) and (values := _numbers(history, key)):
            ours = f"{name}_{part}" if is_part else name
            found |= {f"first_{ours}": values[0], f"last_{ours}": values[-1]}
    return found


def _numbers(history: list[dict[str, float]], name: str) -> list[float]:
    """What was logged by that name, as far as it is a number."""
    return [entry[name] for entry in history if _is_number(entry, name)]


def _is_number(entry: Mapping[str, Any], name: str) -> bool:
    value = entry.get(name)
    return isinstance(value, int | float) and math.isfinite(value)


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
