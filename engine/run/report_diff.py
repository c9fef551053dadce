"""What a revision changed, word by word."""

from __future__ import annotations

import re
from collections import Counter
from difflib import SequenceMatcher
from typing import Literal

__all__ = ["Change", "word_diff"]

Change = tuple[Literal[-1, 0, 1], str]
"""-1 removed, 0 the same, 1 added; and the text."""

_WORD = re.compile(r"\S+\s*|\s+")
# Pairs of equal words, over which difflib's time grows; prose has a few thousand, and a text
# that repeats one word would take minutes.
_MOST_PAIRS = 30_000


def word_diff(before: str, after: str) -> list[Change]:
    """The changes that lead from one text to the other, in order.

    What is not added gives `before`, what is not removed gives `after`. A word carries the white
    space behind it. Texts with too many repetitions are shown as replaced as a whole.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    changes: list[Change] = [(0, "".join(old[:start]))]
    changes += _middle(old[start : len(old) - end], new[start : len(new) - end])
    changes.append((0, "".join(old[len(old) - end :])))
    return [change for change in changes if change[1]]


def _middle(old: list[str], new: list[str]) -> list[Change]:
    counts = Counter(new)
    if sum(counts[word] for word in old) > _MOST_PAIRS:
        return [(-1, "".join(old)), (1, "".join(new))]
    changes: list[Change] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        if kind == "equal":
            changes.append((0, "".join(old[a:b])))
        else:
            changes += [(-1, "".join(old[a:b])), (1, "".join(new[c:d]))]
    return changes
