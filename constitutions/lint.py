"""Lint: wording of principles that makes a judge waver. Hints, never faults; no model is asked.

Quiet on purpose: a rule speaks where its words alone show the trouble. The words are English; of
texts in other languages next to nothing is said. Whether two principles really pull apart is
measured from votes (`charter.evals.constitution_votes`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from charter.constitutions.lint_words import (
    ADJECTIVES,
    COMMON_STEMS,
    DOUBLE_NEGATIVES,
    FILLER,
    NOUNS,
    OPPOSITES,
    PREPOSITIONS,
    RESPONSE,
    VAGUE,
)
from charter.constitutions.schema import Constitution, Principle

__all__ = ["LintWarning", "lint_constitution", "lint_principle"]

Field = Literal["critique", "revision", "comparison"]
_FIELDS: tuple[Field, ...] = ("critique", "revision", "comparison")


@dataclass(frozen=True, slots=True)
class LintWarning:
    """One hint about a text.

    Attributes:
        principle_id: whose text it is.
        field: which text.
        rule: short name of the rule.
        found: the words that gave rise to it.
        advice: why they make judges waver, and what to write instead.
        other: the other principle, where the hint is about two.
    """

    principle_id: str
    field: Field
    rule: str
    found: str
    advice: str
    other: str = ""

    def __str__(self) -> str:
        place = f"{self.principle_id}.{self.field}"
        return f'{place}  {self.rule}: "{self.found}": {self.advice}'


def lint_constitution(constitution: Constitution) -> list[LintWarning]:
    """Every hint about a constitution: principle by principle, then about pairs of them."""
    principles = constitution.principles
    alone = [found for principle in principles for found in lint_principle(principle)]
    return alone + list(_between(principles))


def lint_principle(principle: Principle) -> list[LintWarning]:
    """The hints about one principle, in the order of its texts."""
    found: list[LintWarning] = []
    for field in _FIELDS:
        text = " ".join(getattr(principle, field).split())
        rules = [*_double_negatives(text), *_absolutes(text, field)]
        if field == "comparison":
            own = [*_no_criterion(text)]
            rules = [*_places(text), *_no_choice(text), *own, *_two_criteria(text), *rules]
            rules += [] if own else _vague(text)
        else:
            rules += _vague(text)
        found += [LintWarning(principle.id, field, *rule) for rule in rules]
    return found + [LintWarning(principle.id, *hint) for hint in _other_subject(principle)]


Hint = tuple[str, str, str]

# --- two requests in one

_CLAUSES = re.compile(r"[.;:?!]\s|\s[–—]\s")
_JOINED = re.compile(
    r"\s*,?\s+(?:and also|but also|and|as well as|while (?:also|being|still)|plus)\s+|\s*,\s+",
    re.IGNORECASE,
)
_AND = re.compile(r"\b(?:and|as well as|but also|while (?:also|being|still)|plus)\b", re.IGNORECASE)
_DEGREE = re.compile(
    r"\b(?:more|less|most|least|few(?:er|est)|better|best|as|higher|lower|\w{3,}(?:er|est))\b",
    re.IGNORECASE,
)
_PRIORITY = re.compile(
    r"\b(?:if (?:both|they|the two|neither)|(?:when|where) (?:both|they|these)|in a tie|if equal|"
    r"equally|takes? precedence|comes? first|above all|matters? more|first of all|"
    r"unless|even if|but only)\b",
    re.IGNORECASE,
)
_REACH = 8  # words after a joint in which its criterion stands; behind it come mere objects


def _themes(part: str) -> set[str]:
    lists = [ADJECTIVES, NOUNS] if _DEGREE.search(part) else [ADJECTIVES]
    return {theme for words in lists for theme, pattern in words.items() if pattern.search(part)}


def _two_criteria(text: str) -> Iterator[Hint]:
    """Criteria joined by "and" that share no theme: each can have another winner."""
    if _PRIORITY.search(text):
        return
    for clause in _CLAUSES.split(text):
        if not _AND.search(clause):
            continue
        parts = _JOINED.split(clause)
        near = [parts[0], *(" ".join(part.split()[:_REACH]) for part in parts[1:])]
        known = [(part, themes) for part in near if (themes := _themes(part))]
        for (left, ours), (right, theirs) in itertools.combinations(known, 2):
            if ours & theirs:
                continue
            said = f"{_tail(left)} … {right}"
            advice = (
                f"asks for {_listed(ours)} and for {_listed(theirs)}, which can name different "
                "winners; make two principles, or say which counts first"
            )
            yield "two-criteria", said.rstrip(".?!"), advice
            return


def _tail(part: str) -> str:
    """The end of a part: its criterion, without the request to choose."""
    return " ".join(part.split()[-4:])


def _listed(themes: set[str]) -> str:
    return " or ".join(sorted(themes))


# --- words that leave open what counts

_EXPLAINED = re.compile(
    r"[:(]|\b(?:such as|for example|for instance|e\.g\.|i\.e\.|that is|meaning|including|namely|"
    r"because|by which|in that|like)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.?!])\s+")


def _vague(text: str) -> Iterator[Hint]:
    seen: set[str] = set()
    for sentence in _SENTENCE.split(text):
        for pattern, advice in VAGUE:
            for match in pattern.finditer(sentence):
                said = match.group()
                if said.lower() not in seen and not _EXPLAINED.search(sentence, match.end()):
                    seen.add(said.lower())
                    yield "vague", said, advice


# --- negations, places, degrees


def _double_negatives(text: str) -> Iterator[Hint]:
    taken: list[range] = []
    for pattern in DOUBLE_NEGATIVES:
        for match in pattern.finditer(text.replace("’", "'")):
            if any(match.start() in span or span.start in range(*match.span()) for span in taken):
                continue
            taken.append(range(*match.span()))
            advice = "two negations that small models read as one; say it without them"
            yield "double-negative", match.group(), advice


_PLACE = re.compile(
    rf"\b(?i:the|your|its)\s+(?i:first|second|former|latter|left|upper|lower|previous|last|"
    rf"left-hand|right-hand)\s+(?i:{RESPONSE})\b|\b(?i:the)\s+(?i:former|latter)\b"
    rf"|\b(?i:{RESPONSE})\s+[(\"'\[]?[AB12]\b|(?<!\w)[(\[][AB][)\]]"
    rf"|\b(?i:{RESPONSE})\s+(?i:on the (?:left|right)|shown (?:first|second|last)|above|below)\b"
)


def _places(text: str) -> Iterator[Hint]:
    match = _PLACE.search(text)
    if match:
        advice = (
            "the judge sees both orders, so a place is no candidate; say what the better one does"
        )
        yield "names-a-place", match.group(), advice


_ASKS = re.compile(
    rf"\b(?:choose|select|pick|prefer|favou?r|decide|which|rank|vote|go with|rate higher|"
    rf"(?:identify|name|find|indicate|tell|judge|give|point out) the (?:\w+ )?{RESPONSE})\b",
    re.IGNORECASE,
)

# What is said of words that are missing holds for English alone.
_ENGLISH = re.compile(
    r"\b(?:the|that|this|it|should|must|response|answer|reply|output)\b", re.IGNORECASE
)


def _no_choice(text: str) -> Iterator[Hint]:
    if _ENGLISH.search(text) and not _ASKS.search(text):
        advice = "the judge is not asked for one of the two; begin with `Choose the response that`"
        yield "no-choice", _short(text), advice


_WORD = re.compile(r"[a-zA-Z][a-zA-Z'-]*")


def _no_criterion(text: str) -> Iterator[Hint]:
    words = _WORD.findall(text)
    if words and all(word.lower() in FILLER for word in words):
        advice = "it names no quality, so each judge brings its own; say what the better one does"
        yield "no-criterion", _short(text), advice


_NO_EXCEPTION = re.compile(
    r"\b(?:always|never|under no circumstances?|at all costs?|no matter what|without exception|"
    r"in (?:every|any) case|whatsoever|at all times|no exceptions)\b",
    re.IGNORECASE,
)
_NO_DEGREE = re.compile(
    r"\b(?:completely|entirely|totally|absolutely|perfectly|fully|wholly|utterly|100 ?%|"
    r"one hundred percent)\s+(?!with|and|or|to|the|what|in|on|for|by|from|that)[a-z][\w-]*",
    re.IGNORECASE,
)


def _absolutes(text: str, field: Field) -> Iterator[Hint]:
    match = _NO_EXCEPTION.search(text)
    if match:
        advice = "an exception is soon found, and then the judge is on its own; say when it applies"
        yield "absolute", match.group(), advice
    degree = _NO_DEGREE.search(text) if field == "comparison" else None
    if degree:
        advice = "both responses or neither may be so; ask for more or less of it"
        yield "absolute", degree.group(), advice


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


# --- texts against each other

_STEM = 5


def _stems(text: str) -> set[str]:
    """The beginnings of the words that carry meaning; good enough to see a shared subject."""
    words = (word.lower().removeprefix("un") for word in _WORD.findall(text))
    return {word[:_STEM] for word in words if len(word) > 3} - COMMON_STEMS


def _other_subject(principle: Principle) -> Iterator[tuple[Field, str, str, str]]:
    """A comparison that shares neither a word nor a theme with the critique and the revision.

    Words alone are no sign: good texts say one thing in many. So both must differ.
    """
    asked = f"{principle.critique} {principle.revision}"
    ours, theirs = _themes(principle.comparison), _named_themes(asked)
    if not ours or not theirs or ours & theirs:
        return
    if _stems(principle.comparison) & _stems(f"{asked} {principle.name}"):
        return
    advice = (
        f"it speaks of {_listed(ours)}, critique and revision of {_listed(theirs)}; the revision "
        "then does not make what the judge prefers"
    )
    yield "comparison", "other-subject", _short(" ".join(principle.comparison.split())), advice


def _named_themes(text: str) -> set[str]:
    return {theme for theme, pattern in ADJECTIVES.items() if pattern.search(text)}


_REQUEST = re.compile(
    rf"^(?:please )?(?:choose|select|pick|prefer|which)(?: of)?(?: the| these)?(?: two)?"
    rf"(?: (?:{RESPONSE}))?(?: which| that)?(?: would| is| are| has| does| gives)?\s*",
    re.IGNORECASE,
)
_ARTICLES = re.compile(r"\b(?:the|an?|that|which|its?)\b\s*")
_ALIKE = 88.0  # of 100: the same words but for one in eight or so
_COPIED = 96.0
_TURNED = re.compile(
    r"\b(more|most|less|least|fewer|fewest)\s+([a-z][\w-]+)(?:\s+([a-z]+)\s+([\w-]+))?"
)


def _criterion(text: str) -> str:
    return _REQUEST.sub("", " ".join(text.split())).strip(" .?!").lower()


def _degrees(text: str) -> set[tuple[bool, str]]:
    """(more?, of what) of a comparison; an object that follows belongs to what is asked."""
    found = set()
    for match in _TURNED.finditer(text.lower()):
        degree, what, link, thing = match.groups()
        if what in PREPOSITIONS or what == "likely":
            continue
        whole = f"{what} {link} {thing}" if link in PREPOSITIONS and link != "than" else what
        found.add((degree in ("more", "most"), whole))
    return found


def _opposed(ours: str, theirs: str) -> tuple[str, str] | None:
    """The words of two comparisons that ask for opposite things."""
    turned = {(not more, what) for more, what in _degrees(ours)} & _degrees(theirs)
    for more, what in sorted(turned):
        words = ("less", "more") if more else ("more", "less")
        return f"{words[0]} {what}", f"{words[1]} {what}"
    for one, other in OPPOSITES:
        for left, right in ((one, other), (other, one)):
            mine, yours = left.search(ours), right.search(theirs)
            if mine and yours:
                return mine.group(), yours.group()
    return None


def _between(principles: tuple[Principle, ...]) -> Iterator[LintWarning]:
    """Hints about two principles: opposite wording, else nearly the same wording."""
    from rapidfuzz import fuzz

    criteria = [_criterion(principle.comparison) for principle in principles]
    bare = [_ARTICLES.sub("", criterion) for criterion in criteria]
    for one, other in itertools.combinations(range(len(principles)), 2):
        ours, theirs = principles[one], principles[other]
        opposed = _opposed(criteria[one], criteria[other])
        if opposed:
            said = f"{opposed[1]} (against {opposed[0]} in {ours.id})"
            advice = "no response can win under both; keep one, or say in both when it applies"
            yield LintWarning(theirs.id, "comparison", "opposite", said, advice, ours.id)
            continue
        alike: tuple[Field, float] | None = None
        if fuzz.token_sort_ratio(bare[one], bare[other]) >= _ALIKE:
            alike = ("comparison", _ALIKE)
        elif fuzz.ratio(ours.critique, theirs.critique) >= _COPIED:
            alike = ("critique", _COPIED)
        if alike:
            advice = f"nearly the text of {ours.id}, so its subject counts twice; keep one"
            said = _short(" ".join(getattr(theirs, alike[0]).split()))
            yield LintWarning(theirs.id, alike[0], "near-duplicate", said, advice, ours.id)
