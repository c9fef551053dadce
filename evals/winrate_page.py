"""Win rates as a page."""

from __future__ import annotations

from collections.abc import Mapping

from charter.evals.bradley_terry import points
from charter.evals.judge_figures import rounded
from charter.evals.winrate import PairFigures, WinRates
from charter.html import figures, page, section, table, text
from charter.plots import estimates, grid

__all__ = ["winrate_page"]


def winrate_page(found: WinRates, unanswered: Mapping[str, int]) -> str:
    """The page of `charter eval winrate`.

    Args:
        found: the figures.
        unanswered: prompts without an answer, by model; they are in no figure.
    """
    first = found.pairs[0]
    notes = [
        *found.warnings,
        *(
            f"{name} gave no answer to {n:,} prompts; they are left out"
            for name, n in unanswered.items()
        ),
    ]
    names = [f"{pair.one} against {pair.other}" for pair in found.pairs]
    parts = [
        figures(
            [
                ("win rate", rounded(first.rate)),
                ("at equal length", rounded(first.controlled)),
                ("games", f"{first.rate.n or 0:,}"),
            ]
        ),
        "".join(f'<p class="note">{text(note)}</p>\n' for note in notes),
        table(
            ("", "won", "tied", "lost", "win rate [95 %]", "at equal length", "mean p", "better"),
            [_row(name, pair) for name, pair in zip(names, found.pairs, strict=True)],
        ),
        grid(
            [
                estimates(
                    "Win rates", [(n, p.rate) for n, p in zip(names, found.pairs, strict=True)]
                ),
                estimates(
                    "At equal length",
                    [(n, p.controlled) for n, p in zip(names, found.pairs, strict=True)],
                ),
            ]
        ),
        table(
            ("model", f"Elo rating ({found.models[0]} is 1000) [95 %]", "games"),
            [(name, points(each), each.n or 0) for name, each in found.elo.items()],
        ),
    ]
    parts += [
        section(f"{name}, by category", [estimates("Win rates", list(pair.by_category.items()))])
        for name, pair in zip(names, found.pairs, strict=True)
        if pair.by_category
    ]
    return page(f"Win rate of {first.one}", parts)


def _row(name: str, pair: PairFigures) -> tuple[object, ...]:
    shown = (rounded(each) for each in (pair.rate, pair.controlled, pair.soft))
    return (name, pair.wins, pair.ties, pair.losses, *shown, pair.better or "neither")
