"""The processes of one training, where `accelerate launch` or `torchrun` started several."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from charter.errors import Fault, InputError

__all__ = ["check_deepspeed", "is_first", "is_first_here", "several"]


def several() -> bool:
    """Whether this process trains with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first() -> bool:
    """Whether this is the process that writes and speaks; alone, it is."""
    return int(os.environ.get("RANK", "0")) == 0


def is_first_here() -> bool:
    """Whether this is the process that tells what its machine lacks."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def check_deepspeed(fields: Mapping[str, Any]) -> None:
    """See that DeepSpeed is there where the launcher or a field wants it.

    Raises:
        InputError: it is not installed.
    """
    launched = os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() in ("1", "true", "yes")
    if (launched or fields.get("deepspeed")) and find_spec("deepspeed") is None:
        fix = "pip install deepspeed, or train by DDP or FSDP"
        raise InputError(Fault("", "deepspeed", "is not installed", fix))
