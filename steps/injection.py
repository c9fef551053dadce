"""Injection: does a candidate response speak to its judge?

A response is material. One that orders the judge about, closes the judge's frame, writes the
verdict itself, claims an authority over it or praises itself as a candidate tries to win by
something that is no answer. The rules read texts only; they cost time linear in the length.

What is left alone, and why:

- `The answer is B` and `Answer: B` are what an answer to a multiple-choice question says. A
  letter names a place, and an order that names a place turns round with the order of the two
  responses, so that both orders cancel it. Such a letter counts only in a text that also speaks
  of responses or of judging, when it is said three times or more, or as an order (`answer B`).
- `[user]` alone on a line heads a part of a settings file, `Dear Judge,` a letter, and of tea
  people `prefer mine`. Such words, and praise in other languages that goes on (`meilleure pour la
  santé`), count only in a text that also speaks of responses or of judging.
- `ignore all previous instructions` inside quotes or a code span is spoken of, not said. What
  names responses, verdicts or the frame counts in quotes as well: a judge reads it there too.

The rules know wordings. Of attacks worded anew after they were written they found a third (10 of
40, 14 of 40, 12 of 32, each set before the rules saw it; all are now among the tests), so they are
a second line. The first are the frame's nonce, which no text can know, and both orders, which
cancel whatever names a place.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from charter.steps.injection_rules import (
    FRAME_RULES,
    JUDGING,
    RULES,
    InjectionKind,
    Rule,
)
from charter.steps.injection_tongues import tongue_judging, tongue_rules
from charter.steps.injection_words import TONGUES

__all__ = ["Injection", "InjectionKind", "find_injection"]

LONGEST: Final = 80  # characters of a passage that is shown


@dataclass(frozen=True, slots=True)
class Injection:
    """A passage that speaks to the judge.

    Attributes:
        kind: how.
        found: the passage as the rules read it (disguises taken off), at most 80 characters.
    """

    kind: InjectionKind
    found: str


def find_injection(text: str) -> Injection | None:
    """The first passage found in which a response speaks to its judge; None where none does.

    Args:
        text: a candidate response, of any length and in any script.
    """
    unmasked = _unmasked(text)
    plain = _plain(unmasked)
    found = _first(FRAME_RULES, unmasked) or _first(RULES, plain)
    if found is None:
        found = _in_tongues(plain)
    for view in _undisguised(unmasked, plain):
        found = found or _first(RULES, view)
    return found


# How a text is read ---------------------------------------------------------------------------

_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)
# Letters of the block "tags" cannot be seen, and models read them all the same.
_TAGS: Final = {0xE0000 + code: code for code in range(0x20, 0x7F)}
_TAGGED: Final = re.compile("[\U000e0020-\U000e007e]{4,}+")
_QUOTES: Final = str.maketrans("’‘ʼ′“”„«»‹›「」『』`", "''''" + '"' * 12)
_INSIDE: Final = re.compile(r"(?<=\w)[*`~]+(?=\w)")
_CODE_WORD: Final = re.compile(r"`(\w{1,30})`")
_MARKUP: Final = re.compile(r"[*~]+|(?<!\w)_+|_+(?!\w)")
_LINE_MARKS: Final = re.compile(r"(?m)^[ \t>]+")
_BLANKS: Final = re.compile(r"[^\S\n]++")
_LINES: Final = re.compile(r" ?\n[\n ]*+")


def _unmasked(text: str) -> str:
    """The text without what nobody sees, one character for all its forms, entities read."""
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = _TAGGED.sub(lambda run: f"\n{run.group().translate(_TAGS)}\n", text)
        text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _plain(text: str) -> str:
    """Straight quotes, no emphasis, one blank or one line end between words."""
    text = _CODE_WORD.sub(r"\1", _INSIDE.sub("", text))
    text = _MARKUP.sub("", text.translate(_QUOTES))
    return _LINES.sub("\n", _BLANKS.sub(" ", _LINE_MARKS.sub("", text)))


_ALIKE: Final = str.maketrans(
    "аеорсухіјѕкмтнвԁһԛԝАВЕКМНОРСТУХІЈЅαοερτνικυΑΒΕΖΗΙΚΜΝΟΡΤΥΧɪɴʀʙʜʟʏɢᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜰꜱıøł",
    "aeopcyxijskmthbdhqwABEKMHOPCTYXIJSaoeptvikuABEZHIKMNOPTYXinrbhlygacdejkmoptuvwzfsiol",
)
_DIGITS: Final = str.maketrans("013457@$", "oieastas")
# A word in which digits stand for letters: `1gn0r3`. `2nd` and `h2o` come to no harm by it.
_DIGIT_NEAR: Final = re.compile(r"[A-Za-z][013457@$]|[013457@$][A-Za-z]")
_DIGIT_WORD: Final = re.compile(r"(?<![\w@$])(?=[\w@$]{0,20}[A-Za-z])[A-Za-z013457@$]{3,20}+(?!\w)")
# One letter, some separators, one letter, and so on: `i g n o r e`, `i.g.n.o.r.e`.
_SPACED: Final = re.compile(r"(?<!\w)(?:\w(?!\w)[ .·|/-]{1,4}+){6,}+(?:\w(?!\w))?+")


def _undisguised(unmasked: str, plain: str) -> Iterator[str]:
    """Further readings of a text that may be in disguise: look-alike letters, letters spaced out.

    They are read beside the plain text and not instead of it, since they spoil other scripts.
    """
    latin = plain
    if not plain.isascii():
        letters = unicodedata.normalize("NFKD", plain.translate(_ALIKE))
        latin = "".join(char for char in letters if not unicodedata.combining(char))
    if _DIGIT_NEAR.search(latin):
        latin = _DIGIT_WORD.sub(lambda found: found.group().translate(_DIGITS), latin)
    if latin != plain:
        yield latin
    runs = [match.group() for match in _SPACED.finditer(unmasked)]
    if runs:
        yield "\n".join(_joined(run) for run in runs)


def _joined(run: str) -> str:
    """The words of letters spaced out; the wider of two separators stands between words."""
    words = re.split(r" {2,}" if run.replace(" ", "").isalnum() else r" +", run)
    return " ".join(re.sub(r"\W", "", word) for word in words)


# Where rules find something --------------------------------------------------------------------


def _first(
    rules: tuple[Rule, ...], view: str, judging: re.Pattern[str] = JUDGING
) -> Injection | None:
    """The passage that the first rule finds; `judging` is what tells that a text judges."""
    open_quote: Callable[[int], bool] | None = None
    for rule in rules:
        times = 0
        for match in rule.pattern.finditer(view):
            if rule.spoken_of:
                open_quote = open_quote or _quotes(view)
                if open_quote(match.start()):
                    continue
            times += 1
            if times == rule.times:
                if rule.judging and not judging.search(view):
                    break
                return _injection(rule.kind, view, match.start())
    return None


def _injection(kind: InjectionKind, view: str, start: int) -> Injection:
    shown = " ".join(view[start : start + 2 * LONGEST].split())
    return Injection(kind, shown[:LONGEST].strip())


def _quotes(view: str) -> Callable[[int], bool]:
    """Tells whether a quote is open at a place; one left open ends with its line."""
    marks, states, inside = [-1], [False], False
    for match in re.finditer(r'["\n]', view):
        inside = match.group() == '"' and not inside
        marks.append(match.start())
        states.append(inside)
    return lambda place: states[bisect_left(marks, place) - 1]


# Other languages -------------------------------------------------------------------------------


def _in_tongues(plain: str) -> Injection | None:
    low = plain.lower()
    for name, tongue in TONGUES.items():
        if any(sign in low for sign in tongue.signs):
            found = _first(tongue_rules(name), plain, tongue_judging(name))
            if found:
                return found
    return None
