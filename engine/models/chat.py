"""From messages to token ids, with every text kept inside its own message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from charter.rows import Message

__all__ = ["conversation_ids", "defused"]

# Nothing a reader sees, and enough to keep a tokenizer from reading a mark of the template.
_BREAK = "\u200b"


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
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    marks = sorted({*added, *tokenizer.all_special_tokens}, key=len, reverse=True)
    text = tokenizer.apply_chat_template(
        [{"role": m["role"], "content": defused(m["content"], marks)} for m in messages],
        tokenize=False,
        add_generation_prompt=True,
    )
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids
