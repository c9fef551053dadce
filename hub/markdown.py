"""Text of models and people set into Markdown so that it stays text."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Final

__all__ = ["escaped", "fenced", "json_block", "table"]

# Whatever opens a link, emphasis, code, an image, HTML, a table cell, a formula, a mention or an
# emoji. CommonMark takes a backslash before any ASCII punctuation. The colon and the dot after
# `www` stop bare addresses from becoming links.
_ACTIVE: Final = re.compile(r"[\\`*_{}\[\]#|~$!@:^]|(?<=www)\.", re.IGNORECASE)
# What opens a list, a rule or an underlined heading where the text begins its line.
_LIST: Final = re.compile(r"^()([-+=])|^([0-9]+)([.)])(?=\s|$)")
_HTML: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_TURNING: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SHOWN: Final = 800


def escaped(text: object) -> str:
    """The text on one line, with nothing in it that Markdown or HTML would act on."""
    line = " ".join(_visible(str(text)).split())
    line = _ACTIVE.sub(r"\\\g<0>", line)
    line = _LIST.sub(r"\1\3\\\2\4", line)
    return re.sub(r'[&<>"]', lambda match: _HTML[match.group()], line)


def fenced(text: str, language: str = "") -> str:
    """A code block whose fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{_visible(text)}\n{fence}"


def json_block(value: Any) -> str:
    """A value as a block of JSON, with long texts cut and the cut named."""
    return fenced(json.dumps(_cut(value), ensure_ascii=False, indent=2), "json")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; every cell is escaped."""
    lines = [head, ["---"] * len(head), *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _visible(text: str) -> str:
    """Without control characters and without those that turn the direction of writing."""
    return "".join(
        c
        for c in text
        if c in "\n\t" or (c not in _TURNING and unicodedata.category(c) not in {"Cc", "Cs"})
    )


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cut(each) for each in value]
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{value[:_SHOWN]} […{len(value) - _SHOWN} more characters]"
    return value
