"""How many letters must be put in, taken out or changed to make one word of another."""

from __future__ import annotations

__all__ = ["within"]


def within(one: str, other: str, most: int) -> int:
    """Levenshtein's distance, or `most` + 1 where it is greater than `most`."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        before, row[0] = row[0], place
        for column, with_letter in enumerate(other, 1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (letter != with_letter)),
            )
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)
