"""Thoughts: what a reasoning model writes before its answer, where its server leaves it in."""

from __future__ import annotations

from typing import Final

__all__ = ["without_thoughts"]

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


def without_thoughts(text: str) -> str:
    """The text behind the thoughts that it begins with; all of it where it begins with none.

    Thoughts stand between `<think>` and `</think>`. The first mark may be missing, as some chat
    templates write it themselves. Where the second one is missing, nothing but thoughts was said.
    Marks within an answer are left alone: it may be about them.
    """
    while True:
        before, close, behind = text.partition(_CLOSE)
        if not before.lstrip().startswith(_OPEN) and (not close or _OPEN in before):
            return text
        text = behind
