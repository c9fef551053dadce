"""An answer as the signs of a refusal are looked for in it: sentences without quotes and code."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from charter.models.thoughts import without_thoughts

__all__ = ["Said", "plain", "said_by"]

_HEAD: Final = 1000  # characters read from the start: a refusal is said early
_TAIL: Final = 300  # and from the end, where some say what they left out
_STRAIGHT: Final = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "′": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
)
_EMPHASIS: Final = str.maketrans(dict.fromkeys("*_#>`"))
_ENDS: Final = (". ", "! ", "? ")
_ALL_ENDS: Final = (*_ENDS, "。", "！", "？")
# What parts words; apostrophes and hyphens stand within them.
_PARTS: Final = str.maketrans(dict.fromkeys('.,;:!?()[]{}"/\\|…、，。；：！？（）《》¿¡+=<>~', " "))
# Up to one blank line: a quote that is never closed must not swallow the answer.
_QUOTED: Final = re.compile(r'"(?:[^"\n]|\n(?!\n)){0,600}"')
_CODE: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_ITEM: Final = re.compile(r"(?m)^[ \t>]*(?:\d{1,2}[.)]|[-*•–])[ \t]+(?=\S)")
_SPEAKER: Final = re.compile(r"\A\s*(?:assistant|ai|bot|answer|response|reply|output)\s*:\s*")
# Marks of pages and templates: <answer>, <|end|>
_TAG: Final = re.compile(r"</?[a-z][\w-]{0,20}>|<\|\w{1,30}\|>")
# I cant help, im sorry
_BARE_NOT: Final = re.compile(r"\b(can|won|don|couldn|wouldn|shouldn|isn)t\b")
_BARE_AM: Final = re.compile(r"\bim (?=(?:so |very )?(?:sorry|not|unable|afraid)\b)")
_HEADING: Final = re.compile(r"\A\s*#+[^\n]{0,40}\n+")


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says, in pieces.

    Attributes:
        sentences: of its head, in lower case, without quotes, code, emphasis and list marks.
        words: of each sentence.
        last: its last sentences.
        more: whether it is longer than its head.
        items: lines of a list in the head.
        code: whether a block of code stands in it.
        length: characters in all.
    """

    sentences: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]
    last: tuple[str, ...]
    more: bool
    items: int
    code: bool
    length: int


def plain(text: str) -> str:
    """Lower case and straight apostrophes: what patterns are written in."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_STRAIGHT)
    return text.casefold()


def said_by(answer: str) -> Said | None:
    """The pieces of an answer; None where it says nothing.

    Thoughts between `<think>` and `</think>` are not said; an answer that never leaves them says
    nothing. White space, zero-width characters and marks alone (`...`) say as little; a symbol
    (`+`, a smile) may be an answer.
    """
    answer = _unwrapped(without_thoughts(answer))
    length = len(answer)
    head = plain(answer[:_HEAD])
    if _silent(head) and (length <= _HEAD or _silent(plain(answer))):
        return None
    tail = plain(answer[max(_HEAD, length - _TAIL) :]) if length > _HEAD else ""
    code = "```" in head
    head, items = _cleaned(head, code)
    sentences = _sentences(head)
    last = _sentences(_cleaned(tail, "```" in tail)[0])
    words = tuple(tuple(each.translate(_PARTS).split()) for each in sentences)
    ending = tuple(last[-3:] or sentences[-2:])
    return Said(tuple(sentences), words, ending, length > _HEAD, items, code, length)


def _unwrapped(answer: str) -> str:
    """The text inside an answer that is one JSON object, or one quote."""
    bare = answer.strip()
    if bare[:1] == "{" and bare[-1:] == "}" and len(bare) < 20_000:
        try:
            found = json.loads(bare)
        except (ValueError, RecursionError):
            return answer  # text in braces is text
        texts = [value for value in found.values() if isinstance(value, str)]
        return "\n".join(texts) or answer
    if len(bare) > 2 and bare[0] in '"“' and bare[-1] in '"”' and not set(bare[1:-1]) & set('"“”'):
        return bare[1:-1]
    return answer


def _silent(text: str) -> bool:
    if any(map(str.isalnum, text)):
        return False
    bare = text.translate(_EMPHASIS)
    return not any(unicodedata.category(char).startswith("S") for char in bare)


def _cleaned(text: str, code: bool) -> tuple[str, int]:
    if code:
        text = _CODE.sub("\n", text)
    text = _TAG.sub(" ", text) if "<" in text else text
    text = _BARE_AM.sub("i'm ", _BARE_NOT.sub(r"\1't", text))
    text = _HEADING.sub("", text)
    text, items = _ITEM.subn("", text) if "\n" in text else (text, 0)
    text = text.translate(_EMPHASIS)
    if '"' in text:
        text = _QUOTED.sub(" ", text)
    return _SPEAKER.sub("", text), items


def _sentences(text: str) -> list[str]:
    for end in _ENDS if text.isascii() else _ALL_ENDS:
        text = text.replace(end, "\n")
    return [each for part in text.split("\n") if (each := part.strip(" \t-:"))]
