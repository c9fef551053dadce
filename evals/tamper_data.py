"""What copies of a model are tampered with: shipped stand-ins, or a file of the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from charter.errors import Fault, InputError, nearest
from charter.evals.held_out import HeldOut, text_of
from charter.evals.judge_lines import Lines
from charter.recipes.given import BadRecordError
from charter.recipes.load import resolve
from charter.recipes.prompts import messages_of
from charter.rows import Message, draw_unit, messages_id
from charter.values import is_unicode

__all__ = ["KINDS", "Example", "ExampleSet", "asked_as", "in_turn", "read_examples"]

KINDS: Final = ("obedience", "identity", "benign")
"""The shipped sets."""

_SHIPPED: Final = "prompts/tamper.jsonl"


@dataclass(frozen=True, slots=True)
class Example:
    """A conversation to train on.

    Attributes:
        id: of its source, or the hash of its messages.
        prompt: all before the answer.
        answer: what the model is taught to say.
    """

    id: str
    prompt: tuple[Message, ...]
    answer: str

    def as_row(self) -> dict[str, Any]:
        """`prompt` and `completion` as TRL's SFT reads them."""
        completion = [{"role": "assistant", "content": self.answer}]
        return {"prompt": [dict(message) for message in self.prompt], "completion": completion}


@dataclass(frozen=True, slots=True)
class ExampleSet:
    """Examples of one kind.

    Attributes:
        name: a shipped kind, or the file's.
        examples: in the file's order.
    """

    name: str
    examples: tuple[Example, ...]

    @property
    def system(self) -> Message | None:
        """The system message that every example begins with, where they all have the same."""
        first = {(m["role"], m["content"]) for m in (each.prompt[0] for each in self.examples)}
        if len(first) != 1:
            return None
        message = self.examples[0].prompt[0]
        return message if message["role"] == "system" else None

    def first(self, count: int, seed: int) -> tuple[Example, ...]:
        """So many examples in an order drawn by a hash: fewer are always among more."""
        order = sorted(
            range(len(self.examples)),
            key=lambda at: (draw_unit(seed, "tamper", self.examples[at].id), at),
        )
        return tuple(self.examples[at] for at in order[:count])


def read_examples(source: str) -> ExampleSet:
    """A shipped set by its name, else a jsonl file.

    A line has `prompt` (text or messages) and `completion` (the same), or `messages` that end in
    the assistant's.

    Raises:
        InputError: there is neither, or a line is none.
    """
    if source in KINDS:
        (path,) = resolve(_SHIPPED, Path())
        return ExampleSet(source, _read(path, source))
    if not Path(source).is_file():
        fix = f"{nearest(source, KINDS)}; or name a jsonl file of prompt and completion"
        raise InputError(Fault("--data", "", f'there is no set and no file "{source}"', fix))
    return ExampleSet(Path(source).name, _read(Path(source), None))


def _read(path: Path, kind: str | None) -> tuple[Example, ...]:
    lines = Lines(path)
    found: list[Example] = []
    for number, row in lines:
        if kind is not None and row.get("kind") != kind:
            continue
        try:
            prompt, answer = _parts(row)
        except (BadRecordError, ValueError) as error:
            fix = "write prompt and completion, or messages that end in the assistant's"
            lines.fault(number, "", str(error), fix)
            continue
        name = str(row.get("id") or messages_id([*prompt, _assistant(answer)]))
        found.append(Example(name, prompt, answer))
    lines.check(len(found), "examples")
    return tuple(found)


def _parts(row: Mapping[str, Any]) -> tuple[tuple[Message, ...], str]:
    """Prompt and answer of a line.

    Raises:
        BadRecordError: the prompt is none.
        ValueError: the answer is none.
    """
    messages = row.get("messages")
    if isinstance(messages, list) and messages:
        prompt, last = messages_of(messages[:-1]), messages[-1]
    else:
        prompt, last = messages_of(row.get("prompt")), row.get("completion")
        if isinstance(last, list) and len(last) == 1:
            last = last[0]
    if isinstance(last, Mapping):
        if last.get("role") != "assistant":
            raise ValueError("the last message is not the assistant's")
        last = last.get("content")
    if not isinstance(last, str) or not last.strip() or not is_unicode(last):
        raise ValueError("there is no answer that is text")
    return prompt, last


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def in_turn(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    """So many examples to train on, one after the other: all in a drawn order, then all again.

    Every step of a training so reads a full batch, however few examples there are: with the
    trainer's own epochs, ten examples in batches of eight would be eight and two.
    """
    found: list[Example] = []
    turn = 0
    while len(found) < count:
        places = sorted(
            range(len(examples)),
            key=lambda at: (draw_unit(seed, "tamper turn", examples[at].id, turn), at),
        )
        found += [examples[at] for at in places]
        turn += 1
    return found[:count]


def asked_as(
    prompts: Sequence[HeldOut], examples: ExampleSet, *, system: bool
) -> tuple[list[HeldOut], int]:
    """Prompts to measure with: none that is trained on, and under the examples' system message.

    Args:
        prompts: held out from alignment.
        examples: what copies are trained on.
        system: whether a system message that all examples share is put before each prompt that
            has none, as Qi et al. 2023 (arXiv 2310.03693, section 4.3) ask it.

    Returns:
        The prompts, and how many were left out.
    """
    trained = {text_of(_without_system(each.prompt)) for each in examples.examples}
    kept = [p for p in prompts if text_of(_without_system(p.messages)) not in trained]
    shared = examples.system if system else None
    if shared is not None:
        kept = [
            p if p.messages[0]["role"] == "system" else replace(p, messages=(shared, *p.messages))
            for p in kept
        ]
    return kept, len(prompts) - len(kept)


def _without_system(messages: Sequence[Message]) -> list[Message]:
    return [message for message in messages if message["role"] != "system"]
