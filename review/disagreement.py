"""The rows on which people disagree most with the AI's labels, with their texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from charter.review.answers import SCORES, CheckedRow
from charter.review.spot_check import Kind

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["disagreements", "strength"]

_SHORT: Final = 700
_TEXTS: Final[dict[Kind, tuple[str, ...]]] = {
    "preference": ("prompt", "chosen", "rejected"),
    "sft": ("prompt", "initial_response", "completion"),
}


def strength(row: CheckedRow) -> float:
    """How strongly people disagree with a label: their distance from it, by the AI's confidence.

    A label that the AI was sure of and that all reviewers reject comes first.
    """
    against = [1 - SCORES[each.verdict] for each in row.answers]
    sure = 1.0 if row.p_chosen is None else row.p_chosen
    return sure * sum(against) / len(against)


def disagreements(
    rows: Iterable[CheckedRow], version: Version, most: int = 10
) -> list[dict[str, Any]]:
    """The rows of strongest disagreement, those first; rows on which all agree are none.

    Args:
        rows: what people said of each.
        version: whose texts are shown, each cut to a few hundred characters; `chosen` is what the
            AI chose, also where people have turned the label since.
        most: how many of each config.

    Returns:
        JSON data: `kind`, `row_id`, `strength`, `p_chosen`, `principle_id`, `category`,
        `verdict`, `texts` (name -> text) and `answers` (`reviewer`, `verdict`, `sure`,
        `comment`).
    """
    apart = [row for row in rows if strength(row) > 0]
    found = []
    for kind in _TEXTS:
        ours = sorted(
            (row for row in apart if row.kind == kind), key=lambda row: (-strength(row), row.row_id)
        )[:most]
        texts = _texts(version, kind, [row.row_id for row in ours])
        found += [_told(row, texts.get(row.row_id, {})) for row in ours]
    return found


def _told(row: CheckedRow, texts: dict[str, str]) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "row_id": row.row_id,
        "strength": round(strength(row), 4),
        "p_chosen": row.p_chosen,
        "principle_id": row.principle_id,
        "category": row.category,
        "verdict": row.verdict.value,
        "texts": texts,
        "answers": [
            {
                "reviewer": each.reviewer,
                "verdict": each.verdict.value,
                "sure": each.sure.value if each.sure else None,
                "comment": None if each.comment is None else shortened(each.comment),
            }
            for each in row.answers
        ],
    }


def _texts(version: Version, kind: Kind, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    if not ids or kind not in version.configs():
        return {}
    import polars as pl

    rows = version.rows(kind).filter(pl.col("id").is_in(list(ids)))
    columns = [name for name in _TEXTS[kind] if name in rows.columns]
    return {
        row["id"]: {name: shortened(_text(_as_judged(row)[name])) for name in columns}
        for row in rows.to_dicts()
    }


def _as_judged(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row as the AI labelled it, which people's verdicts are about; they may have turned it."""
    if row.get("label_source") != "human":
        return row
    return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


def _text(value: str | Sequence[Mapping[str, str]]) -> str:
    """A text, or messages with their roles; one answer alone needs none."""
    if isinstance(value, str):
        return value
    if len(value) == 1:
        return value[0]["content"]
    return "\n".join(f"{message['role']}: {message['content']}" for message in value)


def shortened(text: str) -> str:
    """The beginning of a text, with what is left out named."""
    return text if len(text) <= _SHORT else f"{text[:_SHORT]} […{len(text) - _SHORT:,} more]"
