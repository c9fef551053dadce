"""The reviews section of a card: what people said of the AI's labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from charter.hub.markdown import escaped, table

__all__ = ["reviews_told"]

_FIGURES: Final = {
    "agreement": "labels that people agree with; a tie or both bad counts half",
    "agreement_decided": "the same of answers that name a winner",
    "prediction_powered": "the same over the whole version, with p_chosen as the prediction",
    "kappa": "AI and a person beyond chance (Cohen's kappa)",
    "people_agreement": "answers of two people on one row that are the same",
    "fleiss": "people and people beyond chance (Fleiss' kappa)",
    "krippendorff": "people and people beyond chance (Krippendorff's alpha)",
    "gold_accuracy": "right answers on rows with known answers",
    "first_position_rate": "answers for the response shown first, of those that name one",
    "critique_right": "critiques that people call right",
    "still_harmful": "revisions that people call still harmful",
    "over_refusing": "revisions that people call over-refusing",
}
_GROUPS: Final = {
    "verdicts": "what people say",
    "by_principle": "agreement by principle",
    "by_category": "agreement by category",
    "by_confidence": "agreement by p_chosen",
}
_MOST: Final = 20


def reviews_told(reviews: Mapping[str, Any] | None) -> Iterator[str]:
    """The section of a manifest's `reviews`, part by part; nothing where there are none.

    Args:
        reviews: JSON data as `charter review publish` puts it there. It may be another program's:
            what is no estimate is left out.
    """
    if not reviews:
        return
    yield "## What people say of the labels"
    yield from _told(reviews)
    carried = reviews.get("carried")
    if isinstance(carried, dict) and _number(carried.get("answers")):
        yield (
            f"{carried['answers']} answers on {escaped(carried.get('from'))} go on with this "
            "version; no figure is counted from them."
        )
    more = reviews.get("sft")
    if isinstance(more, dict):
        yield "### Of the revisions"
        yield from _told(more)
    if _number(reviews.get("n")):
        yield (
            "People judged without seeing the AI's label. A row's verdict is that of most of its "
            "reviewers. Shares are weighted by the probabilities with which rows were drawn, and "
            "leave out the rows with known answers; intervals are at 95 %."
        )


def _told(found: Mapping[str, Any]) -> Iterator[str]:
    counts = [
        f"{said} {found[name]}"
        for name, said in (("n", "rows"), ("answers", "answers"), ("reviewers", "reviewers"))
        if _number(found.get(name))
    ]
    if counts:
        yield f"What counts, all of it blind: {', '.join(counts)}."
    rows = [
        (said, *_cells(found[name]))
        for name, said in _FIGURES.items()
        if _estimate(found.get(name)) and found[name]["value"] is not None
    ]
    if rows:
        yield table(("figure", "value", "95 % interval", "n"), rows)
    yield from _confusion(found.get("confusion"))
    for key, title in _GROUPS.items():
        yield from _group(title, found.get(key))
    yield from _left(found)


def _confusion(found: Any) -> Iterator[str]:
    """Rows by the AI's label and people's."""
    if not isinstance(found, dict) or not all(isinstance(row, dict) for row in found.values()):
        return
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    rows = [(ai, *(row.get(name, 0) for name in names)) for ai, row in found.items()]
    if any(value for _, *values in rows for value in values):
        yield "Rows by the AI's label and people's, as places on the screen:"
        yield table(("the AI says", *map(escaped, names)), rows)


def _group(title: str, found: Any) -> Iterator[str]:
    if not isinstance(found, dict):
        return
    rows = [
        (name, *_cells(each))
        for name, each in found.items()
        if _estimate(each) and each["value"] is not None
    ]
    if rows:
        yield table((title, "share", "95 % interval", "rows"), rows[:_MOST])
    if len(rows) > _MOST:
        yield f"And {len(rows) - _MOST} more in `charter.json`."


def _left(found: Mapping[str, Any]) -> Iterator[str]:
    """Which answers are in no figure, and why."""
    if _number(found.get("stale")) and found["stale"]:
        yield f"{found['stale']} answers on texts that have changed since are not used."
    shown = found.get("shown")
    if isinstance(shown, dict):
        for kind, each in shown.items():
            if isinstance(each, dict) and _number(each.get("answers")):
                yield (
                    f"{each['answers']} answers on `{escaped(kind)}` rows were given with the "
                    "AI's label in sight and are not in these figures."
                )
    gold = found.get("gold")
    if isinstance(gold, dict) and gold:
        failed = sum(bool(isinstance(each, dict) and each.get("failed")) for each in gold.values())
        below = f"; {failed} are below {found.get('min_gold')}" if failed else ""
        out = " and were left out" if failed and found.get("left_out") else ""
        yield escaped(f"{len(gold)} people answered rows with known answers{below}{out}.")


def _cells(found: Mapping[str, Any]) -> tuple[str, str, object]:
    low, high = found["low"], found["high"]
    interval = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return f"{found['value']:.3f}", interval, found["n"]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _estimate(found: Any) -> bool:
    if not isinstance(found, dict) or not {"value", "low", "high", "n"} <= found.keys():
        return False
    return all(found[name] is None or _number(found[name]) for name in ("value", "low", "high"))
