"""The texts of a row as a reviewer sees them, and their digest.

Argilla's web page sets plain fields into its HTML as they are (2.8.0: `innerHTML`), so that a row's
`<img src=...>` would be fetched and `onerror=` would run. Here every text is escaped, and the page
shows it letter by letter. Its server takes at most 20,000 characters a chat message: longer ones
go on in further bubbles of the same speaker, whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from charter.hub.shown import First, principle_text, shown_texts, texts_digest

__all__ = [
    "MOST_BUBBLES",
    "First",
    "bubbles",
    "plain",
    "principle_text",
    "shown_texts",
    "texts_digest",
]

MOST_BUBBLES: Final = 500
"""Messages of a chat field that Argilla's server takes."""

_BUBBLE: Final = 20_000
_ROLE: Final = 20
_ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\u2400"})
_LONGEST_ENTITY: Final = 5
_EMPTY: Final = "[empty message]"


def plain(text: str) -> str:
    """The text for a field that the page takes for HTML."""
    return text.translate(_ENTITIES)


def bubbles(messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """A conversation for a chat field: nothing cut, nothing that the page would act on."""
    return [
        # The speaker's name is shown as text already.
        {"role": message["role"][:_ROLE] or "-", "content": part}
        for message in messages
        for part in _parts(plain(message["content"]) or _EMPTY)
    ]


def _parts(text: str) -> Iterable[str]:
    while len(text) > _BUBBLE:
        end = _BUBBLE
        # At the end of a line or word if one is near, and never within `&amp;`.
        near = max(text.rfind(mark, end - 500, end) for mark in "\n ")
        if near > 0:
            end = near + 1
        else:
            opened = text.rfind("&", end - _LONGEST_ENTITY + 1, end)
            if opened >= 0 and ";" not in text[opened:end]:
                end = opened
        yield text[:end]
        text = text[end:]
    yield text
