"""The alignment tax as a page."""

from __future__ import annotations

from collections.abc import Sequence

from charter.evals.tax import ModelTax, TaxReport
from charter.evals.tax_figures import Tax
from charter.evals.tax_lines import HEAD, average_row, percent, tax_rows
from charter.html import figures, page, section, table, text
from charter.plots import grid
from charter.stats import Estimate

__all__ = ["forest", "tax_page"]

_WIDTH, _NAMES, _ROW, _END = 560, 170, 24, 90

_READ = (
    "Tax: percent of the base's score that is lost; negative is a gain. Intervals are at 95 % and "
    "hold for one benchmark. A change is called worse or better where its p, corrected by Holm "
    "over all benchmarks and models of this page, is below 0.05."
)


def tax_page(report: TaxReport) -> str:
    """The page of `charter eval tax`."""
    parts = [f'<p class="note">{text(note)}</p>\n' for note in (*report.notes, _READ)]
    for model in report.models:
        parts.append(section(f"{model.name} against {report.base}", _model(model)))
    return page("Alignment tax", parts)


def _model(model: ModelTax) -> list[str]:
    tested = [each for each in model.taxes.values() if each.beyond_noise is not None]
    sure = [each.value or 0.0 for each in tested if each.beyond_noise]
    shown = [("average tax, %", percent(model.average.value))]
    for name, count in (
        ("worse beyond noise", sum(value > 0 for value in sure)),
        ("better beyond noise", sum(value < 0 for value in sure)),
    ):
        shown.append((name, f"{count} of {len(tested)}" if tested else "not tested"))
    plots = [forest("Tax in percent of the base", [*model.taxes.items()])]
    return [
        figures(shown),
        grid(plots),
        table(HEAD, [*tax_rows(model), average_row(model)]),
        table(
            ("benchmark", "lost", "gained", "unmatched", "interval", "test", ""),
            [
                (
                    name,
                    "-" if each.lost is None else each.lost,
                    "-" if each.gained is None else each.gained,
                    each.unmatched,
                    each.method,
                    each.test,
                    each.reason,
                )
                for name, each in model.taxes.items()
            ],
        ),
    ]


def forest(title: str, rows: Sequence[tuple[str, Tax | Estimate]]) -> str:
    """Taxes with their intervals around a line of no change, one a row."""
    ends = [end for _, each in rows for end in (each.low, each.value, each.high) if end is not None]
    low, high = min(0.0, *ends, -1.0), max(0.0, *ends, 1.0)
    room = _WIDTH - _NAMES - _END

    def at(value: float) -> float:
        return _NAMES + (value - low) / (high - low) * room

    bottom = max(len(rows), 1) * _ROW + 4
    parts = [
        f'<line class="l-mute" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="0" y2="{bottom}"/>',
        *(
            f'<text class="mute" x="{at(tick):.1f}" y="{bottom + 14}" text-anchor="middle">'
            f"{tick:.3g}</text>"
            for tick in sorted({low, 0.0, high})
            if not tick or abs(at(tick) - at(0)) > 24
        ),
    ]
    for row, (name, found) in enumerate(rows):
        y = row * _ROW + 12
        said = name if len(name) < 25 else f"{name[:23]}…"
        parts.append(f'<text x="0" y="{y + 4}">{text(said)}</text>')
        if found.value is None:
            parts.append(f'<text class="mute" x="{_NAMES}" y="{y + 4}">no figure</text>')
            continue
        if found.low is not None and found.high is not None:
            parts.append(
                f'<line class="l-one" x1="{at(found.low):.1f}" x2="{at(found.high):.1f}" '
                f'y1="{y}" y2="{y}" stroke-width="2"/>'
            )
        look = "two" if found.value > 0 else "one"
        parts.append(
            f'<circle class="{look}" cx="{at(found.value):.1f}" cy="{y}" r="4"/>'
            f'<text class="mute" x="{_WIDTH - _END + 12}" y="{y + 4}">'
            f"{percent(found.value)} %</text>"
        )
    return (
        f"<figure><figcaption>{text(title)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {bottom + 22}" role="img" aria-label="{text(title)}">'
        f"{''.join(parts)}</svg></figure>\n"
    )
