"""What a record and one response to it say: a spot-check, or why there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Literal

from charter.hub.number import is_tag
from charter.review.fields import (
    ANSWERS,
    BETTER,
    COMMENT,
    CRITIQUE_RIGHT,
    OVER_REFUSING,
    STILL_HARMFUL,
    SURE,
)
from charter.review.spot_check import Human, Kind, Share, SpotCheck, Sure
from charter.rows import digest

__all__ = ["Refused", "RefusedError", "answer_id", "read_response", "read_time"]

_YES_NO: Final = {"yes": True, "no": False}
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Refused(StrEnum):
    """Why a submitted answer can't be used; each is counted, and none is guessed at."""

    NO_METADATA = "NO_METADATA"
    """The record lacks what says which row it is: not sent by Charter, or edited since."""
    BAD_METADATA = "BAD_METADATA"
    """What it says can't be, or one part of it denies another."""
    OTHER_REPO = "OTHER_REPO"
    """It is of another repo than its dataset."""
    NO_VERDICT = "NO_VERDICT"
    """The answer leaves the main question open."""
    UNKNOWN_ANSWER = "UNKNOWN_ANSWER"
    """An answer is none of the options that Charter gave."""
    NO_REVIEWER = "NO_REVIEWER"
    """Nobody knows whose it is: the user was deleted."""


class RefusedError(Exception):
    """A response gives no spot-check."""

    def __init__(self, why: Refused) -> None:
        super().__init__(why.value)
        self.why = why


def answer_id(kind: Kind, row_id: str, texts: str, saw_ai: bool, reviewer: str) -> str:
    """The id of a reviewer's answer; the same however often it is changed."""
    return digest("spot-check", kind, row_id, texts, saw_ai, reviewer)[:32]


def read_response(
    record: Mapping[str, Any],
    response: Mapping[str, Any],
    *,
    repo: str,
    kind: Kind,
    shown: bool,
    reviewer: str,
) -> SpotCheck:
    """The spot-check of a submitted response.

    A and B of the screen become `chosen` and `rejected` by the record's own `first`, so it does
    not matter which machine shuffled them, or when.

    Args:
        record: as Argilla's HTTP API gives it, with `metadata` and `external_id`.
        response: one of its responses.
        repo: the one whose answers are collected.
        kind: of the record's dataset.
        shown: whether that dataset shows the AI's label.
        reviewer: pseudonym.

    Raises:
        RefusedError: it says nothing that can be used.
    """
    about = _metadata(record, repo, kind, shown)
    values = response.get("values") or {}
    verdict = _verdict(_value(values, BETTER), kind, about.get("first"))
    comment = _value(values, COMMENT)
    if comment is not None and not isinstance(comment, str):
        raise RefusedError(Refused.UNKNOWN_ANSWER)
    return SpotCheck(
        id=answer_id(kind, about["row_id"], about["texts"], shown, reviewer),
        kind=kind,
        row_id=about["row_id"],
        prompt_id=about["prompt_id"],
        principle_id=about.get("principle_id"),
        category=about.get("category") or "",
        reviewer=reviewer,
        verdict=verdict,
        sure=_word(_value(values, SURE), Sure),
        critique_right=_yes(_value(values, CRITIQUE_RIGHT)),
        still_harmful=_yes(_value(values, STILL_HARMFUL)),
        over_refusing=_yes(_value(values, OVER_REFUSING)),
        # A half of a surrogate pair is no text that a file can hold.
        comment=(comment or "").encode("utf-8", "replace").decode().strip() or None,
        first=about.get("first"),
        saw_ai=shown,
        share=about["share"],
        stratum=about["stratum"],
        inclusion=about["inclusion"],
        gold=about["gold"],
        p_chosen=about["p_chosen"],
        texts=about["texts"],
        version=about["version"],
        submitted=read_time(response["updated_at"]).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def read_time(text: str) -> datetime:
    """A time of the server, which writes UTC without saying so."""
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _metadata(record: Mapping[str, Any], repo: str, kind: Kind, shown: bool) -> dict[str, Any]:
    """The metadata in its own types, once all of it fits together."""
    found = {name: value for name, value in (record.get("metadata") or {}).items() if value != ""}
    needed = ["repo", "version", "row_id", "prompt_id", "share", "inclusion", "saw_ai", "texts"]
    if any(found.get(name) is None for name in (*needed, *(["first"] * (kind == "preference")))):
        raise RefusedError(Refused.NO_METADATA)
    if found["repo"] != repo:
        raise RefusedError(Refused.OTHER_REPO)
    try:
        about = {
            **{name: _text(found.get(name)) for name in _TEXTS},
            "stratum": _text(found.get("stratum")) or "",
            "share": Share(found["share"]),
            "inclusion": float(found["inclusion"]),
            "gold": None if found.get("gold") is None else Human(found["gold"]),
            "p_chosen": None if found.get("p_chosen") is None else float(found["p_chosen"]),
        }
    except (ValueError, TypeError):
        raise RefusedError(Refused.BAD_METADATA) from None
    if not all(_fits(about, record.get("external_id"), kind)) or found["saw_ai"] != _SAW[shown]:
        raise RefusedError(Refused.BAD_METADATA)
    return about


_TEXTS: Final = (*("version", "row_id", "prompt_id", "principle_id", "category", "first", "texts"),)
_SAW: Final = {True: "yes", False: "no"}


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError
    if value is not None:
        value.encode()  # a UnicodeEncodeError is a ValueError
    return value


def _fits(about: Mapping[str, Any], external_id: Any, kind: Kind) -> tuple[bool, ...]:
    gold, p = about["gold"], about["p_chosen"]
    return (
        is_tag(about["version"]),
        bool(_DIGEST.fullmatch(about["texts"])),
        external_id == f"{about['row_id']}@{about['texts'][:8]}",
        about["first"] in (("chosen", "rejected") if kind == "preference" else (None,)),
        0 < about["inclusion"] <= 1,
        (gold is not None) == (about["share"] is Share.GOLD),
        gold is None or gold in _VERDICTS[kind],
        p is None or 0.5 < p <= 1,
    )


_VERDICTS: Final[dict[Kind, frozenset[Human]]] = {
    "preference": frozenset({Human.CHOSEN, Human.REJECTED, Human.TIE, Human.BOTH_BAD}),
    "sft": frozenset({Human.BETTER, Human.SAME, Human.WORSE}),
}


def _value(values: Mapping[str, Any], question: str) -> Any:
    entry = values.get(question)
    return entry.get("value") if isinstance(entry, Mapping) else None


def _verdict(answer: Any, kind: Kind, first: Literal["chosen", "rejected"] | None) -> Human:
    if answer is None:
        raise RefusedError(Refused.NO_VERDICT)
    if answer not in ANSWERS[kind]:
        raise RefusedError(Refused.UNKNOWN_ANSWER)
    if answer in ("A", "B"):
        return Human.CHOSEN if (answer == "A") == (first == "chosen") else Human.REJECTED
    return Human(answer)


def _word(answer: Any, words: type[Sure]) -> Sure | None:
    try:
        return None if answer is None else words(answer)
    except ValueError:
        raise RefusedError(Refused.UNKNOWN_ANSWER) from None


def _yes(answer: Any) -> bool | None:
    if answer is None:
        return None
    said = _YES_NO.get(answer.casefold()) if isinstance(answer, str) else None
    if said is None:
        raise RefusedError(Refused.UNKNOWN_ANSWER)
    return said
