"""What a judge was told to call the two places: `A/B`, `Output (a)/(b)`, `[[A]]/[[B]]/[[C]]`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from charter.errors import Fault, InputError

__all__ = ["LETTERS", "TIE_WORD", "Labels", "plain_text"]

TIE_WORD = "tie"
_LONGEST = 40
_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">", '"': '"', "'": "'"}
# Noun, opening marks, the label itself, closing marks. A noun may touch the mark: `Output(a)`.
_PART = re.compile(
    r"""(?P<noun>(?:[^\W\d_]+[\s-]+)*(?:[^\W\d_]+(?=[(\[{<]))?)"""
    r"""(?P<open>[(\[{<"']*)(?P<core>[^\W_]+)(?P<close>[)\]}>"']*)"""
)
_TOUCHING = re.compile(r"([^\W\d_a-zA-Z]+)([A-Za-z]|\d+)")  # `回答A`: no blank in such scripts
# What a keyboard for Chinese or Japanese writes, as a judge's English has it.
_NARROW = str.maketrans(
    "：；，。！？（）［］【】「」『』＝ＡＢＣａｂ１２",
    ':;,.!?()[][]""""=ABCab12',
    # emphasis, and what is invisible: breaks, joiners and directions of writing
    "*`#\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u202a\u202b\u202c\u2066\u2067\u2068\u2069",
)
_FIX = 'write the first and the second as in "A/B", "Output (a)/(b)" or "[[A]]/[[B]]/[[C]]"'


def plain_text(text: str) -> str:
    """The text without emphasis and invisible marks, `_` as a blank and narrow punctuation."""
    return text.translate(_NARROW).replace("_", " ").strip()


@dataclass(frozen=True, slots=True)
class Labels:
    """How a judge names the two places; made by `Labels.parse`.

    Attributes:
        first: what stands for the place shown first, without its noun and marks: `a`.
        second: the same for the place shown second.
        tie: what stands for a tie beside the word itself, or empty: `C`, `no preference`.
        nouns: the nouns before them, or empty: `("Output",)`.
        marks: the marks around them, or empty: `("[[", "]]")`.
    """

    first: str
    second: str
    tie: str = ""
    nouns: tuple[str, ...] = ()
    marks: tuple[str, str] = ("", "")

    @classmethod
    def parse(cls, text: str) -> Labels:
        """The labels of what a user writes: `Output (a)/(b)`, with a third part for a tie.

        Args:
            text: two or three parts with `/` between; a noun of the first holds for the second.

        Raises:
            InputError: the text has other parts than these, or labels that cannot be told apart.
        """
        parts = [plain_text(part) for part in text.split("/")]
        if len(parts) not in (2, 3) or not all(parts):
            raise _fault(text, f"{len(parts)} part(s), of which some may be empty")
        if max(map(len, parts)) > _LONGEST:
            raise _fault(text, f"a part of more than {_LONGEST} characters")
        (noun, marks, first), (other, other_marks, second) = (_part(text, p) for p in parts[:2])
        if marks != other_marks or (other and not noun):
            raise _fault(text, "two labels that are not written alike")
        tie = _tie(text, parts[2], noun) if len(parts) == 3 else ""
        names = [first.casefold(), second.casefold(), tie.casefold(), TIE_WORD]
        if names[2] in ("", TIE_WORD):
            del names[2]
        if len(set(names)) < len(names):
            raise _fault(text, "labels that cannot be told apart")
        nouns = tuple(dict.fromkeys(each for each in (noun, other) if each))
        return cls(first, second, tie, nouns, marks)


def _part(text: str, part: str) -> tuple[str, tuple[str, str], str]:
    """Noun, marks and label of one part."""
    match = _PART.fullmatch(part)
    if not match:
        raise _fault(text, f'"{part}", which is no label')
    noun, opening, core, closing = match.group("noun", "open", "core", "close")
    if closing != "".join(_CLOSING[mark] for mark in reversed(opening)):
        raise _fault(text, f'"{part}", where a bracket or a quote has no other half')
    touching = _TOUCHING.fullmatch(core)
    if touching and not noun:
        noun, core = touching.groups()
    return " ".join(noun.replace("-", " ").split()), (opening, closing), core


def _tie(text: str, part: str, noun: str) -> str:
    """What the third part calls a tie: its label, or all its words (`no preference`)."""
    own, marks, core = _part(text, part)
    return core if own == noun or marks[0] else " ".join(f"{own} {core}".split())


def _fault(text: str, found: str) -> InputError:
    return InputError(Fault("--labels", "", f'"{text[:80]}" has {found}', _FIX))


LETTERS = Labels("A", "B")
