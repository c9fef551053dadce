"""The rules by which a response is found to speak to its judge in other languages than English."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from charter.steps.injection_rules import JUDGING, InjectionKind, Rule
from charter.steps.injection_words import TONGUES

__all__ = ["tongue_judging", "tongue_rules"]

_FLAGS: Final = re.IGNORECASE | re.MULTILINE
_SIGN: Final = r"(?<![A-Za-zА-я])(?-i:[ABАБВ])(?![A-Za-zА-я])"


@cache
def tongue_judging(name: str) -> re.Pattern[str]:
    """`JUDGING` with what says the same in a language: a rival, a letter's response, a contest."""
    t = TONGUES[name]
    own = f"{t.other}|{t.both}|(?:{t.response}) ?{_SIGN}|{t.judging}"
    return re.compile(f"{JUDGING.pattern}|{own}", _FLAGS)


@cache
def tongue_rules(name: str) -> tuple[Rule, ...]:
    """The rules of a language, made of its words (`charter.steps.injection_words`)."""
    t = TONGUES[name]
    gap, near, close = r"[^.!?。]{0,60}", r"[^.!?。]{0,25}", r"[^.!?。]{0,14}"
    # Where words have no ends between them, or change at their front, any place will do.
    start = r"\b" if name not in ("zh", "ja", "ko", "hi", "ar") else ""
    said = rf"{_SIGN}[^.!?。A-Za-z]{{0,6}}(?:{t.say})"
    letter = rf"{_SIGN}(?=(?: aus)?[\"')\]]*+ ?(?:[.,;:!?。,)\n]|$))"

    def rules(
        kind: InjectionKind, *patterns: str, spoken_of: bool = False, judging: bool = False
    ) -> tuple[Rule, ...]:
        return tuple(Rule(kind, re.compile(p, _FLAGS), spoken_of, judging) for p in patterns)

    return (
        *rules(
            InjectionKind.INSTRUCTION,
            rf"{start}(?:{t.ignore})(?={gap}(?:{t.orders}))(?={gap}(?:{t.earlier}))",
            rf"{start}(?:{t.earlier})(?={gap}(?:{t.orders}))(?={gap}(?:{t.ignore}))",
            spoken_of=True,
        ),
        *rules(
            InjectionKind.INSTRUCTION,
            rf"{start}(?:{t.choose}){near}(?:{t.named})",
            rf"(?:{t.named}){near}(?:{t.choose})",
            rf"{start}(?:{t.say}){near}{letter}",
            rf"{start}(?:{t.choose}){near}(?:{t.response}) ?{letter}",
            # where the verb comes last
            *([said] if name in ("ja", "ko", "hi", "tr") else ()),
        ),
        *rules(
            InjectionKind.VERDICT,
            rf"{start}(?:{t.better}){near}(?:{t.response}){near}{letter}",
            judging=True,
        ),
        *rules(InjectionKind.VERDICT, rf"{start}(?:{t.response}) ?{_SIGN} {near}(?:{t.better})"),
        *rules(InjectionKind.AUTHORITY, rf"{start}(?:{t.other}){gap}(?:{t.worse})"),
        *rules(InjectionKind.PROMOTION, rf"{start}(?:{t.this}){close}(?:{t.better})", judging=True),
        *rules(
            InjectionKind.PROMOTION,
            # better, full stop: not for anything
            rf"{start}(?:{t.this}){close}(?:{t.better})\w{{0,12}} ?(?:[.,;:!?。]|$)",
            rf"{start}(?:{t.choose}){near}(?:{t.this})",
            rf"{start}(?:{t.this}){close}(?:{t.choose})",
            rf"{start}(?:{t.better})(?={near}(?:{t.both}))(?={gap}(?:{t.response}))",
            rf"{start}(?:{t.both})(?={near}(?:{t.better}))(?={gap}(?:{t.response}))",
        ),
    )
