"""Keys and personal data in the texts of a version: found, counted, and masked.

Own rules, and no scanner package: detect-secrets reads files line by line, at about a millisecond
a line, and presidio needs language models of hundreds of megabytes. Here Rust's regex engine goes
over whole columns first, so that Python reads only the few texts that may hold something.

What the rules can't know: a password in running text, an address written `name at host`, a name.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from charter.hub.clean import Clean
from charter.hub.columns import SHOWN, some
from charter.hub.part import Part
from charter.hub.secret_rules import KEYS, OPTIONAL, PERSONAL, RULES, Rule, SecretKind
from charter.hub.texts import TextColumn, row_names, text_columns
from charter.rows import digest

__all__ = ["Policy", "Secret", "SecretCheck", "SecretKind", "find_in", "find_secrets", "masked"]

KeyAction = Literal["fail", "mask", "drop"]
PersonalAction = Literal["report", "mask", "drop", "fail"]

_SCHEME: Final = 2
"""Of the rules' checks, which their patterns don't show; a change makes it the next number."""
# What masks hide may make sense anew with what stands around them; twice was seen to be enough.
_ROUNDS: Final = 8
# Below this one pass for all rules costs less than one for each sieve.
_FEW: Final = 64


@dataclass(frozen=True, slots=True)
class Secret:
    """A passage that is a key or personal data; it never holds the passage itself.

    Attributes:
        kind: what it is.
        start: its first character.
        end: the character after it.
    """

    kind: SecretKind
    start: int
    end: int

    def hinted(self, text: str) -> str:
        """The kind, and of a token the first characters, which are the same in all of its kind."""
        value = text[self.start : self.end]
        return f"{self.kind} {value[:4]}…" if self.kind in _PREFIXED else self.kind.value


_PREFIXED: Final = KEYS - {
    SecretKind.PRIVATE_KEY,
    SecretKind.AWS_SECRET,
    SecretKind.URL_PASSWORD,
    SecretKind.SECRET,
    SecretKind.TOKEN,
    SecretKind.SLACK_TOKEN,  # of a hook only its path is kept
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done about what is found, as `publish.secrets` of a recipe says.

    A key opens a door for whoever reads it, and a version can't be called back: by default it
    stops the publication. An e-mail address is most often a made-up one in a prompt, and that a
    long run should end at its last step for one of those helps nobody: it is reported.

    Attributes:
        keys: for keys, tokens and passwords.
        personal: for e-mail addresses, IBANs and card numbers, and what `also` names.
        also: kinds of `charter.hub.secret_rules.OPTIONAL` that are looked for as well.
    """

    keys: KeyAction = "fail"
    personal: PersonalAction = "report"
    also: tuple[str, ...] = ()

    @property
    def kinds(self) -> frozenset[SecretKind]:
        """The kinds that are looked for."""
        return (frozenset(SecretKind) - OPTIONAL) | {SecretKind(name) for name in self.also}

    def action(self, kind: SecretKind) -> str:
        """What is done about a kind."""
        return self.personal if kind in PERSONAL else self.keys

    @property
    def changes(self) -> bool:
        """Whether rows are masked or dropped at all."""
        return self.keys != "fail" or self.personal in ("mask", "drop")


_DEFAULT: Final = Policy()


@lru_cache(maxsize=16)
def _sieves(kinds: frozenset[SecretKind]) -> tuple[str, tuple[tuple[str, tuple[int, ...]], ...]]:
    """One expression for all rules of these kinds, and each with the rules that it is for.

    Tokens share one: an engine looks for dozens of literal prefixes as fast as for one.
    """
    tokens = [at for at, rule in enumerate(RULES) if rule.kind in kinds and rule.kind in _PREFIXED]
    groups = {"|".join(RULES[at].sieve for at in tokens): tokens} if tokens else {}
    for at, rule in enumerate(RULES):
        if rule.kind in kinds and at not in tokens:
            groups.setdefault(rule.sieve, []).append(at)
    return "|".join(groups), tuple((sieve, tuple(rules)) for sieve, rules in groups.items())


def find_in(
    texts: pl.Series, kinds: frozenset[SecretKind] = _DEFAULT.kinds
) -> dict[int, list[Secret]]:
    """What is found in several texts, by the place of the text; nulls hold nothing.

    Args:
        texts: of type String.
        kinds: those that are looked for.
    """
    whole, groups = _sieves(kinds)
    if len(texts) <= _FEW and not texts.str.contains(whole).any():
        return {}
    suspects: dict[int, list[int]] = {}
    for sieve, rules in groups:
        for at in texts.str.contains(sieve).arg_true().to_list():
            suspects.setdefault(at, []).extend(rules)
    found = {at: _found(texts[at], sorted(rules)) for at, rules in sorted(suspects.items())}
    return {at: secrets for at, secrets in found.items() if secrets}


def find_secrets(text: str, kinds: frozenset[SecretKind] = _DEFAULT.kinds) -> list[Secret]:
    """The keys and personal data in a text, in its order; none overlap."""
    return find_in(pl.Series([text], dtype=pl.String), kinds).get(0, [])


