"""A jsonl file of responses to be checked, with or without people's labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from charter.evals.guard_check import Item
from charter.evals.judge_lines import Lines
from charter.rows import Message, digest
from charter.values import is_unicode

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
    prompt = _messages(row["prompt"] if "prompt" in row else row.get("messages"))
    key = next((key for key in ("response", "completion") if key in row), None)
    if key is not None:
        said = row[key] if isinstance(row[key], str) else _messages(row[key])[-1]["content"]
        if not isinstance(row[key], str) and len(row[key]) > 1:
            prompt = (*prompt, *_messages(row[key])[:-1])
    elif prompt[-1]["role"] == "assistant" and "prompt" not in row:
        prompt, said = prompt[:-1], prompt[-1]["content"]
    else:
        raise ValueError("has no response")
    if not is_unicode(said):
        raise ValueError("the response has half a character")
    name = row.get("id")
    if name is None or name == "":
        name = digest("guard", [dict(message) for message in prompt], said)[:16]
    return Item(str(name), prompt, said)


def _messages(value: Any) -> tuple[Message, ...]:
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise ValueError("has no prompt that is text or messages")
    found: list[Message] = []
    for message in value:
        role = message.get("role") if isinstance(message, Mapping) else None
        text = message.get("content") if isinstance(message, Mapping) else None
        if role not in _ROLES or not isinstance(text, str):
            raise ValueError(f"a message is not of role ({', '.join(_ROLES)}) and content (text)")
        if not is_unicode(text):
            raise ValueError("a message has half a character")
        found.append({"role": role, "content": text})
    return tuple(found)
