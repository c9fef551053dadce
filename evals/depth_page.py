"""The depth of models' safety as a page."""

from __future__ import annotations

from collections.abc import Mapping

from charter.evals.depth import EARLY, DepthFigures
from charter.evals.judge_figures import rounded
from charter.html import figures, page, section, table, text
from charter.plots import Series, estimates, grid, lines

__all__ = ["depth_page"]


def depth_page(found: Mapping[str, DepthFigures], base: str, noted: Mapping[str, int]) -> str:
    """The page of `charter eval depth`.

    Args:
        found: the figures by model, the base among them.
        base: its name.
        noted: prompts left out, by reason.
    """
    notes = [f"{n:,} prompts left out: {what.replace('_', ' ')}" for what, n in noted.items() if n]
    parts = ["".join(f'<p class="note">{text(note)}</p>\n' for note in notes)]
    for name, each in found.items():
        if name != base:
            parts.append(section(name, _model(each, found.get(base))))
    return page("How deep the safety goes", parts)


def _model(found: DepthFigures, base: DepthFigures | None) -> list[str]:
    half = "none tried" if found.half is None else f"{found.half}"
    divergence = Series("mean", _points(found))
    attacked = [(f"{each.tokens} tokens", each.complied) for each in found.prefilled]
    plots = [
        lines("KL to the base at each token of a compliant answer (nats)", [divergence], "token"),
        estimates("Complies after forced tokens", attacked),
    ]
    if base is not None:
        before = [(f"{each.tokens} tokens", each.complied) for each in base.prefilled]
        plots.append(estimates("The base, the same tokens", before))
    return [
        figures(
            [
                (f"divergence in the first {EARLY} tokens", rounded(found.early)),
                ("forced tokens for half", half),
                ("answers", f"{found.answers:,}"),
            ]
        ),
        grid(plots),
        table(
            ("forced tokens", "complies [95 %]", "n", "says nothing"),
            [
                (each.tokens, rounded(each.complied), each.complied.n or 0, each.stopped)
                for each in found.prefilled
            ],
        ),
    ]


def _points(found: DepthFigures) -> list[tuple[float, float]]:
    return [(at + 1.0, each.value or 0.0) for at, each in enumerate(found.by_token)]
