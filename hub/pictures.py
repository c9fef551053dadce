"""Pictures of a version's figures, as PNG files beside its card."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["pictures_of"]

# Twice the size at which a page shows them, for screens with fine pixels.
_SCALE: Final = 2
_WIDTH: Final = 640 * _SCALE
_ROW: Final = 26 * _SCALE
_NAMES: Final = 190 * _SCALE
_MARGIN: Final = 14 * _SCALE
_TITLE: Final = 34 * _SCALE
_INK: Final = (40, 44, 52)
_MUTE: Final = (120, 126, 136)
_BAR: Final = (59, 118, 196)
_PAPER: Final = (255, 255, 255)


def pictures_of(figures: Mapping[str, Any]) -> dict[str, tuple[str, bytes]]:
    """The pictures that the figures of a manifest give: path -> (what it shows, PNG).

    Args:
        figures: as `charter.hub.figures` counts them.
    """
    found: dict[str, tuple[str, bytes]] = {}
    if "p_chosen_bins" in figures:
        bins = figures["p_chosen_bins"]
        names = [f"{0.5 + k * 0.05:.2f} to {0.55 + k * 0.05:.2f}" for k in range(len(bins))]
        title = "How sure the labels are: labels by p_chosen"
        found["figures/p_chosen.png"] = (title, _bars(title, names, bins))
    if "verdicts" in figures:
        verdicts = figures["verdicts"]
        title = "What the judge said: votes by verdict"
        found["figures/verdicts.png"] = (title, _bars(title, list(verdicts), [*verdicts.values()]))
    if "rejects" in figures:
        rejects = [
            (f"{ledger}: {reason}", n)
            for ledger, each in figures["rejects"].items()
            for reason, n in each.items()
        ]
        title = "What gave no row: rejects by reason"
        found["figures/rejects.png"] = (title, _bars(title, *zip(*rejects, strict=True)))
    if "lengths" in figures:
        lengths = figures["lengths"]
        title = "How long the texts are: median characters"
        medians = [round(each["median"]) for each in lengths.values()]
        found["figures/lengths.png"] = (title, _bars(title, list(lengths), medians))
    return found


def _bars(title: str, names: Sequence[str], values: Sequence[int]) -> bytes:
    """One bar a row with its number behind it."""
    from PIL import Image, ImageDraw, ImageFont

    height = _TITLE + _ROW * len(names) + 2 * _MARGIN
    image = Image.new("RGB", (_WIDTH, height), _PAPER)
    draw = ImageDraw.Draw(image)
    small, large = (ImageFont.load_default(size * _SCALE) for size in (12, 15))
    draw.text((_MARGIN, _MARGIN), title, _INK, font=large)
    high = max([*values, 1])
    room = _WIDTH - _NAMES - 2 * _MARGIN - 70 * _SCALE
    for row, (name, value) in enumerate(zip(names, values, strict=True)):
        top = _TITLE + _MARGIN + row * _ROW
        shown = name if len(name) <= 30 else f"{name[:29]}…"
        left = _NAMES - draw.textlength(shown, font=small)
        draw.text((left, top + 4 * _SCALE), shown, _INK, font=small)
        start = _NAMES + 8 * _SCALE
        end = start + room * value / high
        if value:
            draw.rectangle((start, top + 3 * _SCALE, end, top + _ROW - 5 * _SCALE), _BAR)
        draw.text((end + 6 * _SCALE, top + 4 * _SCALE), f"{value:,}", _MUTE, font=small)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
