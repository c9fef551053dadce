"""Small plots as inline SVG for reports: bars, lines, estimates, heat maps. No script."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from charter.html import text
from charter.stats import Estimate

__all__ = ["Series", "bars", "estimates", "grid", "heat", "histogram", "lines", "reliability"]

_WIDTH, _HEIGHT = 560, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 26, 30
_LOOKS = ("one", "two", "mute")
_ROW = 22  # height of a row of `bars` and `estimates`
_NAMES = 230  # width of the names there


@dataclass(frozen=True, slots=True)
class Series:
    """One line or one histogram of a plot.

    Attributes:
        name: in the legend.
        points: (x, y), x ascending; of a histogram (left edge of the bin, count).
    """

    name: str
    points: Sequence[tuple[float, float]]


def grid(plots: Iterable[str]) -> str:
    """Plots beside each other, as many as fit."""
    return f'<div class="plots">{"".join(plots)}</div>\n'


def _figure(title: str, height: float, body: str) -> str:
    return (
        f"<figure><figcaption>{text(title)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{text(title)}">'
        f"{body}</svg></figure>\n"
    )


def _ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers from low to high."""
    if not high > low:
        return [low]
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _number(value: float) -> str:
    if abs(value) >= 1e4:
        return f"{value / 1000:g}k" if abs(value) < 1e6 else f"{value / 1e6:g}M"
    return f"{value:.4g}"


def _label(x: float, y: float, said: str, anchor: str = "start", look: str = "") -> str:
    style = f' class="{look}"' if look else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{text(said)}</text>'


class _Axes:
    """A frame with both axes drawn, and the way from values to places in it."""

    def __init__(
        self, x: tuple[float, float], high: float, x_name: str, unit: float = 1, low: float = 0.0
    ) -> None:
        self._x, self._span = x[0], max(x[1] - x[0], 1e-12)
        self._low = low
        self._high = high if high > low else low + 1.0
        parts = []
        for y in _ticks(self._low, self._high):
            at = self.y(y)
            parts.append(
                f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" '
                f'y1="{at:.1f}" y2="{at:.1f}"/>'
            )
            parts.append(_label(_LEFT - 6, at + 4, _number(y), "end", "mute"))
        for value in _ticks(x[0] / unit, x[1] / unit, 6):
            at = self.x(value * unit)
            parts.append(_label(at, _HEIGHT - _BOTTOM + 15, _number(value), "middle", "mute"))
        parts.append(_label(_WIDTH - _RIGHT, _HEIGHT - 2, x_name, "end", "mute"))
        self.drawn = "".join(parts)

    def x(self, value: float) -> float:
        """Where a value of x is."""
        return _LEFT + (value - self._x) / self._span * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Where a value of y is."""
        share = (value - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _legend(names: Sequence[str]) -> str:
    """The names of series, above the frame; one alone is the title's to name."""
    if len(names) < 2:
        return ""
    parts, x = [], float(_LEFT)
    for name, look in zip(names, _LOOKS, strict=False):
        parts.append(f'<rect class="{look}" x="{x:.1f}" y="6" width="10" height="10"/>')
        parts.append(_label(x + 14, 15, name))
        x += 30 + 6.5 * len(name)
    return "".join(parts)


def histogram(title: str, series: Sequence[Series], width: float, x_name: str) -> str:
    """Counts in bins of one width; the second series stands before the first, translucent."""
    edges = [x for each in series for x, _ in each.points]
    if not edges:
        return _figure(title, 40, _label(0, 22, "nothing to show", look="mute"))
    high = max(y for each in series for _, y in each.points)
    axes = _Axes((min(edges), max(edges) + width), high, x_name)
    parts = [axes.drawn, _legend([each.name for each in series])]
    for number, each in enumerate(series):
        look = f"{_LOOKS[number]} over" if number else _LOOKS[0]
        for x, y in each.points:
            if not y:
                continue
            left, right, top = axes.x(x), axes.x(x + width), axes.y(y)
            said = f"{each.name}: {_number(y)} from {_number(x)} to {_number(x + width)}"
            parts.append(
                f'<rect class="{look}" x="{left + 0.5:.1f}" y="{top:.1f}" '
                f'width="{max(right - left - 1, 0.5):.1f}" height="{axes.y(0) - top:.1f}">'
                f"<title>{text(said)}</title></rect>"
            )
    return _figure(title, _HEIGHT, "".join(parts))


def lines(
    title: str, series: Sequence[Series], x_name: str, marks: Sequence[float] = (), unit: float = 1
) -> str:
    """Lines over one x; `marks` are drawn as upright lines, `unit` divides x for its labels."""
    points = [point for each in series for point in each.points]
    if len(points) < 2:
        return _figure(title, 40, _label(0, 22, "too short to show", look="mute"))
    xs = [x for x, _ in points]
    ys = [0.0, *(y for _, y in points)]  # from nought, below it only where there is something
    axes = _Axes((min(0.0, *xs), max(xs)), max(ys), x_name, unit, min(ys))
    parts = [axes.drawn, _legend([each.name for each in series])]
    for mark in marks:
        at = axes.x(mark)
        parts.append(
            f'<line class="l-mute" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" '
            f'y2="{_HEIGHT - _BOTTOM}"><title>taken up again</title></line>'
        )
    for number, each in enumerate(series):
        path = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in each.points)
        parts.append(f'<polyline class="l-{_LOOKS[number]}" points="{path}"/>')
    return _figure(title, _HEIGHT, "".join(parts))


def _named(row: int, name: str) -> str:
    """A name on the left of a row, cut where it would run into the plot."""
    shown = name if len(name) <= 30 else f"{name[:29]}…"
    return (
        f'<text x="{_NAMES - 8}" y="{row * _ROW + 15}" text-anchor="end">'
        f"{text(shown)}<title>{text(name)}</title></text>"
    )


def bars(title: str, rows: Sequence[tuple[str, float]]) -> str:
    """One bar a row, with its number."""
    high = max((value for _, value in rows), default=0) or 1
    room = _WIDTH - _NAMES - 70
    parts = []
    for row, (name, value) in enumerate(rows):
        parts.append(_named(row, name))
        length = value / high * room
        parts.append(
            f'<rect class="one" x="{_NAMES}" y="{row * _ROW + 3}" width="{length:.1f}" '
            f'height="{_ROW - 7}"/>'
        )
        parts.append(_label(_NAMES + length + 6, row * _ROW + 15, f"{value:,g}", look="mute"))
    if not rows:
        parts.append(_label(0, 22, "nothing to show", look="mute"))
    return _figure(title, max(len(rows) * _ROW, 34) + 6, "".join(parts))


def estimates(title: str, rows: Sequence[tuple[str, Estimate]]) -> str:
    """Shares with their intervals, from 0 to 1: a dot a row, and a line where there is one."""
    room = _WIDTH - _NAMES - 120
    parts = []
    bottom = max(len(rows), 1) * _ROW + 4
    for share in (0.0, 0.5, 1.0):
        at = _NAMES + share * room
        parts.append(f'<line class="axis" x1="{at}" x2="{at}" y1="0" y2="{bottom}"/>')
        parts.append(_label(at, bottom + 14, f"{share:g}", "middle", "mute"))
    for row, (name, found) in enumerate(rows):
        parts.append(_named(row, name))
        if found.value is None:
            parts.append(_label(_NAMES + 6, row * _ROW + 15, "no figure", look="mute"))
            continue
        y = row * _ROW + 11
        if found.low is not None and found.high is not None:
            low, high = _NAMES + found.low * room, _NAMES + found.high * room
            parts.append(
                f'<line class="l-one" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" '
                f'stroke-width="2"><title>{text(found)}</title></line>'
            )
        at = _NAMES + found.value * room
        parts.append(f'<circle class="one" cx="{at:.1f}" cy="{y}" r="4"/>')
        said = f"{found.value:.2f} (n = {found.n:,})"
        parts.append(_label(_NAMES + room + 10, y + 4, said, look="mute"))
    return _figure(title, bottom + 22, "".join(parts))


