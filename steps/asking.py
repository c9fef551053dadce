"""What every step that asks a model has in common: rows, calls and answers.

A step is a pure description: `calls(row)` says what to ask for a row, `fold(row, answers)` what
becomes of the row. It holds no state and never raises for a row: a failure is an outcome in
`row["faults"]`. Distilabel tasks, the runner and `charter plan` all use the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from charter.models.call import Answer, Call
from charter.rows import Message, Reason, Row, messages_id

__all__ = ["Asking", "OneText", "add_fault", "answer_fault", "as_messages", "fault_at", "prepared"]


class Asking(Protocol):
    """A step that asks a model.

    Attributes:
        name: its name in the pipeline; stands in calls, caches and rejects.
        role: the model's role: generator, critic, reviser or judge.
    """

    @property
    def name(self) -> str:
        """Name of the step in the pipeline."""

    @property
    def role(self) -> str:
        """Role of the model that is asked."""

    @property
    def independent(self) -> bool:
        """Whether its calls follow from the prompt alone, whatever earlier steps gave."""

    @property
    def one_token(self) -> bool:
        """Whether its calls ask for log-probabilities, not for a text."""

    def calls(self, row: Row) -> list[Call]:
        """What to ask for this row; empty when an earlier fault leaves nothing to ask."""

    def fold(self, row: Row, answers: Sequence[Answer]) -> Row:
        """The row with what the answers, one for each call, add to it."""

    def most_calls(self) -> int:
        """The calls of a row for which nothing fails; what a plan counts before it is known."""


class OneText:
    """What steps have in common that ask for one text a row."""

    __slots__ = ()

    @property
    def independent(self) -> bool:
        """No: its call needs what an earlier step gave."""
        return False

    @property
    def one_token(self) -> bool:
        """No: it asks for a text."""
        return False

    def most_calls(self) -> int:
        """One."""
        return 1


def as_messages(prompt: Any) -> tuple[Message, ...]:
    """A prompt as messages: text is one message of the user's."""
    if isinstance(prompt, str):
        return ({"role": "user", "content": prompt},)
    return tuple({"role": m["role"], "content": m["content"]} for m in prompt)


def prepared(row: Mapping[str, Any]) -> Row:
    """A copy of a row with all that the steps keep in it, for rows that come straight from data.

    The lists in it are the row's own where it has all of them: steps make new ones.
    """
    if _is_whole(row):
        return dict(row)
    fresh: Row = {**row, "prompt": _conversation(row["prompt"])}
    fresh["prompt_id"] = row.get("prompt_id") or messages_id(fresh["prompt"])
    fresh["source"] = row.get("source") or ""
    fresh.setdefault("initial_response", None)
    for name in _LISTS:
        fresh[name] = list(row.get(name) or [])
    if not fresh["prompt"] and not fresh["faults"]:
        return add_fault(fresh, "input", "initial", Reason.NO_PROMPT, "neither a text nor a chat")
    return fresh


def _conversation(prompt: Any) -> list[Message]:
    """A prompt as messages; none where data have something else in its place."""
    try:
        messages = list(as_messages(prompt))
    except (TypeError, KeyError):
        return []
    return messages if all(m["content"] is not None for m in messages) else []


_LISTS = ("revisions", "candidates", "votes", "reasons", "labels", "faults")


def _is_whole(row: Mapping[str, Any]) -> bool:
    """Whether a row has been prepared; told in a microsecond, ten times a row."""
    get = row.get
    prompt = get("prompt")
    if type(prompt) is not list or not prompt or not get("prompt_id"):
        return False
    for message in prompt:
        if type(message) is not dict or len(message) != 2:  # anything but role and content
            return False
    for name in _LISTS:
        if type(get(name)) is not list:
            return False
    return type(get("source")) is str and "initial_response" in row


def add_fault(row: Row, stage: str, slot: str, reason: Reason, detail: str) -> Row:
    """The row with one more fault; `slot` is the candidate that is missing because of it."""
    fault = {"stage": stage, "slot": slot, "reason": reason.value, "detail": detail}
    return {**row, "faults": [*row["faults"], fault]}


def fault_at(row: Row, slot: str) -> dict[str, str] | None:
    """The fault that left a slot without a text, if there is one."""
    for fault in row["faults"]:
        if fault["slot"] == slot:
            found: dict[str, str] = fault
            return found
    return None


def answer_fault(answer: Answer, empty: Reason) -> tuple[Reason, str] | None:
    """Why an answer cannot be used as a text, or None when it can."""
    if answer.overflow:
        return Reason.CONTEXT_OVERFLOW, answer.error
    if answer.finish_reason == "content_filter":
        return Reason.CONTENT_FILTERED, answer.error or "held back by the server's content filter"
    if not answer.ok:
        return Reason.CALL_FAILED, answer.error
    if not answer.said:
        what = "nothing but thoughts" if answer.text.strip() else "nothing"
        return empty, f"the model answered {what} (finish reason: {answer.finish_reason or '?'})"
    return None
