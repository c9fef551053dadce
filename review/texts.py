"""The texts of a row as a reviewer sees them, and their digest.

Argilla's web page sets plain fields into its HTML as they are (2.8.0: `innerHTML`), so that a row's
`<img src=...>` would be fetched and `onerror=` would run. Here every text is escaped, and the page
shows it letter by letter. Its server takes at most 20,000 characters a chat message: longer ones
go on in further bubbles of the same speaker, whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from charter.rows import digest

if TYPE_CHECKING:
    from charter.constitutions import Constitution
    from charter.review.spot_check import Kind

__all__ = [
    "MOST_BUBBLES",
    "First",
    "bubbles",
    "plain",
    "principle_text",
    "shown_texts",
    "texts_digest",
]

First = Literal["chosen", "rejected"] | None
"""Which of a pair is A; None for `sft`."""

MOST_BUBBLES: Final = 500
"""Messages of a chat field that Argilla's server takes."""

_BUBBLE: Final = 20_000
_ROLE: Final = 20
_ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\u2400"})
_LONGEST_ENTITY: Final = 5
_EMPTY: Final = "[empty message]"


def shown_texts(
    kind: Kind, row: Mapping[str, Any], first: First, constitution: Constitution | None
) -> dict[str, Any]:
    """What a reviewer reads of a row, by field: messages where it is a chat, else text.

    The judge's rationale is not among them: it may be shown or left out, and the question of
    which response is better stays the same.

    Args:
        kind: config of the row.
        row: its columns.
        first: which response is A; None for `sft`.
        constitution: of the version, for the principles' texts; ids alone where None.
    """
    if kind == "sft":
        made = row["revisions"]
        critiques = [each["critique"] for each in made]
        if len(critiques) > 1:
            critiques = [f"{k}. {text}" for k, text in enumerate(critiques, 1)]
        said = [{"role": "assistant", "content": row["initial_response"]}]
        return {
            "prompt": row["prompt"],
            "original": said,
            "critique": "\n\n".join(critiques),
            "revision": row["completion"],
            "principle": principle_text([r["principle_id"] for r in made], kind, constitution),
        }
    first, second = ("chosen", "rejected") if first == "chosen" else ("rejected", "chosen")
    return {
        "prompt": row["prompt"],
        "response_a": row[first],
        "response_b": row[second],
        "principle": principle_text(row["principle_ids"], kind, constitution),
    }


def texts_digest(texts: Mapping[str, Any]) -> str:
    """SHA-256 of what `shown_texts` gives, in hex; another order of A and B is another digest."""
    return digest("texts", dict(texts))


def principle_text(ids: Iterable[str], kind: Kind, constitution: Constitution | None) -> str:
    """The principles in their own words: each one's name and what was asked of the model."""
    known = {each.id: each for each in constitution.principles} if constitution else {}
    parts = []
    for one in dict.fromkeys(ids):
        principle = known.get(one)
        if principle is None:
            parts.append(one)
        else:
            asked = principle.critique if kind == "sft" else principle.comparison
            parts.append(f"{principle.name}\n{asked}")
    return "\n\n".join(parts)


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
