"""Answers made elsewhere, and prompts to ask: from csv, jsonl, parquet or a Hub dataset."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from charter.documents import is_file
from charter.errors import Fault, InputError, nearest
from charter.evals.refusal import Reading, Refusal
from charter.evals.refusal_words import words
from charter.recipes.given import BadRecordError
from charter.recipes.prompt_files import FORMATS, file_records, format_of
from charter.recipes.prompts import hub_records
from charter.recipes.schema import PromptsSettings
from charter.rows import Message, messages_id
from charter.values import is_unicode

__all__ = [
    "KINDS",
    "AnswerSet",
    "Kind",
    "Question",
    "RefusalAnswer",
    "kind_of",
    "label_of",
    "read_answers",
    "read_questions",
]

Kind = Literal["harmful", "borderline", "benign"]
KINDS: Final[tuple[Kind, ...]] = ("harmful", "borderline", "benign")
_SHOWN: Final = 20  # faults of one file that are told one by one
_ROLES: Final = ("system", "user", "assistant")

# What a column is called where no option says so, the likeliest name first.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "prompt": ("prompt", "instruction", "question", "query"),
    "completion": ("completion", "response", "answer", "output", "generation"),
    "label": ("final_label", "human_label"),
    "category": ("category", "type"),
    "id": ("id", "prompt_id"),
    "judge": (),
}
_HARMFUL: Final = frozenset(["harmful", "unsafe", "toxic"])
# The safe halves of XSTest among them.
_BORDERLINE: Final = words(
    """
    borderline sounds-harmful hard homonyms figurative_language safe_targets safe_contexts
    definitions nons_group_real_discr real_group_nons_discr historical_events privacy_public
    privacy_fictional
    """
)
_BENIGN: Final = frozenset(["benign", "safe", "harmless"])
_LABELS: Final = {
    **{each.value: each for each in Refusal if each is not Refusal.EMPTY},
    **{each.value[2:]: each for each in Refusal if each is not Refusal.EMPTY},
    **{each.value[0]: each for each in Refusal if each is not Refusal.EMPTY},
    "compliance": Refusal.COMPLIANCE,
    "refusal": Refusal.FULL,
}


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt to ask.

    Attributes:
        id: of its source, or the hash of its messages.
        messages: the conversation.
        category: the source's; empty where it has none.
        kind: what an assistant should do with it, where that is known.
    """

    id: str
    messages: tuple[Message, ...]
    category: str
    kind: Kind | None


@dataclass(frozen=True, slots=True)
class RefusalAnswer:
    """One answer, what the rules say of it, and what others say of it.

    Attributes:
        id: of the prompt.
        prompt: its last message.
        text: the answer.
        category: of the prompt; empty where there is none.
        kind: of the prompt, where it is known.
        reading: by the rules; None where the model gave no answer, for the reason in `error`.
        label: a person's.
        judged: a judge's: a label of `Refusal`, or `UNPARSED`; None where none was asked.
        error: why there is no answer.
    """

    id: str
    prompt: str
    text: str
    category: str
    kind: Kind | None
    reading: Reading | None = None
    label: Refusal | None = None
    judged: str | None = None
    error: str = ""


@dataclass(slots=True)
class AnswerSet:
    """The answers of one model.

    Attributes:
        name: of the model, or of the file.
        answers: in the order of the file, or of the prompts.
        noted: what was met on the way, with counts.
    """

    name: str
    answers: list[RefusalAnswer]
    noted: Counter[str] = field(default_factory=Counter)


def kind_of(category: str) -> Kind | None:
    """What an assistant should do with prompts of a category, by the names of known sets."""
    name = category.strip().casefold()
    if name in _HARMFUL or name.startswith("contrast_"):
        return "harmful"
    if name in _BORDERLINE:
        return "borderline"
    return "benign" if name in _BENIGN else None


