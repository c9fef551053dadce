"""Answers to compare: of prompts by local models, or read from a file that somebody made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from charter.errors import Fault, InputError, nearest
from charter.evals.held_out import HeldOut
from charter.evals.judge_lines import Lines
from charter.evals.measure import Model
from charter.models.call import Call
from charter.models.thoughts import without_thoughts
from charter.recipes.given import BadRecordError
from charter.recipes.prompts import messages_of
from charter.rows import draw_int, draw_unit, messages_id

__all__ = ["Answered", "answers_of_file", "answers_of_model", "read_asked"]

_TEXTS: Final = ("completion", "response", "answer", "text")


@dataclass(frozen=True, slots=True)
class Answered:
    """What one model answered.

    Attributes:
        texts: answers by prompt id, without thoughts before them.
        failed: why a prompt has no answer, by its id.
    """

    texts: Mapping[str, str]
    failed: Mapping[str, str]


def read_asked(
    path: Path,
    limit: int | None = None,
    seed: int = 0,
    categories: Collection[str] | None = None,
) -> list[HeldOut]:
    """The prompts of a jsonl file: `prompt` (text or messages), and `id` and `category` if it has.

    Args:
        path: the file, plain or gzipped.
        limit: at most so many, drawn by a hash of the seed and their ids, in the file's order.
        seed: of the draw.
        categories: prompts of these alone.

    Raises:
        InputError: a line is no such record, two have one id, or none has a category named.
    """
    lines = Lines(path)
    found: dict[str, HeldOut] = {}
    for number, row in lines:
        try:
            messages = messages_of(row.get("prompt"))
        except BadRecordError as error:
            lines.fault(
                number, "prompt", str(error), 'give text, or [{"role": ..., "content": ...}]'
            )
            continue
        name = str(row["id"]) if row.get("id") not in (None, "") else messages_id(messages)
        if name in found:
            lines.fault(number, "id", f'there is another prompt "{name}"', "keep one of them")
            continue
        found[name] = HeldOut(name, messages, str(row.get("category") or ""))
    lines.check(len(found), "prompts")
    if categories is not None:
        known = dict.fromkeys(prompt.category for prompt in found.values())
        faults = [
            Fault(str(path), "", f'no prompt has the category "{name}"', nearest(name, known))
            for name in sorted(categories)
            if name not in known
        ]
        if faults:
            raise InputError(faults)
        found = {name: each for name, each in found.items() if each.category in categories}
    if limit is None or limit >= len(found):
        return list(found.values())
    drawn = sorted(found, key=lambda name: draw_unit(seed, "asked", name))[:limit]
    kept = set(drawn)
    return [prompt for name, prompt in found.items() if name in kept]


def answers_of_model(
    model: Model,
    prompts: Sequence[HeldOut],
    *,
    max_tokens: int,
    batch: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> Answered:
    """Greedy answers, in batches of the prompts' order.

    Args:
        model: who answers.
        prompts: what is asked.
        max_tokens: longest answer.
        batch: prompts asked at once.
        progress: called as `progress(done, total)` after each batch.
    """
    texts: dict[str, str] = {}
    failed: dict[str, str] = {}
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        calls = [
            Call(
                step="winrate",
                prompt_id=prompt.id,
                index=0,
                seed=draw_int(0, prompt.id, "winrate", 0),
                messages=prompt.messages,
            )
            for prompt in part
        ]
        given = model.generate(calls, temperature=0.0, top_p=1.0, max_tokens=max_tokens)
        for prompt, answer in zip(part, given, strict=True):
            if answer.ok:
                texts[prompt.id] = without_thoughts(answer.text)
            else:
                failed[prompt.id] = answer.error
        if progress is not None:
            progress(start + len(part), len(prompts))
    return Answered(texts, failed)


def answers_of_file(path: Path, prompts: Sequence[HeldOut]) -> Answered:
    """Answers that are there: jsonl of `id` or `prompt`, and `completion` (or `response`, ...).

    Lines of other prompts are passed over.

    Raises:
        InputError: a line has neither a key of these, a prompt has two answers, or not one prompt
            has an answer.
    """
    by_id = {prompt.id: prompt.id for prompt in prompts}
    by_text = {messages_id(prompt.messages): prompt.id for prompt in prompts}
    lines = Lines(path)
    texts: dict[str, str] = {}
    for number, row in lines:
        said = _said(row)
        if said is None:
            fix = f"name the answer one of {', '.join(_TEXTS)}"
            lines.fault(number, "", "has no answer that is text", fix)
            continue
        name = by_id.get(str(row.get("id"))) or _by_prompt(row, by_text)
        if name is None:
            continue
        if name in texts:
            lines.fault(number, "", f'a second answer to "{name}"', "keep one of them")
        texts[name] = without_thoughts(said)
    lines.check(len(texts), "answers to these prompts")
    missing = dict.fromkeys((name for name in by_id if name not in texts), "not in the file")
    return Answered(texts, missing)


def _said(row: Mapping[str, Any]) -> str | None:
    for key in _TEXTS:
        value = row.get(key)
        if isinstance(value, list) and value and isinstance(value[-1], Mapping):
            value = value[-1].get("content")
        if isinstance(value, str):
            return value
    return None


def _by_prompt(row: Mapping[str, Any], by_text: Mapping[str, str]) -> str | None:
    try:
        return by_text.get(messages_id(messages_of(row.get("prompt"))))
    except BadRecordError:
        return None