def heat(title: str, names: Sequence[str], values: Sequence[Sequence[float | None]]) -> str:
    """A square of shares from 0 to 1, one row and one column a name; the fuller, the more.

    Args:
        title: of the plot.
        names: of the rows and, in the same order, of the columns.
        values: by row and column; None where there is no figure.

    Raises:
        ValueError: there is not one value for every two names.
    """
    if [len(row) for row in values] != [len(names)] * len(names):
        raise ValueError(f"{len(names)} names, and values that are no square of that size")
    if not names:
        return _figure(title, 40, _label(0, 22, "nothing to show", look="mute"))
    # The columns share what the names leave; more than a number needs would only look empty.
    wide = min((_WIDTH - _NAMES - _RIGHT) / len(names), 2.5 * _ROW)
    parts = [
        _label(_NAMES + (column + 0.5) * wide, 15, str(column + 1), "middle", "mute")
        for column in range(len(names))
    ]
    for row, name in enumerate(names):
        parts.append(_named(row + 1, f"{row + 1} {name}"))
        for column, value in enumerate(values[row]):
            x, y = _NAMES + column * wide, (row + 1) * _ROW
            parts.append(_cell(x, y, wide, value, f"{name} and {names[column]}"))
    return _figure(title, (len(names) + 1) * _ROW + 6, "".join(parts))


def _cell(x: float, y: float, wide: float, value: float | None, where: str) -> str:
    """One square of a heat map; its number is written in it where there is room."""
    shown = "no figure" if value is None else f"{value:.2f}"
    depth = 0.0 if value is None else min(max(value, 0.0), 1.0) * 0.75
    mark = "–" if value is None else shown.removeprefix("0") if value < 1 else "1"
    said = _label(x + wide / 2, y + 15, mark, "middle") if wide >= 24 else ""
    return (
        f'<rect class="one" fill-opacity="{depth:.3f}" x="{x:.1f}" y="{y + 1}" '
        f'width="{max(wide - 1, 1):.1f}" height="{_ROW - 2}">'
        f"<title>{text(where)}: {shown}</title></rect>{said}"
    )


def reliability(title: str, bins: Sequence[tuple[float, Estimate]], low: float = 0.5) -> str:
    """How often labels were right against how sure they were said to be.

    Args:
        title: of the plot.
        bins: mean confidence in a bin, and the share of its labels that were right.
        low: where both axes begin; a label of two candidates is never less than 0.5 sure.
    """
    shown = [(sure, found) for sure, found in bins if found.value is not None]
    if not shown:
        return _figure(title, 40, _label(0, 22, "nothing to show", look="mute"))
    axes = _Axes((low, 1.0), 1.0, "said to be sure")
    parts = [
        axes.drawn,
        f'<line class="l-mute" x1="{axes.x(low):.1f}" y1="{axes.y(low):.1f}" '
        f'x2="{axes.x(1):.1f}" y2="{axes.y(1):.1f}"><title>as right as sure</title></line>',
    ]
    most = max(found.n for _, found in shown)
    for sure, found in shown:
        assert found.value is not None and found.low is not None and found.high is not None
        at = axes.x(sure)
        parts.append(
            f'<line class="l-one" stroke-width="1.5" x1="{at:.1f}" x2="{at:.1f}" '
            f'y1="{axes.y(found.low):.1f}" y2="{axes.y(found.high):.1f}"/>'
            f'<circle class="one" cx="{at:.1f}" cy="{axes.y(found.value):.1f}" '
            f'r="{3 + 4 * math.sqrt(found.n / most):.1f}">'
            f"<title>{sure:.2f} sure, right {text(found)}</title></circle>"
        )
    return _figure(title, _HEIGHT, "".join(parts))
