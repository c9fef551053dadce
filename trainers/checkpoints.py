"""When a checkpoint is left, where nobody said when; and that none is left of spoilt weights."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from transformers import TrainerCallback

from charter.errors import Failure, Fault
from charter.trainers.processes import several

__all__ = ["CheckpointCallback", "check_finite"]

_AFTER = 60.0  # seconds of training between two checkpoints at least
_TIMES = 50.0  # and this many times what writing one takes: 2 % of the time at most


class CheckpointCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Leaves a checkpoint every minute or more, and refuses to leave one that no one could use.

    Args:
        timed: whether time decides; else `save_strategy` does.
        clock: seconds that only grow.
    """

    def __init__(self, timed: bool, clock: Any = time.monotonic) -> None:
        self._timed, self._clock = timed, clock
        self._last, self._began, self._wait = -math.inf, 0.0, _AFTER

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Time runs from here."""
        self._last = self._clock()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Asks for a checkpoint when it is time; the last step is followed by the model itself.

        Raises:
            Failure: one is asked for, and a weight is no finite number: the last one stays.
        """
        if self._timed and state.global_step < state.max_steps and self._due():
            control.should_save = True
        self._prepare(args, state, control, model)

    def on_epoch_end(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        """Looks at what `save_strategy=epoch` is about to save.

        Raises:
            Failure: a weight is no finite number: the last checkpoint stays.
        """
        self._prepare(args, state, control, model)

    def _prepare(self, args: Any, state: Any, control: Any, model: Any) -> None:
        if not control.should_save:
            return
        self._began = self._clock()
        check_finite(model, state.global_step)
        # What was measured since the last log stands in no checkpoint.
        control.should_log |= args.logging_strategy != "no"

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Learns what a checkpoint costs."""
        self._last = self._clock()
        self._wait = max(_AFTER, _TIMES * (self._last - self._began))

    def _due(self) -> bool:
        due: bool = self._clock() - self._last >= self._wait
        if not several():
            return due
        # All processes must save at the same step: the first one's clock counts.
        from accelerate.utils import broadcast_object_list

        return bool(broadcast_object_list([due])[0])


def check_finite(model: Any, step: int) -> None:
    """See that every weight that is trained is a number; of shards, those of this process.

    Raises:
        Failure: one is none.
    """
    # DeepSpeed's ZeRO-3 leaves a parameter empty and keeps this process's shard beside it.
    trained = (getattr(w, "ds_tensor", w) for w in model.parameters() if w.requires_grad)
    if not all(bool(torch.isfinite(weight).all()) for weight in trained):
        raise Failure(_spoilt(step))


def _spoilt(step: int) -> Fault:
    return Fault(
        f"step {step}",
        "weights",
        "are not all numbers: training has diverged, no model was written",
        "lower learning_rate, keep max_grad_norm at 1.0, and with fp16 use bf16 or full precision",
    )
