"""What a person types into the search box, as an expression of SQLite's FTS5.

The language is Elasticsearch's `simple_query_string` with AND between words, which is what Argilla
speaks: `a b`, `a | b`, `-a`, `"a b"`, `"a b"~3`, `a*`, `a~1`, brackets, and a backslash before a
sign that is meant as such. It has no wrong input: what makes no sense as a sign is text. The tree
that it makes is Lucene's (SimpleQueryParser), quirk for quirk: `a b | c` is (a and b) or c,
`a | b c` is (a or b) and c.

FTS5 has a language of its own (NEAR, NOT, columns): none of it can be reached from here, as an
expression is built from quoted letters and digits alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from charter.review.embedded.inside.words import atoms, words

__all__ = ["EVERYTHING", "MARK", "NOTHING", "TooManyWords", "match_expression"]

MARK: Final = "\ue000"
"""The one word of the column `mark` of each record: no text has it, as it is no letter."""

EVERYTHING: Final = f'{{mark}} : "{MARK}"'
NOTHING: Final = f"({EVERYTHING} NOT {EVERYTHING})"

_MOST = 1024
"""As many words as a query may have; Elasticsearch has such a limit too."""

_DEEPEST = 12
"""Brackets inside brackets; FTS5's parser has a stack of fixed size."""

_SPACE = " \t\n\r\x00"
_ENDS = _SPACE + '"|+()'
_TAIL = re.compile(r"~(\d*)$")

Similar = Callable[[str, int], Iterable[str]]


