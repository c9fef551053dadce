"""Candidates that a prompt's record brings along, with what its source says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from charter.recipes.schema import Columns
from charter.rows import Message, Reason
from charter.values import is_unicode

__all__ = ["BadRecordError", "Candidate", "Given", "given_of"]


class BadRecordError(Exception):
    """A record that is no prompt."""

    def __init__(self, reason: Reason, detail: str, prompt_id: str | None = None) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.prompt_id = reason, detail, prompt_id


@dataclass(frozen=True, slots=True)
class Candidate:
    """A response that was there before us.

    Attributes:
        slot: its place: `given-1` ..., or `chosen` and `rejected`.
        text: the response.
        model: who wrote it, where the source says so.
    """

    slot: str
    text: str
    model: str


@dataclass(frozen=True, slots=True)
class Given:
    """What a record brings along.

    Attributes:
        prompt: the prompt, where it stands in the candidates alone; else as it was.
        candidates: at least two.
        best: the slot that the source prefers, empty for a tie, None where it says nothing.
    """

    prompt: Any
    candidates: tuple[Candidate, ...]
    best: str | None


def given_of(record: Mapping[str, Any], columns: Columns) -> Given:
    """The candidates of a record.

    Read are a list in one column (texts, messages, or `{text, model}`), a column a candidate, or
    a pair of `chosen` and `rejected`. Messages may hold the whole conversation: the prompt at the
    start is left out; where no column has it, it is what all have in common there.

    Raises:
        BadRecordError: there are not two candidates, or a label that names none of them.
    """
    prompt = record.get(columns.prompt)
    slots, values, models, best = _found(record, columns)
    if prompt is None:
        prompt, values = _common(values)
    texts = [_text(value, prompt) for value in values]
    for slot, text in zip(slots, texts, strict=True):
        if not text.strip():
            raise BadRecordError(Reason.NO_CANDIDATES, f"the candidate {slot} has no text")
        if not is_unicode(text):
            raise BadRecordError(Reason.NOT_UTF8, f"the candidate {slot} is not valid Unicode")
    made = zip(slots, texts, models, strict=True)
    return Given(prompt, tuple(Candidate(*each) for each in made), best)


def _found(
    record: Mapping[str, Any], columns: Columns
) -> tuple[list[str], list[Any], list[str], str | None]:
    """Slots, values, models and the best slot."""
    listed, names = _listed(record, columns)
    if listed is not None:
        if len(listed) < 2:
            raise BadRecordError(Reason.NO_CANDIDATES, f"{len(listed)} candidates are no pair")
        slots = [f"given-{k + 1}" for k in range(len(listed))]
        shared = record.get(columns.model)
        models = [_model(value, shared, k) for k, value in enumerate(listed)]
        return slots, listed, models, _best(record.get(columns.label), slots, names)
    pair = [record.get(columns.chosen), record.get(columns.rejected)]
    if None in pair:
        what = f'no "{columns.candidates}", nor "{columns.chosen}" and "{columns.rejected}"'
        raise BadRecordError(Reason.NO_CANDIDATES, f"the record has {what}")
    models = [_name(record.get(f"{side}_model")) for side in ("chosen", "rejected")]
    shared = _name(record.get(columns.model))
    return ["chosen", "rejected"], pair, [m or shared for m in models], "chosen"


def _listed(record: Mapping[str, Any], columns: Columns) -> tuple[list[Any] | None, Sequence[str]]:
    """The candidates in a list, and the columns that they stood in."""
    if not isinstance(columns.candidates, str):
        missing = [name for name in columns.candidates if record.get(name) is None]
        if missing:
            raise BadRecordError(Reason.NO_CANDIDATES, f'the record has no "{missing[0]}"')
        return [record[name] for name in columns.candidates], columns.candidates
    value = record.get(columns.candidates)
    if value is None:
        return None, ()
    if not isinstance(value, list):
        what = f'"{columns.candidates}" is a {type(value).__name__}, not a list'
        raise BadRecordError(Reason.NO_CANDIDATES, what)
    return value, ()


def _best(label: Any, slots: Sequence[str], names: Sequence[str]) -> str | None:
    if label is None or label == "":
        return None
    if isinstance(label, str):
        if label.casefold() == "tie":
            return ""
        if label in names:
            return slots[list(names).index(label)]
        if not is_unicode(label):
            raise BadRecordError(Reason.NOT_UTF8, "the label is not valid Unicode")
        if not re.fullmatch(r"-?\d{1,9}", label):
            raise BadRecordError(Reason.NO_CANDIDATES, f'the label "{label[:40]}" names none')
        label = int(label)
    if isinstance(label, float) and label.is_integer():
        label = int(label)  # as pandas keeps whole numbers of which some are missing
    if isinstance(label, bool) or not isinstance(label, int) or not -1 <= label < len(slots):
        what = f"the label {str(label)[:40]} is none of 0 to {len(slots) - 1}"
        raise BadRecordError(Reason.NO_CANDIDATES, what)
    return "" if label == -1 else slots[label]


def _name(value: Any) -> str:
    return value if isinstance(value, str) and is_unicode(value) else ""


def _model(value: Any, shared: Any, place: int) -> str:
    if isinstance(value, Mapping) and value.get("model"):
        return _name(value["model"])
    if isinstance(shared, list):
        return _name(shared[place]) if place < len(shared) else ""
    return _name(shared)


def _common(values: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The messages that all begin with, and what is left of each."""
    whole = [value for value in values if isinstance(value, list)]
    if len(whole) < len(values):
        return None, list(values)
    length = 0
    while all(len(v) > length + 1 and v[length] == whole[0][length] for v in whole):
        length += 1
    return whole[0][:length] or None, [value[length:] for value in whole]


def _text(value: Any, prompt: Any) -> str:
    """The text of one candidate: its last message where it is a conversation."""
    if isinstance(value, Mapping):
        found = [value[k] for k in ("text", "content", "response") if value.get(k) is not None]
        value = next(filter(None, found), found[0] if found else None)
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        messages: list[Message] = value
        begin = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        if isinstance(begin, list) and value[: len(begin)] == begin:
            messages = value[len(begin) :]
        last = messages[-1] if messages else None
        if (
            len(messages) == 1
            and isinstance(last, Mapping)
            and last.get("role") == "assistant"
            and isinstance(last.get("content"), str)
        ):
            return last["content"]
        what = "a candidate is more than one message of the assistant's after the prompt"
        raise BadRecordError(Reason.NO_CANDIDATES, what)
    raise BadRecordError(Reason.NO_CANDIDATES, "a candidate is neither text nor messages")