def label_of(value: Any) -> Refusal | None:
    """A label as the sets write it: `1_full_compliance`, `full_compliance`, `1`, `compliance`.

    Returns:
        None where there is none (empty, NaN).

    Raises:
        KeyError: there is no such label.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    # 2.0 is what pandas makes of a column of 1, 2 and 3 in which one is missing.
    text = str(value).strip().casefold().replace(" ", "_").removesuffix(".0")
    return _LABELS[text] if text and text != "nan" else None


def read_answers(
    path: Path,
    columns: Mapping[str, str] | None = None,
    kind: Kind | None = None,
    where: tuple[str, str] | None = None,
) -> AnswerSet:
    """Answers of a file, not yet read by the rules.

    An empty, missing or NaN completion is an answer that says nothing.

    Args:
        path: csv, jsonl or parquet, perhaps gzipped: a completion a record; a prompt, a label, a
            category and an id where there are such columns.
        columns: names of columns by what they hold (`completion`, `label`, `judge`, ...), where
            they have other names than the usual ones.
        kind: of all prompts; else by their category.
        where: a column and the value that a record must have in it to be read.

    Raises:
        InputError: the file cannot be read, a column is not there, or a label is unknown.
    """
    named = dict(columns or {})
    found = AnswerSet(path.stem.removesuffix(".jsonl").removesuffix(".csv"), [])
    faults: list[Fault] = []
    records = list(_records(path, _wanted(named, where)))
    names = _found_columns(path, records, named, ("completion",), where)
    usual = () if "completion" in named else _NAMES["completion"]
    for place, record in records:
        if not isinstance(record, Mapping):
            faults.append(Fault(place, "", str(record), "mend the record"))
            continue
        if names["completion"] not in record and (other := [n for n in usual if n in record]):
            what = f'the answer is called "{names["completion"]}" in other records'
            faults.append(Fault(place, other[0], what, "call it the same in all"))
            continue
        if where is not None and str(record.get(where[0], "")) != where[1]:
            continue
        try:
            found.answers.append(_answer(place, record, names, kind, len(found.answers)))
        except InputError as error:
            faults += error.faults
    if faults:
        more = len(faults) - _SHOWN
        last = [Fault(str(path), "", f"and {more} more faults", "")] if more > 0 else []
        raise InputError(faults[:_SHOWN] + last)
    if not found.answers:
        what = "has no record" if where is None else f'has no record with {where[0]} "{where[1]}"'
        raise InputError(Fault(str(path), "", what, "give at least one answer"))
    _distinct(found)
    return found


def _distinct(found: AnswerSet) -> None:
    """Note answers to one prompt that come more than once: they are not independent."""
    twice = len(found.answers) - len({each.id for each in found.answers})
    if twice:
        found.noted["answers to a prompt that had one already"] = twice


def _wanted(named: Mapping[str, str], where: tuple[str, str] | None) -> frozenset[str]:
    usual = {name for names in _NAMES.values() for name in names}
    return frozenset(usual | set(named.values()) | ({where[0]} if where else set()))


def _records(path: Path, columns: frozenset[str]) -> Iterator[tuple[str, Any]]:
    if not is_file(path):
        beside = [each.name for each in path.parent.glob("*")] if path.parent.is_dir() else []
        hint = nearest(path.name, beside)
        fix = hint if hint.startswith("did you") else "check the path"
        raise InputError(Fault(str(path), "", "no such file", fix))
    if format_of(path) not in FORMATS:
        what, fix = "is of no kind that can be read", "give a .csv, .jsonl or .parquet (also .gz)"
        raise InputError(Fault(str(path), "", what, fix))
    for place, _, record in file_records((path,), columns):
        yield place, record.detail if isinstance(record, BadRecordError) else record


def _found_columns(
    path: Path,
    records: Iterable[tuple[str, Any]],
    named: Mapping[str, str],
    needed: Sequence[str],
    where: tuple[str, str] | None = None,
) -> dict[str, str]:
    """The column of each thing that any record has, faults where one is missing."""
    # A label or a category that the first line of a jsonl file leaves out stands in later ones.
    rows = [record for _, record in records if isinstance(record, Mapping)]
    there = list(dict.fromkeys(str(name) for row in rows for name in row if name is not None))
    if not rows:
        return {}
    faults = []
    names = {}
    wanted = list(named.items()) + ([("--where", where[0])] if where else [])
    for what, name in wanted:
        if name not in there:
            faults.append(Fault(str(path), what, f'has no column "{name}"', nearest(name, there)))
        else:
            names[what] = name
    for what, usual in _NAMES.items():
        if what not in named:
            match = next((name for name in usual if name in there), None)
            if match is not None:
                names[what] = match
            elif what in needed:
                option = f"name it with --{what}-column; the columns are: {', '.join(there)}"
                faults.append(Fault(str(path), what, f"has no column of the {what}s", option))
    if faults:
        raise InputError(faults)
    return names


def _answer(
    place: str, record: Mapping[str, Any], names: Mapping[str, str], kind: Kind | None, number: int
) -> RefusalAnswer:
    prompt = _text(record.get(names.get("prompt", "")), "user")
    text = _text(record.get(names["completion"]), "assistant")
    category = _text(record.get(names.get("category", ""))).strip()
    labels: dict[str, Refusal | None] = {}
    for what in ("label", "judge"):
        value = record.get(names.get(what, ""))
        try:
            labels[what] = label_of(value)
        except KeyError:
            fix = nearest(str(value), [each.value for each in Refusal if each != Refusal.EMPTY])
            raise InputError(Fault(place, names[what], f'no such label "{value}"', fix)) from None
    known = _text(record.get(names.get("id", ""))).strip()
    judged = labels["judge"]
    return RefusalAnswer(
        # Answers are paired by the prompt's id; without ids and prompts, by their place.
        id=known or (messages_id([{"role": "user", "content": prompt}]) if prompt else str(number)),
        prompt=prompt,
        text=text,
        category=category,
        kind=kind or kind_of(category),
        label=labels["label"],
        judged=judged.value if judged else None,
    )


def _text(value: Any, role: str = "") -> str:
    """A cell as text: a conversation's last message of the role; nothing for null and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list):
        said = [m.get("content") for m in value if isinstance(m, Mapping) and m.get("role") == role]
        return str(said[-1] or "") if said else ""
    text = str(value)
    return text if is_unicode(text) else text.encode("utf-8", "replace").decode()


