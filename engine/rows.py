"""What a row is made of: messages, verdicts, reasons, ids and seeded draws.

Every draw of the project is a hash of
(seed, prompt id, what is drawn, index): there is no global random state anywhere.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, TypedDict

import orjson

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
    """Which account a reject belongs to; each one adds up (see `charter.hub.checks`)."""

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
    NO_CANDIDATES = "NO_CANDIDATES"
    DUPLICATE_ID = "DUPLICATE_ID"
    TOO_LONG = "TOO_LONG"
    # sft and preference: what was made is not to be published
    CONTAMINATED = "CONTAMINATED"
    # sft and preference: a call gave nothing to go on with
    CALL_FAILED = "CALL_FAILED"
    CONTEXT_OVERFLOW = "CONTEXT_OVERFLOW"
    CONTENT_FILTERED = "CONTENT_FILTERED"
    EMPTY_RESPONSE = "EMPTY_RESPONSE"
    EMPTY_CRITIQUE = "EMPTY_CRITIQUE"
    EMPTY_REVISION = "EMPTY_REVISION"
    # sft and preference: taken out of a published version, or held back by its publisher
    RETRACTED = "RETRACTED"
    SECRET = "SECRET"  # noqa: S105
    # preference: the pair has no label
    NO_PAIR = "NO_PAIR"
    IDENTICAL = "IDENTICAL"
    INJECTION = "INJECTION"
    UNPARSED = "UNPARSED"
    TIE = "TIE"
    INCONSISTENT = "INCONSISTENT"
    BELOW_MARGIN = "BELOW_MARGIN"
    BOTH_BAD = "BOTH_BAD"  # people's word, on a pair that had a label


def canonical(value: Any) -> str:
    """One text for one value: JSON with sorted keys, no spaces, no NaN; what digests read."""
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def digest(*parts: Any) -> str:
    """SHA-256 in hex over the canonical JSON of the parts, as one list."""
    return hashlib.sha256(canonical(list(parts)).encode()).hexdigest()


def draw_int(seed: int, *what: str | int) -> int:
    """A uniform integer in [0, 2**63), fixed by the seed and what is drawn."""
    return int.from_bytes(_drawn(seed, *what)[:8], "big") >> 1


def draw_unit(seed: int, *what: str | int) -> float:
    """A uniform number in [0, 1), fixed by the seed and what is drawn (53 bits)."""
    return (int.from_bytes(_drawn(seed, *what)[:8], "big") >> 11) / float(1 << 53)


def _drawn(*parts: str | int) -> bytes:
    """The bytes of `digest`; ten draws a row are worth the faster writer of the same JSON."""
    try:
        text = orjson.dumps(parts)
    except TypeError:  # integers of more than 64 bits, halves of surrogate pairs
        text = canonical(list(parts)).encode()
    return hashlib.sha256(text).digest()


def messages_id(messages: Sequence[Mapping[str, Any]]) -> str:
    """The id of a prompt whose source gives none: the first 16 hex digits of its digest."""
    return digest([[m["role"], m["content"]] for m in messages])[:16]


def normalised(text: str) -> str:
    """Text for telling whether two answers are the same: NFKC, case and white space folded."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
