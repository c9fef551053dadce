"""What a row is made of: messages, verdicts, reasons, ids and seeded draws.

Nothing here imports more than the standard library. Every draw of the project is a hash of
(seed, prompt id, what is drawn, index): there is no global random state anywhere.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, TypedDict

__all__ = [
    "Ledger",
    "Message",
    "Order",
    "Reason",
    "Verdict",
    "canonical",
    "digest",
    "draw_int",
    "draw_unit",
    "messages_id",
    "normalised",
]

Row = dict[str, Any]


class Message(TypedDict):
    """One message of a conversation, as chat templates and TRL take them."""

    role: Literal["system", "user", "assistant"]
    content: str


class Verdict(StrEnum):
    """What one vote says of the candidates A and B (not of the places they were shown in)."""

    A = "A"
    B = "B"
    TIE = "TIE"
    UNPARSED = "UNPARSED"


class Order(StrEnum):
    """The order in which the candidates were shown: `AB` shows A first."""

    AB = "AB"
    BA = "BA"


class Ledger(StrEnum):
    """Which account a reject belongs to; each one adds up (see `charter.run.ledger`)."""

    INPUT = "input"
    SFT = "sft"
    PREFERENCE = "preference"


class Reason(StrEnum):
    """Why an input, a prompt or a pair did not become a row."""

    # input: the record is no prompt
    NOT_UTF8 = "NOT_UTF8"
    NOT_JSON = "NOT_JSON"
    NO_PROMPT = "NO_PROMPT"
    NO_TEXT = "NO_TEXT"
    BAD_MESSAGES = "BAD_MESSAGES"
    BAD_ID = "BAD_ID"
    DUPLICATE_ID = "DUPLICATE_ID"
    TOO_LONG = "TOO_LONG"
    # sft and preference: a call gave nothing to go on with
    CALL_FAILED = "CALL_FAILED"
    CONTEXT_OVERFLOW = "CONTEXT_OVERFLOW"
    EMPTY_RESPONSE = "EMPTY_RESPONSE"
    EMPTY_CRITIQUE = "EMPTY_CRITIQUE"
    EMPTY_REVISION = "EMPTY_REVISION"
    # preference: the pair has no label
    NO_PAIR = "NO_PAIR"
    IDENTICAL = "IDENTICAL"
    UNPARSED = "UNPARSED"
    TIE = "TIE"
    INCONSISTENT = "INCONSISTENT"
    BELOW_MARGIN = "BELOW_MARGIN"


def canonical(value: Any) -> str:
    """One text for one value: JSON with sorted keys, no spaces, no NaN; what digests read."""
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def digest(*parts: Any) -> str:
    """SHA-256 in hex over the canonical JSON of the parts, as one list."""
    return hashlib.sha256(canonical(list(parts)).encode()).hexdigest()


def draw_int(seed: int, *what: Any) -> int:
    """A uniform integer in [0, 2**63), fixed by the seed and what is drawn."""
    return int(digest(seed, *what)[:16], 16) >> 1


def draw_unit(seed: int, *what: Any) -> float:
    """A uniform number in [0, 1), fixed by the seed and what is drawn (53 bits)."""
    return (int(digest(seed, *what)[:16], 16) >> 11) / float(1 << 53)


def messages_id(messages: Sequence[Mapping[str, Any]]) -> str:
    """The id of a prompt whose source gives none: the first 16 hex digits of its digest."""
    return digest([[m["role"], m["content"]] for m in messages])[:16]


def normalised(text: str) -> str:
    """Text for telling whether two answers are the same: NFKC, case and white space folded."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
