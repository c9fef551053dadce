"""Weights that a checkpoint does not hold, and that would be trained from random numbers."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["made_up"]

_LOGGER: Final = "transformers.modeling_utils"
# A line of the table that transformers logs: the name, then MISSING in colour.
_MISSING: Final = re.compile(r"^(\S+)\s*\|.*\bMISSING\b", re.MULTILINE)
# A reward model's head is new, by intent.
_HEADS: Final = ("score.", "classifier.", "classification_head.")


class _Watch(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        names = _MISSING.findall(record.getMessage())
        self.names += [
            name for name in names if name not in self.names and not name.startswith(_HEADS)
        ]


@contextmanager
def made_up() -> Iterator[list[str]]:
    """Watches models being loaded; transformers says it in its log alone.

    Yields:
        The names of the weights that were not in a checkpoint, but for the head of a reward model.
    """
    logger, watch = logging.getLogger(_LOGGER), _Watch()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(watch)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        yield watch.names
    finally:
        logger.removeHandler(watch)
        logger.setLevel(level)
        logger.propagate = propagate
