"""Read a judge's text strictly: A, B, TIE, or UNPARSED. There is no default."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from charter.rows import Verdict
from charter.steps import verdict_cues as cues
from charter.steps.verdict_labels import LETTERS, TIE_WORD, Labels, plain_text
from charter.steps.verdict_words import Patterns, patterns_of

__all__ = ["LETTERS", "Labels", "parse_verdict"]

_EDGES = " \t\r\n\v\f\"'“”‘’()[]{}<>.!"
_LONGEST_LINE = 60
# Around an answer they make a line of it.
_ANSWER = re.compile(r"(?i)</?(?:final_)?(?:answer|verdict|choice|label|winner)>")
_ARTICLE = re.compile(rf"(?i)\Aan?\s+(?={TIE_WORD}\Z)")
# Words right before a statement that turn it round stand within so many characters.
_NEAR_BEFORE = 48
_GOES_ON = "…"
# A label that is taken back so many characters later counts for nothing.
_NEAR_AFTER = 120
# A shorter `although` clause is no clause: what follows its comma still belongs to it.
_SHORTEST_CONCESSION = 12


class _Rank(IntEnum):
    """How much a statement weighs; a later one of a higher rank overrules it."""

    NARROW = 0  # better in something: counts where nothing else stands
    SAID = 1
    CONCLUDED = 2  # therefore, I conclude
    SUMMED = 3  # overall, final verdict


class _Said(NamedTuple):
    """One label that the text names as its verdict."""

    at: int
    rank: _Rank
    verdict: str
    form: bool = False  # a line or a mark that is a verdict and nothing else: never overruled
    equal: bool = False  # `both are equally good`: gives way to any label named after it


def parse_verdict(text: str, labels: Labels = LETTERS, *, cut: bool = False) -> Verdict:
    """The verdict of a judge's text: `A` the place shown first, `B` the second.

    Read are: a text, a first or a last line that is a label and nothing else; `verdict: A` and
    the like, also in JSON; `Response A is better`; `[[A]]`. A later conclusion (`Therefore, ...`,
    and above it `Overall, ...`) overrules what a sentence said before. All that is left must
    agree. A sentence with a negation, a condition or a concession counts for nothing, nor does
    what another is said to think (`Assistant A argues that ...`), a quotation, a heading
    (`Response A:`) or what stands in `<think>` marks. All else is UNPARSED.

    Args:
        text: what the judge wrote.
        labels: what the judge was told to call the two places.
        cut: it was cut at its length, so that nobody knows how its last sentence goes on.
    """
    patterns = patterns_of(labels)
    plain = plain_text(_ANSWER.sub("\n", text.rpartition("</think>")[2].partition("<think>")[0]))
    whole = _whole(plain, patterns)
    if whole:
        return Verdict(whole)
    if cut and not _ends_with_form(plain, patterns):
        plain += _GOES_ON
    asked = labels.marks[0] == "[["
    marks = list(_marks(plain, patterns, form=not asked))
    if asked and marks:
        return _settled(marks)
    return _settled([*marks, *_lines(plain, patterns), *_sentences(plain, patterns)])


def _settled(said: Iterable[_Said]) -> Verdict:
    """What is left of all statements when each later, weightier one has overruled the others."""
    items = list(said)
    items = [item for item in items if item.rank > _Rank.NARROW] or items
    last = {rank: max((i.at for i in items if i.rank >= rank), default=-1) for rank in _Rank}
    named = max((item.at for item in items if not item.equal), default=-1)
    left = {
        item.verdict
        for item in items
        if (item.form or item.rank is _Rank.SUMMED or last[_Rank(item.rank + 1)] < item.at)
        and not (item.equal and named > item.at)
    }
    return Verdict(left.pop()) if len(left) == 1 else Verdict.UNPARSED


def _label(match: re.Match[str], patterns: Patterns) -> str:
    """The verdict of a match: its last group is the label."""
    return patterns.verdicts[match[match.lastindex or 0].casefold()]


def _whole(plain: str, patterns: Patterns) -> str:
    """The verdict of a text that is a label, in any case, or `it is a tie`, and no more."""
    core = plain.rstrip(":").strip(_EDGES)
    if len(core) > _LONGEST_LINE:
        return ""
    core = _ARTICLE.sub("", core)
    if core.casefold() in patterns.verdicts:
        return patterns.verdicts[core.casefold()]
    match = patterns.alone.fullmatch(core) or patterns.alone.fullmatch(core.upper())
    match = match or patterns.field.fullmatch(core)
    if match:
        return _label(match, patterns)
    return Verdict.TIE.value if patterns.tie.fullmatch(core) else ""


def _marks(plain: str, patterns: Patterns, *, form: bool) -> Iterator[_Said]:
    """Labels in marks that nothing but a verdict has: `[[A]]`."""
    summaries = [match.end() for match in cues.SUMMARY.finditer(plain)]
    ends = [match.end() for match in cues.SENTENCE.finditer(plain)]
    for match in patterns.mark.finditer(plain):
        if _is_quoted(plain, match):
            continue
        summed = _last(summaries, match.start()) > _last(ends, match.start())
        rank = _Rank.SUMMED if summed else _Rank.SAID
        yield _Said(match.start(), rank, _label(match, patterns), form=form)


def _lines(plain: str, patterns: Patterns) -> Iterator[_Said]:
    """Labels that stand alone: in the first or the last line, or anywhere against them."""
    starts = [0, *(match.end() for match in re.finditer(r"\n", plain))]
    lines = [(at, line) for at, line in zip(starts, plain.split("\n"), strict=True) if line.strip()]
    alone = [_alone(line, patterns) for _, line in lines]
    if not lines or not (alone[0] or alone[-1]):
        return
    ends = {lines[at][0] for at in (0, -1) if alone[at]}
    headed = {
        _label(match, patterns)
        for match in patterns.heading.finditer(plain)
        if match.start() not in ends
    }
    retracted = _retracted(plain, patterns)
    for (at, line), label in zip(lines, alone, strict=True):
        if not label:
            continue
        verdict = _label(label, patterns)
        # With a noun it may be the heading of a part: then the other part has its own.
        heading = label[1] and (at not in ends or (headed and verdict not in headed))
        if not heading:
            for each in (verdict, *_taken_back(at + len(line), verdict, retracted)):
                yield _Said(at, _Rank.SAID, each, form=True)


def _alone(line: str, patterns: Patterns) -> re.Match[str] | None:
    """The label that a line is, or nothing."""
    core = line.strip(_EDGES)
    return patterns.alone.fullmatch(core) if len(core) <= _LONGEST_LINE else None


def _last(positions: list[int], before: int) -> int:
    """The last of the sorted positions that is not behind `before`, or -1."""
    found = bisect_left(positions, before + 1)
    return positions[found - 1] if found else -1


class _Context:
    """Where the words stand that say how much a statement beside them counts."""

    def __init__(self, plain: str) -> None:
        self._ends = [match.end() for match in cues.SENTENCE.finditer(plain)]
        self._breaks = [match.end() for match in cues.BREAK.finditer(plain)]
        self._clauses = [match.end() for match in cues.CLAUSE.finditer(plain)]
        self._at = {
            name: [match.start() for match in pattern.finditer(plain)]
            for name, pattern in (
                ("agreement", cues.AGREEMENT),
                ("attribution", cues.ATTRIBUTION),
                ("concession", cues.CONCESSION),
                ("conclusion", cues.CONCLUSION),
                ("denial", cues.DENIAL),
                ("negation", cues.NEGATION),
                ("restriction", cues.RESTRICTION),
                ("summary", cues.SUMMARY),
            )
        }

    def _within(self, name: str, start: int, end: int) -> bool:
        return _last(self._at[name], end - 1) >= start

    def rank(self, match: re.Match[str]) -> _Rank | None:
        """The rank of a statement; None when it is denied, conceded or another's."""
        start, end = match.span()
        # The label may hold such a word itself: `no preference`.
        label = match.start(match.lastindex or 0) + 1
        sentence = max(_last(self._ends, start), 0)
        scope = max(_last(self._breaks, start), sentence)
        clause = max(_last(self._clauses, start), scope)
        concession = _last(self._at["concession"], label - 1)
        if (
            self._within("denial", scope, label)
            or self._within("negation", clause, label - 1)
            or (concession >= scope and clause - concession < _SHORTEST_CONCESSION)
            or (
                self._within("attribution", scope, start)
                and not self._within("agreement", scope, start)
            )
        ):
            return None
        if self._within("summary", sentence, end):
            return _Rank.SUMMED
        if self._within("conclusion", sentence, end):
            return _Rank.CONCLUDED
        return _Rank.NARROW if self._within("restriction", sentence, start) else _Rank.SAID


