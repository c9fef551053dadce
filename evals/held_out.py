"""Prompts to measure with: by category, and none that was trained on."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from charter.documents import read_text
from charter.errors import Fault, InputError, nearest
from charter.hub.schema import TRAINED
from charter.rows import Message, messages_id, normalised

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["HeldOut", "held_out", "text_of", "trained_texts"]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One prompt to measure with."""

    id: str
    messages: tuple[Message, ...]
    category: str


def held_out(
    path: Path,
    categories: Sequence[str],
    per_category: int,
    trained_on: Collection[str] = (),
) -> list[HeldOut]:
    """The first prompts of each category in a jsonl file, those trained on left out.

    Args:
        path: lines of `id`, `prompt` (text or messages) and `category`.
        categories: which ones.
        per_category: at most so many of each.
        trained_on: normalised texts of prompts that a model has seen.

    Raises:
        InputError: a line is no such record, an id or a prompt stands there twice, or a category
            has no prompt left.
    """
    found: dict[str, list[HeldOut]] = {name: [] for name in categories}
    known: set[str] = set()
    twice = _Twice(str(path))
    # JSON allows U+2028 and the like inside a line, and `splitlines` would cut there.
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        prompt = _prompt(f"{path}:{number}", line)
        known.add(prompt.category)
        bucket = found.get(prompt.category)
        if bucket is None:
            continue
        twice.see(number, prompt)
        if len(bucket) < per_category and text_of(prompt.messages) not in trained_on:
            bucket.append(prompt)
    faults = twice.faults
    for name, prompts in found.items():
        if name not in known:
            what = f'no prompt has the category "{name}"'
            faults.append(Fault(str(path), "categories", what, nearest(name, known)))
        elif not prompts:
            what = f'every prompt of the category "{name}" was trained on'
            faults.append(Fault(str(path), "categories", what, "give more prompts"))
    if faults:
        raise InputError(faults)
    return [prompt for prompts in found.values() for prompt in prompts]


def trained_texts(version: Version) -> set[str]:
    """Texts (`text_of`) of the prompts that models are trained on from a version."""
    return {
        text_of(messages)
        for config in TRAINED
        if config in version.configs() and "train" in version.splits(config)
        for messages in version.rows(config, "train")["prompt"].to_list()
    }


def text_of(messages: Sequence[Message]) -> str:
    """A prompt's text, normalised: what tells whether two prompts are the same."""
    return normalised("\n".join(message["content"] for message in messages))


class _Twice:
    """Finds what stands in a file twice: answers are told apart by id, and each prompt counts once.

    Attributes:
        faults: one for each line that has what an earlier one has.
    """

    def __init__(self, path: str) -> None:
        self.faults: list[Fault] = []
        self._path = path
        self._ids: dict[str, int] = {}
        self._texts: dict[tuple[str, str], int] = {}

    def see(self, number: int, prompt: HeldOut) -> None:
        """Look at the prompt of a line."""
        same = self._texts.setdefault((prompt.category, text_of(prompt.messages)), number)
        if same != number:
            what = (
                f'is the prompt of {self._path}:{same} again, in the category "{prompt.category}"'
            )
            self._fault(number, what, "remove one of them")
            return
        first = self._ids.setdefault(prompt.id, number)
        if first != number:
            what = f'has the id "{prompt.id}" of {self._path}:{first}'
            self._fault(number, what, "give each prompt an id of its own")

    def _fault(self, number: int, what: str, fix: str) -> None:
        self.faults.append(Fault(f"{self._path}:{number}", "", what, fix))


def _prompt(place: str, line: str) -> HeldOut:
    try:
        record = json.loads(line)
        prompt = record["prompt"]
        if isinstance(prompt, str):
            prompt = [{"role": "user", "content": prompt}]
        messages: tuple[Message, ...] = tuple(
            {"role": m["role"], "content": str(m["content"])} for m in prompt
        )
        category = str(record["category"])
    except (ValueError, KeyError, TypeError):
        what = "is no record of prompt and category"
        fix = 'write {"id": ..., "prompt": ..., "category": ...}'
        raise InputError(Fault(place, "", what, fix)) from None
    return HeldOut(str(record.get("id") or messages_id(messages)), messages, category)
