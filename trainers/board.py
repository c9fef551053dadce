"""A training as TensorBoard's files, in the folder of the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from transformers import TrainerCallback

__all__ = ["BoardCallback"]


class BoardCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Writes every number that is logged, and nothing of this machine.

    transformers' own callback writes all arguments as well, paths among them.

    Args:
        folder: of the event files; None writes nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Opens the files; what an interrupted training wrote behind its checkpoint is void."""
        if self._folder is None or not state.is_world_process_zero:
            return
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder), purge_step=state.global_step + 1)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        """Writes the figures of a step: `train/...`, and `test/...` of those on `test`."""
        if self._writer is None:
            return
        for name, value in (logs or {}).items():
            if isinstance(value, int | float) and math.isfinite(value):
                test = name.startswith("eval_")
                tag = f"test/{name.removeprefix('eval_')}" if test else f"train/{name}"
                self._writer.add_scalar(tag, value, state.global_step)
        self._writer.flush()