def _is_form(match: re.Match[str]) -> bool:
    """Whether a line starts with it as with a field: `Verdict: A`."""
    groups = match.groupdict()
    sign = (groups.get("colon") or "").strip(" \"'")
    return groups.get("line") is not None and sign.startswith((":", "=", "-"))


def _ends_with_form(plain: str, patterns: Patterns) -> bool:
    """Whether the last line is a field with its value, `Verdict: A`, as far as it was written."""
    last = plain.rpartition("\n")[2]
    found = (match for pattern in patterns.declared for match in pattern.finditer(last))
    return any(_is_form(match) and not last[match.end() :].strip(_EDGES) for match in found)


def _is_quoted(plain: str, match: re.Match[str]) -> bool:
    """Whether it stands in another's text: `it ends with "Verdict: A"`."""
    before = plain[max(match.start() - _NEAR_BEFORE, 0) : match.start()]
    return cues.QUOTED.search(before) is not None


def _is_undone(plain: str, match: re.Match[str], patterns: Patterns) -> bool:
    """Whether a label is named as the loser, or as another's verdict."""
    if _is_quoted(plain, match):
        return True
    if match.re in patterns.declared:
        before = plain[max(match.start() - _NEAR_BEFORE, 0) : match.start()]
        if cues.REVERSAL.search(before) or cues.OTHERS.search(before):
            return True
    return patterns.undone.match(plain, match.end(match.lastindex or 0)) is not None


