"""Read a judge's text strictly: A, B, TIE, or UNPARSED. There is no default."""

from __future__ import annotations

import re

from charter.rows import Verdict

__all__ = ["parse_verdict"]

_NOUN = r"(?:response|answer|option|output|candidate|assistant)"
_LABEL = r"(A|B|TIE|Tie|tie)"
# A label that is the whole of a line, with a noun, brackets, quotes or a full stop around it.
_ALONE = re.compile(rf"""[\s"'(\[{{<]*(?:(?i:{_NOUN})\s+)?[("'\[]*{_LABEL}[\s"')\]}}>.!:]*""")
_LOWER = re.compile(r"""[\s"'(\[]*([ab])[\s"')\].]*""")
_LIST = r"(?!\s*(?:,|/|\bor\b|\band\b)\s*(?:or\s+)?[(\[\"']*(?:A|B|TIE|tie)\b)"
_END = r"(?=\s*(?:[.,;:!)\]}\"'\n]|$|because\b|since\b|as\b|for\b))"
# `verdict: A`, `"winner": "B"`, `the better response is (A)`.
_DECLARED = re.compile(
    rf"""(?i:\b(?:verdict|winner|choice|preference|label|
    (?:better|best|preferred|final|correct|my|the)\s+(?:{_NOUN}|verdict|choice)|answer)\b)
    ["']?\s*(?i:is|:|=|->)\s*:?\s*(?:(?i:{_NOUN})\s+)?[("'\[]*{_LABEL}\b{_LIST}[)"'\]]*{_END}""",
    re.VERBOSE,
)
# `Response A is better`.
_STATED = re.compile(
    rf"""(?i:\b{_NOUN}s?)\s+[("'\[]*([AB])[)"'\]]*\s+
    (?i:is\s+(?:clearly\s+|much\s+|slightly\s+|overall\s+|the\s+)*
    (?:better|best|preferred|preferable|superior|winner)\b|wins\b)""",
    re.VERBOSE,
)
_BRACKETED = re.compile(rf"\[\[{_LABEL}\]\]")
_NEGATION = re.compile(r"(?i)\b(?:not|never|neither|nor|hardly|cannot|if|whether)\b|n['’]t\b")


def parse_verdict(text: str) -> Verdict:
    """The verdict of a judge's text, in terms of the places shown.

    Read are: a text, a first or a last line that is a label and nothing else; `verdict: A` and
    the like; `Response A is better`; `[[A]]`. Several of these must agree. A statement in a
    sentence with a negation or a condition counts for nothing. All else is UNPARSED.
    """
    plain = re.sub(r"[*_`#]+", "", text).strip()
    if not plain:
        return Verdict.UNPARSED
    whole = _ALONE.fullmatch(plain) or _LOWER.fullmatch(plain)
    if whole:
        return Verdict(whole.group(1).upper())
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    found = [match.group(1) for line in (lines[0], lines[-1]) if (match := _ALONE.fullmatch(line))]
    found += [match.group(1) for match in _BRACKETED.finditer(plain)]
    for pattern in (_DECLARED, _STATED):
        found += [m.group(1) for m in pattern.finditer(plain) if not _negated(plain, m)]
    labels = {label.upper() for label in found}
    return Verdict(labels.pop()) if len(labels) == 1 else Verdict.UNPARSED


def _negated(text: str, match: re.Match[str]) -> bool:
    start = max(text.rfind(mark, 0, match.start()) for mark in ".!?\n;")
    return bool(_NEGATION.search(text, start + 1, match.end()))
