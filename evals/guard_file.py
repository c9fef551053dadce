"""A jsonl file of responses to be checked, with or without people's labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from charter.evals.guard_check import Item
from charter.evals.judge_lines import Lines
from charter.rows import Message, digest

__all__ = ["LABEL", "read_items"]

LABEL: Final = "violates"
_ROLES: Final = ("system", "user", "assistant")
_FORM: Final = 'write {"prompt" or "messages": ..., "response" or "completion": ...}'


def read_items(path: Path, limit: int | None = None) -> tuple[list[Item], list[bool | None]]:
    """The responses of a file, each with its label where the line has one.

    A line holds `prompt` or `messages` (text, or messages with role and content) and `response` or
    `completion` (text, or messages); `messages` alone may end with the response. `id` is its
    name, and `violates` (true or false) what people say of it.

    Args:
        path: the file, plain or gzipped.
        limit: the first so many.

    Raises:
        InputError: lines are of another form; all of them at once.
    """
    lines = Lines(path)
    items: list[Item] = []
    labels: list[bool | None] = []
    names: set[str] = set()
    for number, row in lines:
        if limit is not None and len(items) >= limit:
            break
        try:
            item = _item(row)
        except ValueError as error:
            lines.fault(number, "", str(error), _FORM)
            continue
        label = row.get(LABEL)
        if not (
            label is None or isinstance(label, bool) or (type(label) is int and label in (0, 1))
        ):
            lines.fault(number, LABEL, "is neither true nor false", "write true or false, or none")
        if item.id in names:
            lines.fault(number, "id", f'there is another response "{item.id}"', "keep one of them")
        names.add(item.id)
        items.append(item)
        labels.append(None if label is None else bool(label))
    lines.check(len(items), "responses")
    return items, labels


def _item(row: Mapping[str, Any]) -> Item:
    """The response of a line.

    Raises:
        ValueError: it has none.
    """
    asked = _first(row, "prompt", "messages")
    said = _first(row, "response", "completion")
    if asked is None:
        raise ValueError("has no prompt")
    if said is None and row.get("prompt") is not None:
        raise ValueError("has no response")
    told = _messages(asked, "user") + (() if said is None else _messages(said, "assistant"))
    *prompt, last = told
    if last["role"] != "assistant":
        raise ValueError("does not end with a response of the assistant")
    name = row.get("id")
    if name is None or name == "":
        name = digest("guard", [dict(message) for message in prompt], last["content"])[:16]
    elif isinstance(name, bool) or not isinstance(name, str | int | float):
        raise ValueError("the id is neither text nor a number")
    return Item(str(name), tuple(prompt), last["content"])


def _first(row: Mapping[str, Any], *keys: str) -> Any:
    """The value of the first key that has one: tables written as jsonl hold null for none."""
    return next((row[key] for key in keys if row.get(key) is not None), None)


def _messages(value: Any, speaker: str) -> tuple[Message, ...]:
    """A text, which `speaker` says, or messages."""
    if isinstance(value, str):
        value = [{"role": speaker, "content": value}]
    if not isinstance(value, list) or not value:
        raise ValueError("prompt and response are neither text nor messages")
    found: list[Message] = []
    for message in value:
        role = message.get("role") if isinstance(message, Mapping) else None
        text = message.get("content") if isinstance(message, Mapping) else None
        if role not in _ROLES or not isinstance(text, str):
            raise ValueError(f"a message is not of role ({', '.join(_ROLES)}) and content (text)")
        found.append({"role": role, "content": text})
    return tuple(found)
