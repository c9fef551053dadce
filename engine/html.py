"""The look of reports: one page with nothing from outside; every text of data is escaped.

A page's own script and style are named by their hashes in its Content-Security-Policy, so that
nothing that gets into a text can run, be loaded or be sent anywhere.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape
from typing import Any

__all__ = ["clean", "details", "embedded", "figures", "page", "quote", "section", "table", "text"]

_ESTIMATE = re.compile(r"-?[\d.]{1,12} \[-?[\d.]{1,12}, -?[\d.]{1,12}\]")
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --mute: #777;
  --one: #3b76c4; --two: #d9822b; --good: #2e8b57; --bad: #c0392b; --ins: #2e8b5733;
  --del: #c0392b2e; }
@media (prefers-color-scheme: dark) { :root { --mute: #999; --one: #6ea4e8; --two: #e8a355;
  --good: #5fc08a; --bad: #e8776b; --ins: #5fc08a3d; --del: #e8776b38; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
p, table, blockquote { max-width: 60rem; }
table { border-collapse: collapse; margin: .5rem 0; }
td, th { text-align: left; padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; unicode-bidi: isolate; }
td.number { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
td.estimate { font-variant-numeric: tabular-nums; white-space: nowrap; overflow-wrap: normal; }
blockquote { margin: .3rem 0 .8rem; padding: .5rem 1rem; background: var(--soft);
  white-space: pre-wrap; border-left: 3px solid var(--line); overflow-wrap: anywhere;
  unicode-bidi: isolate; }
.label { margin: 0; color: var(--mute); font-size: .85rem; unicode-bidi: isolate; }
.note { color: var(--mute); font-size: .9rem; }
.figures { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0; }
.figures div { background: var(--soft); border-radius: .4rem; padding: .5rem 1rem; }
.figures b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr));
  gap: 1.2rem; }
figure { margin: 0; min-width: 0; max-width: 37rem; }
figcaption { font-weight: 600; font-size: .95rem; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
svg .mute { fill: var(--mute); } svg .axis { stroke: var(--line); }
svg .one { fill: var(--one); } svg .two { fill: var(--two); } svg .over { fill-opacity: .6; }
svg .l-one { stroke: var(--one); } svg .l-two { stroke: var(--two); }
svg .l-mute { stroke: var(--mute); stroke-dasharray: 3 3; }
svg polyline { fill: none; stroke-width: 1.8; }
ins { background: var(--ins); text-decoration: none; } del { background: var(--del); }
details { border-bottom: 1px solid var(--line); padding: .3rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; unicode-bidi: isolate; }
.controls { display: flex; flex-wrap: wrap; gap: .6rem; margin: .6rem 0; align-items: center; }
.controls input, .controls select { font: inherit; padding: .2rem .4rem; max-width: 100%; }
[hidden] { display: none; }
"""

# What has no place in a text that people read; half surrogate pairs cannot be written at all.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(value: str) -> str:
    """Text without control characters and half surrogate pairs, each shown as U+FFFD."""
    return _UNSEEN.sub("\ufffd", value)


def text(value: Any) -> str:
    """A value as HTML text, also inside a quoted attribute."""
    return escape(clean(str(value)))


def page(title: str, parts: Iterable[str], script: str = "") -> str:
    """A whole page.

    Args:
        title: of the page.
        parts: what the functions of this module return.
        script: the page's own JavaScript, without which it must still make sense.
    """
    policy = f"default-src 'none'; style-src {_hash(_STYLE)}; base-uri 'none'; form-action 'none'"
    end = ""
    if script:
        policy += f"; script-src {_hash(script)}"
        end = f"<script>{script}</script>\n"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width"><meta name="referrer" '
        f'content="no-referrer"><title>{text(title)}</title><style>{_STYLE}</style></head>\n'
        f"<body><h1>{text(title)}</h1>\n{''.join(parts)}{end}</body></html>\n"
    )


def _hash(code: str) -> str:
    return f"'sha256-{b64encode(sha256(code.encode()).digest()).decode()}'"


def embedded(name: str, value: Any) -> str:
    """Data for the page's script, as JSON in an element that is never run.

    No text in it can close the element: `<`, `>` and `&` stand as escapes of JSON.
    """
    found = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        found = found.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{text(name)}">{clean(found)}</script>\n'


def section(title: str, parts: Iterable[str]) -> str:
    """A heading and what belongs to it."""
    return f"<h2>{text(title)}</h2>\n{''.join(parts)}"


def quote(label: str, value: str) -> str:
    """A text of a model or of data, under a label."""
    return f'<p class="label">{text(label)}</p><blockquote>{text(value)}</blockquote>\n'


def details(summary: str, parts: Iterable[str]) -> str:
    """Parts that are shown when their summary is clicked."""
    return f"<details><summary>{text(summary)}</summary>{''.join(parts)}</details>\n"


def figures(entries: Iterable[tuple[str, str]]) -> str:
    """The few figures that matter: (name, value), in a row."""
    shown = "".join(f"<div>{text(name)}<b>{text(value)}</b></div>" for name, value in entries)
    return f'<div class="figures">{shown}</div>\n'


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; numbers are set to the right, an estimate and its interval on one line."""

    def cell(value: Any) -> str:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        look = ' class="number"' if number else ""
        if isinstance(value, str) and _ESTIMATE.fullmatch(value):
            look = ' class="estimate"'
        shown = f"{value:,}" if isinstance(value, int) and number else value
        return f"<td{look}>{text(shown)}</td>"

    header = "".join(f"<th>{text(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(cell(value) for value in row)}</tr>" for row in rows)
    return f"<table><tr>{header}</tr>{body}</table>\n"