def read_questions(
    source: Path | PromptsSettings,
    columns: Mapping[str, str] | None = None,
    kind: Kind | None = None,
) -> list[Question]:
    """Prompts to ask, each with its category and kind.

    Args:
        source: a file, or a dataset on the Hub.
        columns: names of columns by what they hold, where they have other names.
        kind: of all prompts; else by their category, or a column `label` of safe and unsafe.

    Raises:
        InputError: it cannot be read, has no prompts, or an id comes twice.
    """
    named = dict(columns or {})
    place = source if isinstance(source, Path) else Path(str(source.dataset))
    records: list[tuple[str, Any]]
    if isinstance(source, Path):
        records = list(_records(source, _wanted(named, None) | {"label"}))
    else:
        records = [(where, record) for where, _, record in hub_records(source, "--dataset")]
    names = _found_columns(place, records, named, ("prompt",))
    found: dict[str, Question] = {}
    faults: list[Fault] = []
    for spot, record in records:
        if not isinstance(record, Mapping):
            faults.append(Fault(spot, "", str(record), "mend the record"))
            continue
        messages = _messages(record.get(names["prompt"]))
        if not messages:
            faults.append(Fault(spot, names["prompt"], "has no text to ask", "remove the record"))
            continue
        category = _text(record.get(names.get("category", ""))).strip()
        known = _text(record.get(names.get("id", ""))).strip() or messages_id(messages)
        if known in found and found[known].messages != messages:
            faults.append(Fault(spot, "id", f'the id "{known}" stands twice', "give each its own"))
        by_label = kind_of(_text(record.get("label")))
        found[known] = Question(known, messages, category, kind or kind_of(category) or by_label)
    if faults:
        raise InputError(faults[:_SHOWN])
    if not found:
        raise InputError(Fault(str(place), "", "has no prompt", "give at least one"))
    return list(found.values())


def _messages(value: Any) -> tuple[Message, ...]:
    if isinstance(value, list):
        kept: list[Message] = [
            {"role": m["role"], "content": str(m["content"])}
            for m in value
            if isinstance(m, Mapping) and m.get("role") in _ROLES and m.get("content")
        ]
        return tuple(kept) if kept and kept[-1]["role"] == "user" else ()
    text = _text(value)
    return ({"role": "user", "content": text},) if text.strip() else ()
