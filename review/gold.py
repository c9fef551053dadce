"""Rows with known answers, from a file: they test the reviewers and enter no estimate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from charter.documents import read_text
from charter.errors import Fault, InputError, nearest
from charter.review.spot_check import Human, Kind
from charter.rows import digest, messages_id

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["GoldRow", "read_gold"]

_ANSWERS: Final[dict[Kind, tuple[Human, ...]]] = {
    "preference": (Human.CHOSEN, Human.REJECTED, Human.TIE, Human.BOTH_BAD),
    "sft": (Human.BETTER, Human.SAME, Human.WORSE),
}
_TEXTS: Final[dict[Kind, tuple[str, ...]]] = {
    "preference": ("prompt", "chosen", "rejected"),
    "sft": ("prompt", "original", "critique", "revision"),
}
_KEYS: Final = frozenset(
    {"row_id", "answer", "principle_id", "kind", *(n for names in _TEXTS.values() for n in names)}
)
_ROLES: Final = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class GoldRow:
    """A row with a known answer.

    Attributes:
        row: columns as a row of the config has them, as far as they are shown.
        answer: the known answer, in the row's own words.
    """

    row: dict[str, Any]
    answer: Human


class _WrongError(Exception):
    """What is wrong in a line, and how to put it right."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


def read_gold(path: Path, version: Version, kind: Kind) -> list[GoldRow]:
    """The rows of a file that are of a config.

    One JSON object a line: `answer` and either `row_id`, of a row of the version, or the texts
    themselves: `prompt`, `chosen`, `rejected` (`sft`: `prompt`, `original`, `critique`,
    `revision`), each a text or a list of messages, and `principle_id`. `kind` is `preference`
    where it is not named.

    Args:
        path: the file.
        version: where `row_id` is looked up.
        kind: the config wanted; lines of the other one are checked and left out.

    Raises:
        InputError: every fault of the file at once.
    """
    rows: dict[Kind, dict[str, dict[str, Any]]] = {}
    found: dict[str, GoldRow] = {}
    faults = []
    text = read_text(path)
    if not text.strip():
        faults.append(Fault(str(path), "", "it has no rows", "write one object a line"))
    # JSON allows U+2028 and the like inside a line, and `splitlines` would cut there.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            of, gold = _gold(line, version, rows)
            if gold.row["id"] in found:
                raise _WrongError("the row stands in the file already", "keep one of them")
            if of == kind:
                found[gold.row["id"]] = gold
        except _WrongError as error:
            faults.append(Fault(f"{path}:{number}", "", error.what, error.fix))
    if faults:
        raise InputError(faults)
    return list(found.values())


def _gold(
    line: str, version: Version, rows: dict[Kind, dict[str, dict[str, Any]]]
) -> tuple[Kind, GoldRow]:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        raise _WrongError("it is no JSON", "write one object a line") from None
    if not isinstance(given, dict):
        raise _WrongError("it is no JSON object", "write one object a line")
    for key in given:
        if key not in _KEYS:
            raise _WrongError(f'unknown key "{key}"', nearest(key, _KEYS))
    kind: Kind = given.get("kind", "preference")
    if kind not in list(_ANSWERS):
        raise _WrongError(f"kind {kind!r} is no config", "write preference or sft")
    answer = given.get("answer")
    if answer not in list(_ANSWERS[kind]):
        known = ", ".join(_ANSWERS[kind])
        raise _WrongError(f"answer {answer!r} is none of {kind}", f"use one of: {known}")
    if "row_id" in given:
        return kind, GoldRow(_published(given["row_id"], version, kind, rows), Human(answer))
    return kind, GoldRow(_own(given, kind), Human(answer))


def _published(
    row_id: Any, version: Version, kind: Kind, rows: dict[Kind, dict[str, dict[str, Any]]]
) -> dict[str, Any]:
    if kind not in rows:
        there = version.rows(kind).to_dicts() if kind in version.configs() else []
        rows[kind] = {row["id"]: row for row in there}
    if not isinstance(row_id, str) or row_id not in rows[kind]:
        hint = nearest(str(row_id), rows[kind])
        fix = hint if hint.startswith("did you") else "give its texts instead of row_id"
        raise _WrongError(f"no {kind} row {row_id!r} in {version.repo}@{version.tag}", fix)
    return rows[kind][row_id]


def _own(given: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """A row of one's own; its id is a hash of its texts and says nothing of what it is for."""
    principle = given.get("principle_id")
    if principle is not None and not isinstance(principle, str):
        raise _WrongError("principle_id is no text", "write the id of a principle")
    missing = [name for name in _TEXTS[kind] if not given.get(name)]
    if missing:
        raise _WrongError(f"{missing[0]} is missing", f"write {', '.join(_TEXTS[kind])}, or row_id")
    prompt = _messages(given, "prompt", "user")
    row = {"prompt_id": messages_id(prompt), "prompt": prompt, "source": ""}
    if kind == "preference":
        sides = {name: _messages(given, name, "assistant") for name in ("chosen", "rejected")}
        return _named(
            row | sides | {"principle_ids": [principle] if principle else [], "p_chosen": None}
        )
    made = {"principle_id": principle or "", "critique": _text(given, "critique"), "model": ""}
    row |= {
        "completion": _messages(given, "revision", "assistant"),
        "initial_response": _text(given, "original"),
        "revisions": [made],
    }
    return _named(row)


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"id": f"x{digest('own row', row)[:16]}"}


def _text(given: Mapping[str, Any], name: str) -> str:
    if not isinstance(given[name], str):
        raise _WrongError(f"{name} is no text", "write a text")
    return _whole(given[name], name)


def _messages(given: Mapping[str, Any], name: str, role: str) -> list[Any]:
    value = given[name]
    if isinstance(value, str):
        return [{"role": role, "content": _whole(value, name)}]
    fix = "write a text, or a list of {role, content}"
    if not isinstance(value, list):
        raise _WrongError(f"{name} is neither text nor messages", fix)
    for each in value:
        keys = isinstance(each, dict) and set(each) == {"role", "content"}
        if not keys or each["role"] not in _ROLES or not isinstance(each["content"], str):
            raise _WrongError(f"{name} has something that is no message", fix)
        _whole(each["content"], name)
    return value


def _whole(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _WrongError(f"{name} has half a character", "write the character itself") from None
    return text
