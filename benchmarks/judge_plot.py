"""The plot of `judge.py`: bars with their range, as a standalone SVG that reads light and dark."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

_WIDTH, _ROW, _TOP, _NAMES, _RIGHT = 640, 30, 40, 220, 70
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.title{font-weight:600}"
    ".bar{fill:#3b76af}.range{stroke:#222;stroke-width:1.5}.back{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.range{stroke:#ddd}.back{fill:#16191d}}"
)


def bars(title: str, values: Mapping[str, tuple[float, float, float]]) -> str:
    """An SVG with a bar for each name.

    Args:
        title: above the bars.
        values: name -> (value, low, high).
    """
    height = _TOP + _ROW * len(values) + 10
    most = max((high for _, _, high in values.values()), default=0.0) or 1.0

    def wide(value: float) -> float:
        return value / most * (_WIDTH - _NAMES - _RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}"><style>{_STYLE}</style>'
        f'<rect class="back" width="{_WIDTH}" height="{height}"/>'
        f'<text class="title" x="10" y="24">{escape(title)}</text>'
    ]
    for number, (name, (value, low, high)) in enumerate(values.items()):
        y = _TOP + _ROW * number
        middle = y + 11
        parts.append(
            f'<text x="{_NAMES - 10}" y="{y + 16}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="bar" x="{_NAMES}" y="{y}" width="{wide(value):.1f}" height="22"/>'
            f'<line class="range" x1="{_NAMES + wide(low):.1f}" x2="{_NAMES + wide(high):.1f}" '
            f'y1="{middle}" y2="{middle}"/>'
            f'<text x="{_NAMES + wide(high) + 8:.1f}" y="{y + 16}">{value:.3g}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
