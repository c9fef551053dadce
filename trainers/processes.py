"""The processes of one training, where `accelerate launch` or `torchrun` started several."""

from __future__ import annotations

import os

__all__ = ["is_first", "several"]


def several() -> bool:
    """Whether this process trains with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first() -> bool:
    """Whether this is the process that writes and speaks; alone, it is."""
    return int(os.environ.get("RANK", "0")) == 0