def _retracted(plain: str, patterns: Patterns) -> list[tuple[int, str]]:
    """Where the text corrects itself, and the labels by which it does."""
    return [(m.start(), _label(m, patterns)) for m in patterns.retracted.finditer(plain)]


def _taken_back(end: int, own: str, retracted: list[tuple[int, str]]) -> Iterator[str]:
    """The labels that take back one that ends there: with them it names two, and settles none."""
    for at, label in retracted[bisect_left(retracted, (end, "")) :]:
        if at >= end + _NEAR_AFTER:
            return
        if label != own:
            yield label


def _sentences(plain: str, patterns: Patterns) -> Iterator[_Said]:
    """Labels that a form or a sentence says to be the verdict."""
    declared = [match for each in patterns.declared for match in each.finditer(plain)]
    stated = [match for each in patterns.stated for match in each.finditer(plain)]
    narrow = [match for each in patterns.narrow for match in each.finditer(plain)]
    ties = list(patterns.tie.finditer(plain))
    if not (declared or stated or narrow or ties):
        return
    context = _Context(plain)
    retracted = _retracted(plain, patterns)
    for match in (*declared, *stated):
        rank = context.rank(match)
        if rank is not None and not _is_undone(plain, match, patterns):
            label, end = _label(match, patterns), match.end(match.lastindex or 0)
            for each in (label, *_taken_back(end, label, retracted)):
                yield _Said(match.start(), rank, each, form=_is_form(match))
    for match in narrow:
        rank = context.rank(match)
        if rank is not None and rank > _Rank.SAID:
            yield _Said(match.start(), _Rank.NARROW, _label(match, patterns))
    for match in ties:
        rank = context.rank(match)
        if rank is not None and (rank > _Rank.SAID or match["key"]):
            yield _Said(match.start(), rank, Verdict.TIE.value, equal=not match["key"])
