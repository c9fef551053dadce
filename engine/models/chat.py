"""From messages to token ids, with every text kept inside its own message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from charter.rows import Message

__all__ = ["conversation_ids", "defused", "marks_of"]

# Nothing a reader sees, and enough to keep a tokenizer from reading a mark of the template.
_BREAK = "\u200b"
# Some models have the marks of their turns as added tokens that are not special.
_FORMS = ("<|", "<｜", "<start_of_", "<end_of_")


def marks_of(tokenizer: Any) -> list[str]:
    """What a tokenizer takes for one token that no text may hold, the longest first."""
    added = tokenizer.added_tokens_decoder.values()
    found = {str(token) for token in added if token.special or str(token).startswith(_FORMS)}
    return sorted({*found, *tokenizer.all_special_tokens}, key=len, reverse=True)


def defused(text: str, marks: Sequence[str]) -> str:
    """The text with each of the template's marks broken by a zero-width space.

    A prompt or a response that says `<|im_end|>` would otherwise end its message, and could
    speak on in another role.
    """
    for mark in marks:
        if mark in text:
            text = text.replace(mark, mark[:1] + _BREAK + mark[1:])
    return text


def conversation_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """The ids of a conversation up to where the answer begins.

    Raises:
        jinja2.TemplateError: the chat template refuses the messages.
    """
    marks = marks_of(tokenizer)
    text = tokenizer.apply_chat_template(
        [{"role": m["role"], "content": defused(m["content"], marks)} for m in messages],
        tokenize=False,
        add_generation_prompt=True,
    )
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids
