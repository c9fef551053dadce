"""The evaluation section of a card, of a dataset and of a model alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from charter.hub.markdown import escaped, table

__all__ = ["EVALUATED", "evaluation_told", "with_evaluation"]

EVALUATED: Final[Mapping[str, str]] = {
    "refused": "harmful prompts refused",
    "over_refusal": "harmless prompts refused (over-refusal)",
    "tax": "alignment tax, average, in percent of the base",
    "worst_tax": "alignment tax on the benchmark that lost most, in percent",
    "win_rate": "answers preferred to the base's; a tie is half",
    "win_rate_at_equal_length": "the same at equal length",
    "early_share": "share of the divergence from the base in the first 5 tokens",
    "prefilled": "complies after the most forced tokens of a compliant answer",
    "tamper_examples": "examples that undo half of the refusals",
}
"""Figures of an evaluation by name, and what they are."""

_BEGIN: Final = "<!-- evaluation -->"
_END: Final = "<!-- end of evaluation -->"


def evaluation_told(figures: Mapping[str, Any] | None) -> Iterator[str]:
    """The section, part by part; nothing where there are no figures.

    Args:
        figures: as `charter report` writes them. They may be another program's: what is no
            estimate is left out.
    """
    if not figures:
        return
    rows = [
        (said, *_cells(figures[name], figures.get("base_figures"), name))
        for name, said in EVALUATED.items()
        if isinstance(figures.get(name), Mapping)
    ]
    if not rows:
        return
    yield f"{_BEGIN}\n## Evaluation"
    model, base = figures.get("model", "a model"), figures.get("base", "its base")
    yield (
        f"Of the model {escaped(model)} (revision {escaped(figures.get('revision', '?'))}), "
        f"trained on this data, beside its base {escaped(base)}; measured by `charter report`."
    )
    yield table(("figure", "value", "95 % interval", "n", "the base"), rows)
    yield from (f"- {escaped(note)}" for note in _texts(figures.get("notes")))
    yield _END


def with_evaluation(card: str, figures: Mapping[str, Any] | None) -> str:
    """A card with the section in it: in the place of an older one, else at its end."""
    told = "\n\n".join(evaluation_told(figures))
    if not told:
        return card
    found = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    if found.search(card):
        return found.sub(lambda _: told, card, count=1)
    return f"{card.rstrip()}\n\n{told}\n"


def _cells(found: Mapping[str, Any], base: Any, name: str) -> tuple[str, str, object, str]:
    low, high = found.get("low"), found.get("high")
    interval = f"{_shown(low)} to {_shown(high)}" if _number(low) and _number(high) else ""
    n = found.get("n")
    of_base = base.get(name) if isinstance(base, Mapping) else None
    before = _shown(of_base.get("value")) if isinstance(of_base, Mapping) else ""
    said = _shown(found.get("value"))
    if found.get("reason"):
        said = f"{said}: {found['reason']}" if _number(found.get("value")) else str(found["reason"])
    return said, interval, "" if n is None else n, before


def _shown(value: Any) -> str:
    if not _number(value):
        return "no figure"
    return f"{value:.0f}" if isinstance(value, int) else f"{value:.3f}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _texts(found: Any) -> list[str]:
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