class TooManyWords(ValueError):
    """A query is larger than the index can answer; the message says by what."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    atoms: tuple[str, ...]
    prefix: bool = False
    fuzz: int = 0
    slop: int = 0


@dataclass(frozen=True, slots=True)
class _Not:
    inner: _Node


@dataclass(slots=True)
class _Chain:
    """Operands from left to right; the operator stands before its operand, the first has none."""

    operands: list[tuple[str, _Node]] = field(default_factory=list)


_Node = _Leaf | _Not | _Chain


def match_expression(text: str, columns: Sequence[str] = (), similar: Similar | None = None) -> str:
    """The FTS5 expression of a query.

    Args:
        text: what was typed.
        columns: names of FTS5 columns to look in (our own names, not a person's); all where empty.
        similar: gives the stored words within a number of edits of a word, for `word~1`.

    Raises:
        TooManyWords: more than 1,024 words, or brackets and bars that multiply to more.
    """
    if text.strip(_SPACE) == "*":
        return EVERYTHING
    tree = _Parser(text).parse()
    writer = _Writer(columns, similar or (lambda word, _: [word]))
    return writer.write(tree) if tree.operands else NOTHING


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._leaves = 0
        self._closing = _closing_brackets(text)

    def parse(self) -> _Chain:
        return self._parse(0, len(self._text), 0)

    def _parse(self, at: int, end: int, depth: int) -> _Chain:
        chain, operator, negated = _Chain(), "", False
        while at < end:
            sign = self._text[at]
            node: _Node | None = None
            if sign == "-":
                # Only right before its operand; two of them are none.
                negated, at = not negated, at + 1
                continue
            if self._text[at : at + 2] in ('""', "()"):
                operator, at = "", at + 2  # nothing is no operand, and takes its operator along
            elif sign == "(" and at in self._closing and depth < _DEEPEST:
                close = self._closing[at]
                node, at = self._parse(at + 1, close, depth + 1), close + 1
                if not node.operands:
                    node = None
            elif sign in "|+":
                operator, at = operator or (sign if chain.operands else ""), at + 1
            elif sign in "()" or sign in _SPACE:
                at += 1
            elif sign == '"':
                node, at = self._phrase(at, end)
            else:
                node, at = self._token(at, end)
            if node is not None:
                chain.operands.append((operator or "+", _Not(node) if negated else node))
                operator = ""
            negated = False
        return chain

    def _phrase(self, at: int, end: int) -> tuple[_Node | None, int]:
        text, close = _until(self._text, at + 1, end, '"')
        if close >= end:  # never closed: the sign means nothing
            return None, at + 1
        slop = _TAIL.match(self._text[close + 1 : _token_end(self._text, close + 1, end)])
        distance = _number(slop[1], 0) if slop else 0
        after = close + 1 + (slop.end() if slop else 0)
        found = tuple(atoms(text))
        return (self._leaf(_Leaf(found, slop=distance)) if found else None), after

    def _token(self, at: int, end: int) -> tuple[_Node | None, int]:
        text, after = _until(self._text, at, end, _ENDS)
        raw = self._text[at:after]
        prefix, fuzz = False, 0
        tail = _TAIL.search(raw)
        if tail and not raw[: tail.start()].endswith("\\"):
            text, fuzz = text[: len(text) - len(tail[0])], min(_number(tail[1], 2), 2)
        elif raw.endswith("*") and not raw.endswith("\\*"):
            text, prefix = text[:-1], True
        found = words(text)
        if not found:
            return None, after
        leaves: list[_Node] = [self._leaf(_Leaf(tuple(word))) for word in found]
        last = tuple(found[-1])
        leaves[-1] = _Leaf(last, prefix=prefix, fuzz=fuzz if len(last) == 1 else 0)
        if len(leaves) == 1:
            return leaves[0], after
        return _Chain([("+", leaf) for leaf in leaves]), after

    def _leaf(self, leaf: _Leaf) -> _Leaf:
        self._leaves += 1
        if self._leaves > _MOST:
            raise TooManyWords(f"a search may have {_MOST} words")
        return leaf


class _Writer:
    """Writes a tree so that no bracket stands deep in others: FTS5 can't read those."""

    def __init__(self, columns: Sequence[str], similar: Similar) -> None:
        self._columns = f"{{{' '.join(columns)}}} : " if columns else ""
        self._similar = similar
        self._written = 0

    def write(self, node: _Node) -> str:
        if isinstance(node, _Leaf):
            return self._leaf(node)
        if isinstance(node, _Not):
            return f"({EVERYTHING} NOT {self.write(node.inner)})"
        # From left to right without precedence: what a bar brings in must also have all that is
        # asked for with AND further right.
        either: list[str] = []
        needed: list[str] = []
        unwanted: list[str] = []
        first = len(node.operands) - 1
        for place in range(first, -1, -1):
            operator, operand = node.operands[place]
            closes_here = operator == "|" or place == 0
            if isinstance(operand, _Not):
                unwanted.append(self.write(operand.inner))
            else:
                needed.append(self.write(operand))
            if closes_here:
                self._count(len(needed) + len(unwanted))
                either.append(_all_but(needed, unwanted))
                if place:
                    (unwanted if isinstance(operand, _Not) else needed).pop()
        return either[0] if len(either) == 1 else f"({' OR '.join(either)})"

    def _leaf(self, leaf: _Leaf) -> str:
        phrase = f'"{" ".join(leaf.atoms)}"'
        if leaf.prefix:
            return f"{self._columns}{phrase} *"
        if leaf.slop and len(leaf.atoms) > 1:
            parts = " ".join(f'"{atom}"' for atom in leaf.atoms)
            return f"{self._columns}NEAR({parts}, {min(leaf.slop, 1000)})"
        if leaf.fuzz:
            near = [leaf.atoms[0], *self._similar(leaf.atoms[0], leaf.fuzz)]
            options = [f'{self._columns}"{word}"' for word in dict.fromkeys(near)]
            return options[0] if len(options) == 1 else f"({' OR '.join(options)})"
        return f"{self._columns}{phrase}"

    def _count(self, parts: int) -> None:
        self._written += parts
        if self._written > 4 * _MOST:
            raise TooManyWords("a search with that many bars between its words is too large")


def _all_but(needed: Sequence[str], unwanted: Sequence[str]) -> str:
    both = " AND ".join(reversed(needed)) if needed else EVERYTHING
    if not unwanted:
        return both if len(needed) < 2 else f"({both})"
    return f"(({both}) NOT ({' OR '.join(reversed(unwanted))}))"


def _until(text: str, at: int, end: int, stops: str) -> tuple[str, int]:
    """The text up to one of the stops that no backslash stands before, without the backslashes."""
    kept = []
    while at < end and text[at] not in stops:
        if text[at] == "\\" and at + 1 < end:
            at += 1
        kept.append(text[at])
        at += 1
    return "".join(kept), at


def _token_end(text: str, at: int, end: int) -> int:
    while at < end and text[at] not in _ENDS:
        at += 1
    return at


def _number(digits: str, otherwise: int) -> int:
    return int(digits[:4]) if digits else otherwise


def _closing_brackets(text: str) -> dict[int, int]:
    """Place of each opening bracket that is closed, with the place of the closing one."""
    pairs: dict[int, int] = {}
    waiting: list[int] = []
    at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == "(":
            waiting.append(at)
        elif text[at] == ")" and waiting:
            pairs[waiting.pop()] = at
        elif text[at] == '"':
            _, close = _until(text, at + 1, len(text), '"')
            at = close if close < len(text) else at
        at += 1
    return pairs
