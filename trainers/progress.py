"""Charter's callback inside TRL: it tells how far training is, and stops what can't be mended."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerCallback

from charter.errors import Failure, Fault

__all__ = ["Progress", "ProgressCallback"]

# Called with steps done, steps in all, and what was logged at that step ({} where nothing was).
Progress = Callable[[int, int, Mapping[str, float]], None]


class ProgressCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Passes steps and logs on, and ends a training whose loss is not a number any more.

    Attributes:
        done: steps, those before a checkpoint among them.
        total: steps that there will be; 0 until they are known.
        moved: whether this process has made a step.
        checkpoint: what it goes on from, once that is being read.
    """

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.done = 0
        self.total = 0
        self.moved = False
        self.checkpoint: str | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Says how many steps there will be."""
        self._tell(state, {})

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Counts a step."""
        self.moved = True
        self._tell(state, {})

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        """Passes figures on, and looks at them."""
        numbers = {k: float(v) for k, v in (logs or {}).items() if isinstance(v, int | float)}
        # A gradient that is no number has spoilt the weights, although this step's loss is fine.
        for name in ("loss", "grad_norm", "train_loss", "eval_loss"):
            if not math.isfinite(numbers.get(name, 0.0)):
                raise Failure(_diverged(name, numbers[name], state.global_step))
        self._tell(state, numbers)

    def _tell(self, state: Any, logs: Mapping[str, float]) -> None:
        if not state.max_steps:  # measured before training, whose length isn't known yet
            return
        self.done, self.total = state.global_step, state.max_steps
        if self.progress is not None:
            self.progress(self.done, self.total, logs)


def _diverged(name: str, value: float, step: int) -> Fault:
    return Fault(
        f"step {step}",
        name,
        f"is {value}: training has diverged, no model was written",
        "lower learning_rate, keep max_grad_norm at 1.0, and with fp16 use bf16 or full precision",
    )