def _found(text: str, rules: Sequence[int]) -> list[Secret]:
    found: list[Secret] = []
    for rule in (RULES[at] for at in rules):
        ends = [one.end for one in found]
        new = []
        for start, end in _spans(rule, text):
            behind = bisect_right(ends, start)  # a list of addresses has thousands of them
            if behind == len(found) or end <= found[behind].start:
                new.append(Secret(rule.kind, start, end))
        found = sorted([*found, *new], key=lambda one: one.start)
    return found


def _spans(rule: Rule, text: str) -> Iterator[tuple[int, int]]:
    at = 0
    while match := rule.pattern.search(text, at):
        span = rule.check(match)
        if span:
            yield span
        # What follows a name that was none may be one: `token: password: ...`.
        at = span[1] if span else match.start() + 1


def masked(text: str, kinds: frozenset[SecretKind] = _DEFAULT.kinds) -> str:
    """The text with `[KIND]` for each passage of these kinds, such as `[EMAIL]`."""
    for _ in range(_ROUNDS):
        found = find_secrets(text, kinds)
        if not found:
            break
        ends = [0, *(one.end for one in found)]
        parts = [
            f"{text[at : one.start]}[{one.kind}]" for at, one in zip(ends, found, strict=False)
        ]
        text = "".join(parts) + text[ends[-1] :]
    return text


def rules_digest(kinds: Iterable[SecretKind]) -> str:
    """A name for what these kinds are known by: scheme, patterns and sieves."""
    known = [[r.kind, r.sieve, r.pattern.pattern] for r in RULES if r.kind in set(kinds)]
    return digest("secrets", _SCHEME, known)


class SecretCheck:
    """No text that is published holds a key, or what else the recipe does not allow.

    Args:
        policy: what is done about what is found. What was to be masked or dropped and is still
            there, is a problem.
        clean: texts that were found clean before are not read again.
    """

    def __init__(self, policy: Policy = _DEFAULT, clean: Clean | None = None) -> None:
        self._policy = policy
        self._kinds = policy.kinds
        self._clean = Clean() if clean is None else clean
        self._names: dict[bool, list[str]] = {False: [], True: []}
        self._places: Counter[bool] = Counter()
        self._counts: Counter[SecretKind] = Counter()
        self._texts: Counter[SecretKind] = Counter()

    @staticmethod
    def clean_rules(policy: Policy = _DEFAULT) -> str:
        """What a `Clean` for this policy must have been made by."""
        return rules_digest(policy.kinds)

    def see(self, part: Part) -> None:
        """Look through the texts of one batch."""
        for column in text_columns(part):
            fresh, hashes = self._clean.news(column.texts)
            texts = column.texts.gather(fresh)
            found = find_in(texts, self._kinds)
            self._clean.add(np.delete(hashes, list(found)))
            if found:
                self._note(part, column, {texts[at]: each for at, each in found.items()})

    def look(self, place: str, text: str) -> None:
        """Look through a file that is published beside the rows, such as the recipe."""
        self.add(place, text, find_secrets(text, self._kinds))

    def add(self, place: str, text: str, secrets: Sequence[Secret]) -> None:
        """Count what was found in a text; the place is named as long as few are."""
        for one in secrets:
            self._counts[one.kind] += 1
        for kind in {one.kind for one in secrets}:
            self._texts[kind] += 1
        for bad in {self._policy.action(one.kind) != "report" for one in secrets}:
            mine = [one for one in secrets if (self._policy.action(one.kind) != "report") is bad]
            self._places[bad] += 1
            if place and len(self._names[bad]) < SHOWN:
                kinds = ", ".join(dict.fromkeys(one.hinted(text) for one in mine))
                self._names[bad].append(f"{place} ({kinds})")

    def problems(self) -> Iterator[str]:
        """What must not be published, with the first places."""
        if self._places[True]:
            more = self._places[True] - len(self._names[True])
            yield f"keys or personal data in {some(self._names[True], more)}"

    def told(self) -> str:
        """What is said when there is no problem: what was found and may stay."""
        if not self._counts:
            return "no keys or personal data found"
        more = self._places[False] - len(self._names[False])
        counted = ", ".join(f"{n} {kind}" for kind, n in sorted(self._counts.items()))
        return f"reported, not removed: {counted}, in {some(self._names[False], more)}"

    def figures(self) -> dict[str, Any]:
        """Kind -> `found` and the `texts` they are in."""
        return {
            kind.value: {"found": self._counts[kind], "texts": self._texts[kind]}
            for kind in sorted(self._counts)
        }

    def _note(self, part: Part, column: TextColumn, found: dict[str, list[Secret]]) -> None:
        places = column.texts.is_in(list(found)).arg_true().to_list()
        names = [""] * len(places)
        if any(len(each) < SHOWN for each in self._names.values()):
            names = row_names(part, [int(column.rows[at]) for at in places])
        for at, name in zip(places, names, strict=True):
            text = column.texts[at]
            # Ids may be addresses: of people who wrote a prompt, for one.
            place = f"{part.config}.{column.name} of {masked(name)}" if name else ""
            self.add(place, text, found[text])
