"""Pairs of candidates, and which of them say the same."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from charter.rows import Row

__all__ = ["Pair", "Pairing", "alike", "pair_key", "pairs_of"]

Pairing = Literal["all", "revised-vs-initial", "best-worst", "adaptive"]

# What may stand around a word and changes nothing: quotes, stops, brackets, marks of Markdown.
_EDGES = "\"'“”‘’«».,;:!?…()[]{}*_`~"
# Bullets, quotes and headings at the start of a line.
_BULLET = re.compile(r"(?m)^[^\S\n]*(?:[-+*•–—>]|#{1,6})[^\S\n]+")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two candidates of one prompt; A is the one whose slot was made first.

    Attributes:
        id: of the pair, and of the row it may become.
        a: candidate A: slot, text, model.
        b: candidate B.
    """

    id: str
    a: dict[str, str]
    b: dict[str, str]

    @property
    def key(self) -> str:
        """What draws about the pair start from: the same whichever candidate is A."""
        return pair_key(self.id.rpartition("#")[0], self.a["slot"], self.b["slot"])

    def alike(self, near: float = 1.0) -> str:
        """Why the two say the same and are not judged; empty when they differ (see `alike`)."""
        return alike(self.a["text"], self.b["text"], near)


def pair_key(prompt_id: str, one: str, other: str) -> str:
    """The key of the pair of two slots, in either order."""
    low, high = sorted((one, other))
    return f"{prompt_id}#{low}~{high}"


def pairs_of(row: Row, pairs: Pairing = "all") -> list[Pair]:
    """The pairs that can be formed of a row's candidates, in the order in which they were made."""
    chosen = row["candidates"]
    if pairs == "revised-vs-initial":
        chosen = [c for c in chosen if c["slot"] in ("initial", "revised")]
    return [
        Pair(f"{row['prompt_id']}#{a['slot']}~{b['slot']}", a, b)
        for a, b in itertools.combinations(chosen, 2)
    ]


def alike(one: str, other: str, near: float = 1.0) -> str:
    """Why two texts say the same; empty when they differ.

    Equal are texts of the same words, after NFKC and case folding, whatever stands around a word
    (quotes, stops, Markdown) or between two. Near-equal are texts of which a share of at least
    `near` of the words is common to both, in order (twice the longest common subsequence over the
    words of both). One symbol inside a word makes another word: `2+2` is not `2-2`.
    """
    if one == other:
        return "the two responses are the same"
    words, others = _words(one), _words(other)
    if words == others:
        return "the two responses are the same after normalising"
    # The shorter one's words are the most that both can have; no need to compare further.
    if 2 * min(len(words), len(others)) / (len(words) + len(others)) >= near:
        from rapidfuzz.distance import Indel

        share = Indel.normalized_similarity(words, others, score_cutoff=near)
        if share >= near:
            return f"the two responses have {share:.1%} of their words in common"
    return ""


def _words(text: str) -> Sequence[str]:
    plain = _BULLET.sub("", unicodedata.normalize("NFKC", text).casefold())
    stripped = [word.strip(_EDGES) or word.strip("*_`~") for word in plain.split()]
    return [word for word in stripped if word]
