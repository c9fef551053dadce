"""A jsonl file of answers or pairs to be scored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from charter.documents import read_text
from charter.errors import Fault, InputError
from charter.trainers.score import Scorer, with_answer
from charter.values import is_unicode

__all__ = ["is_pair", "read_lines", "score_lines"]

_ROLES = ("system", "user", "assistant")
# The answers of a line, by the keys that it has beside `prompt`.
_PAIR = ("chosen", "rejected")
_FORMS = "messages, or prompt and response, or prompt, chosen and rejected"


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The lines of a file, each with `messages`, `prompt` and `response`, or a pair.

    Raises:
        InputError: no such file, nothing in it, or lines of another form; all of them at once.
    """
    lines, faults = [], []
    # Not splitlines: a text may hold the line separators that JSON lets stand.
    for number, line in enumerate(read_text(file).split("\n"), 1):
        if not line.strip():
            continue
        row, wrong = _line(line)
        if wrong:
            faults.append(Fault(f"{file}:{number}", "", wrong, f"write {_FORMS}"))
        lines.append(row)
    if faults:
        raise InputError(faults)
    if not lines:
        raise InputError(Fault(str(file), "", "has no lines", f"write {_FORMS}, one a line"))
    return lines


def _line(line: str) -> tuple[dict[str, Any], str]:
    """A line, or what is wrong with it."""
    try:
        row = json.loads(line)
        # It is written again with its score: Python reads numbers and halves of characters that
        # nothing can write.
        whole = is_unicode(json.dumps(row, ensure_ascii=False, allow_nan=False))
    except ValueError as error:
        return {}, f"is no JSON ({error})"
    except RecursionError:
        return {}, "is nested too deep"
    if not whole:
        return {}, "has half a character"
    if not isinstance(row, dict):
        return {}, "is no object"
    keys = ("messages",) if "messages" in row else ("prompt", *_answers(row))
    for key in keys:
        if key not in row:
            return {}, f"has no {key}"
        if not _is_text(row[key]) or (key == "messages" and isinstance(row[key], str)):
            return {}, f"{key} is neither a text nor messages with role and content"
    return row, ""


def is_pair(row: Mapping[str, Any]) -> bool:
    """Whether a line holds two answers; it has a `margin` then, and a `score` else."""
    return "messages" not in row and any(key in row for key in _PAIR)


def _answers(row: Mapping[str, Any]) -> tuple[str, ...]:
    return _PAIR if is_pair(row) else ("response",)


def _is_text(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(m, dict) and m.get("role") in _ROLES and isinstance(m.get("content"), str)
            for m in value
        )
    )


def score_lines(
    lines: Sequence[Mapping[str, Any]],
    scorer: Scorer,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Each line as it is with `score`, or of a pair `score_chosen`, `score_rejected`, `margin`."""
    conversations: list[Any] = []
    for row in lines:
        if "messages" in row:
            conversations.append(row["messages"])
        else:
            conversations += [with_answer(row["prompt"], row[key]) for key in _answers(row)]
    scores = iter(scorer.scores(conversations, progress))
    found = []
    for row in lines:
        if not is_pair(row):
            found.append({**row, "score": next(scores)})
            continue
        chosen, rejected = next(scores), next(scores)
        margin = None if chosen is None or rejected is None else chosen - rejected
        found.append({**row, "score_chosen": chosen, "score_rejected": rejected, "margin": margin})
    return found
