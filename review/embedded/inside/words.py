"""What a word is: text is cut the same way when it is stored and when it is looked for.

As Elasticsearch's standard analyzer does, with two differences that only make more be found: text
is normalised (NFKC, case folded), and a script that is written without spaces is cut into its
characters, so that any part of a Chinese, Japanese, Korean or Thai sentence can be looked for.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["atoms", "stored", "words"]

# Read over by every reader: they join what stands around them, or show nothing at all.
_UNSEEN = re.compile("[\u00ad\u200c\u200d\u2060\ufe0e\ufe0f\ufeff]")

# Written without spaces: Han, kana, Hangul, Bopomofo, Thai, Lao, Myanmar, Khmer.
_SINGLE = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u1049\u1050-\u109f\u1100-\u11ff\u1780-\u17d3"
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u302f\u3031-\u3035\u3041-\u3096\u3099-\u309f\u30a1-\u30fa"
    "\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97c\uac00-\ud7fb\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)

# Emoji and other pictures: a word each.
_PICTURES = (
    "\u203c\u2049\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d"
    "\U0001f000-\U0001faff"
)

# Marks that Python's \w leaves out, though they stand inside words (vowels of Indic scripts,
# points of Hebrew and Arabic, accents that no composed letter has).
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a"
    "\u07a6-\u07b0\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd"
    "\u0a01-\u0a03\u0a3c-\u0a4d\u0a81-\u0a83\u0abc-\u0acd\u0b01-\u0b03\u0b3c-\u0b57\u0b82"
    "\u0bbe-\u0bcd\u0c00-\u0c04\u0c3e-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6\u0d00-\u0d03\u0d3b-\u0d4d"
    "\u0d82\u0d83\u0dca-\u0ddf\u0f71-\u0f84\u135d-\u135f\u20d0-\u20f0\ufe20-\ufe2f"
)

_ATOM = rf"[{_SINGLE}]|[{_PICTURES}]|(?:(?![{_SINGLE}])(?:[^\W_]|[{_MARKS}]))+"
_ATOMS = re.compile(_ATOM)
# One of these between two letters or digits does not end a word: it's, 3.14, snake_case.
_WORDS = re.compile(rf"(?:{_ATOM})(?:['’._:,]?(?:{_ATOM}))*")


def _normal(text: str) -> str:
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _UNSEEN.sub("", folded)


def atoms(text: str) -> list[str]:
    """The smallest parts that are stored: letters and digits only, never a sign of a query."""
    return _ATOMS.findall(_normal(text))


def stored(text: str) -> str:
    """A text whose atoms FTS5's `ascii` tokenizer finds: it parts plain ASCII as we do."""
    return text.lower() if text.isascii() else " ".join(atoms(text))


def words(text: str) -> list[list[str]]:
    """The words of a text, each as the atoms that must follow one another."""
    return [_ATOMS.findall(word) for word in _WORDS.findall(_normal(text))]
