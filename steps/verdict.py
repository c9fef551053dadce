"""Read a judge's text strictly: A, B, TIE, or UNPARSED. There is no default."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from charter.rows import Verdict

__all__ = ["parse_verdict"]

# Repeats are possessive (`*+`) wherever a run could be split in two ways: a judge that writes
# a megabyte of brackets or blanks must cost linear time.
_NOUN = r"(?:response|answer|option|output|candidate|assistant)"
_LABEL = r"(A|B|TIE|Tie|tie)"
_EDGES = " \t\r\n\v\f\"'“”‘’()[]{}<>.!"
# A line that is a label, perhaps with its noun; brackets, quotes and full stops are cut before.
_ALONE = re.compile(rf"""((?i:{_NOUN})\s+["'(\[]*)?{_LABEL}""")
_HEADING = re.compile(rf"""(?im)^[^\S\n]*+["'(\[]*+{_NOUN}\s++["'(\[]*+([AB])\b""")
_LIST = r"""(?!\s*+(?:,|/|\bor\b|\band\b)\s*+(?:or\s++)?["'(\[]*+(?:A|B|TIE|tie)\b)"""
_END = (
    r"""(?=[)"'\]]*+(?:[^\S\n]*+(?:\n|[.,;:!)\]}"']|$)|"""
    r"""\s++(?:because|since|as(?!\s+well))\b))"""
)
# `verdict: A`, `"winner": "B"`, `the better response is (A)`, `I prefer B`.
_DECLARED = re.compile(
    rf"""(?i:\b(?:(?:verdict|winner|choice|preference|label|
    (?:better|best|preferred|final|correct|my|the)\s++(?:{_NOUN}|verdict|choice)|answer)\b
    ["']?\s*+(?:is|:|=|->)\s*+:?+|I\s++(?:would\s++|will\s++)?(?:choose|prefer|pick|select)\b)
    \s*+["'(\[]*+(?:{_NOUN}\s++)?)["'(\[]*+{_LABEL}\b{_LIST}{_END}""",
    re.VERBOSE,
)
# `Response A is better`, and at the start of a sentence `A is better`: without a restriction
# behind it, since a response may be better `in tone` or `written` and lose all the same.
_STATED = re.compile(
    rf"""(?:(?i:\b{_NOUN}s?)\s++|^[^\S\n]*+|(?<=[.!?:][ ]))["'(\[]*+([AB])[)"'\]]*+\s++
    (?i:(?:is\s++(?:(?:clearly|much|slightly|overall|the)\s++)*+
    (?:better|best|preferred|preferable|superior|winner)|wins)\b
    (?:\s++(?:overall|one|choice|{_NOUN})\b)?+
    (?:\s++(?:than|to)\s++(?:the\s++other|(?:{_NOUN}\s++)?["'(\[]*+[AB])\b(?:\s++{_NOUN}\b)?+)?+)
    {_END}""",
    re.VERBOSE | re.MULTILINE,
)
_BRACKETED = re.compile(rf"\[\[{_LABEL}\]\]")
_NEGATION = re.compile(
    r"(?i)\b(?:not|never|neither|nor|hardly|cannot|if|whether|unless|although|though|while)\b"
    r"|n['’]t\b"
)
_SENTENCE_END = re.compile(r"[.!?\n;]")


def parse_verdict(text: str) -> Verdict:
    """The verdict of a judge's text, in terms of the places shown.

    Read are: a text, a first or a last line that is a label and nothing else; `verdict: A` and
    the like; `Response A is better`; `[[A]]`. Several of these must agree. A statement in a
    sentence with a negation, a condition or a concession counts for nothing, nor does a heading
    (`Response A:`) or what stands in `<think>` marks. All else is UNPARSED.
    """
    said = text.rpartition("</think>")[2].partition("<think>")[0]
    plain = re.sub(r"[*`#]+", "", said).replace("_", " ").strip()
    whole = _alone(plain.rstrip(":")) or (plain.strip(_EDGES) if len(plain) < 20 else "")
    if whole and whole.upper() in ("A", "B", "TIE"):
        return Verdict(whole.upper())
    found = {*_lines(plain), *_statements(plain)}
    return Verdict(found.pop()) if len(found) == 1 else Verdict.UNPARSED


def _alone(line: str) -> str:
    """The label that a line is, or nothing."""
    core = line.strip(_EDGES)
    match = _ALONE.fullmatch(core) if len(core) < 40 else None
    return match.group(2).upper() if match else ""


def _lines(plain: str) -> Iterator[str]:
    """Labels that stand alone: in the first or the last line, or anywhere against them."""
    lines = [line for line in plain.split("\n") if line.strip()]
    alone = [_alone(line) for line in lines]
    if not lines or not (alone[0] or alone[-1]):
        return
    yield from filter(None, alone)
    if alone[0] and _HEADING.match(lines[0]):
        # A first line `Response A` may be a heading: then the other one has its own below.
        yield from (match.group(1).upper() for match in _HEADING.finditer(plain))


def _statements(plain: str) -> Iterator[str]:
    """Labels that a sentence declares to be the verdict."""
    yield from (match.group(1).upper() for match in _BRACKETED.finditer(plain))
    matches = [m for pattern in (_DECLARED, _STATED) for m in pattern.finditer(plain)]
    if not matches:
        return
    ends = [match.end() for match in _SENTENCE_END.finditer(plain)]
    negations = [match.start() for match in _NEGATION.finditer(plain)]
    for match in matches:
        before = bisect_right(ends, match.start())
        start = ends[before - 1] if before else 0
        nearest = bisect_left(negations, start)
        if nearest == len(negations) or negations[nearest] >= match.end():
            yield match.group(1).upper()
