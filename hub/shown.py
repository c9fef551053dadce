"""What people were shown of a row, and what their answers say of it as it stands now.

An answer's verdict is in terms of the row that was shown. Where `chosen` and `rejected` have
changed places since, by people's word or the judge's, its digest of the texts tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from charter.rows import digest

if TYPE_CHECKING:
    from charter.constitutions import Constitution

__all__ = ["First", "principle_text", "shown_texts", "texts_digest", "verdict_now"]

First = Literal["chosen", "rejected"] | None
"""Which of a pair is A; None for `sft`."""

_Kind = Literal["preference", "sft"]
_OTHER: Final = {"CHOSEN": "REJECTED", "REJECTED": "CHOSEN"}


def shown_texts(
    kind: _Kind, row: Mapping[str, Any], first: First, constitution: Constitution | None
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


def principle_text(ids: Iterable[str], kind: _Kind, constitution: Constitution | None) -> str:
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


def verdict_now(
    kind: _Kind, row: Mapping[str, Any], answer: Mapping[str, Any], constitution: Constitution
) -> str | None:
    """An answer's verdict in terms of the row as it stands.

    None where it was on other texts, or does not say which of the two was A.

    Args:
        kind: config of the row.
        row: its columns.
        answer: a row of `reviews` on it.
        constitution: of the version.
    """
    verdict, first = str(answer["verdict"]), answer["first"]
    if kind == "sft":
        same = texts_digest(shown_texts(kind, row, None, constitution)) == answer["texts"]
        return verdict if same else None
    sides: tuple[First, ...] = ("chosen", "rejected") if first else ()
    for side in sides:
        if texts_digest(shown_texts(kind, row, side, constitution)) == answer["texts"]:
            return verdict if side == first else _OTHER.get(verdict, verdict)
    return None
