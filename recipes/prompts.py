"""Read prompt records from files or a Hub dataset: each is a prompt, or a reject with its reason.

No record is dropped without a word: records = prompts + rejects of the ledger `input`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from charter.errors import Fault, InputError
from charter.recipes.given import BadRecordError, Candidate, Given, given_of
from charter.recipes.hub_dataset import hub_dataset
from charter.recipes.load import Loaded
from charter.recipes.prompt_files import file_records
from charter.recipes.schema import Columns, PromptsSettings
from charter.rows import Ledger, Message, Reason, canonical, digest, draw_unit, messages_id
from charter.values import is_unicode

__all__ = [
    "Prompt",
    "PromptSet",
    "Reject",
    "hub_records",
    "messages_of",
    "read_prompts",
]

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation that the model must answer.

    Attributes:
        id: of its source, or the hash of its messages.
        messages: one or more, the last one the user's.
        source: where it came from.
        given: candidates that its record brings along; for `candidates: given`.
        best: the slot of the one that the source prefers, empty for a tie; None: it says nothing.
    """

    id: str
    messages: tuple[Message, ...]
    source: str
    given: tuple[Candidate, ...] = ()
    best: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """What did not become a row, and why; one row of the config `rejects`."""

    ledger: Ledger
    stage: str
    reason: Reason
    detail: str
    prompt_id: str | None = None
    pair_id: str | None = None


@dataclass(slots=True)
class PromptSet:
    """The prompts of a run, in order, and what was rejected on the way.

    Attributes:
        prompts: in input order, or in the order drawn by `prompts.seed`.
        rejects: of the ledger `input`.
        records: prompts + rejects.
    """

    prompts: list[Prompt] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    @property
    def records(self) -> int:
        """How many records were read."""
        return len(self.prompts) + len(self.rejects)

    @property
    def most_given(self) -> int:
        """The candidates of the prompt that brings the most; 0 where none brings any."""
        return max((len(prompt.given) for prompt in self.prompts), default=0)

    def fingerprint(self) -> str:
        """SHA-256 over ids, messages and sources of the prompts, in order (scheme 2).

        With them go the candidates that prompts bring along, and what their source says of these.
        """
        found = hashlib.sha256(b'["prompts",2]\n')
        for prompt in self.prompts:
            parts: list[Any] = [prompt.id, list(prompt.messages), prompt.source]
            if prompt.given:
                parts += [[[c.slot, c.text, c.model] for c in prompt.given], prompt.best]
            found.update(canonical(parts).encode())
            found.update(b"\n")
        return found.hexdigest()


def read_prompts(loaded: Loaded) -> PromptSet:
    """Read the prompts that a recipe names, up to its limit.

    Raises:
        InputError: a file cannot be read, a mapped column is in no record, or nothing is usable.
    """
    settings = loaded.recipe.prompts
    preference = loaded.recipe.preference
    given = preference is not False and preference.candidates == "given"
    place = settings.path or f"{settings.dataset}@{settings.revision or 'main'}"
    records = (
        hub_records(settings)
        if settings.dataset
        else file_records(loaded.prompt_files, _columns(settings.columns, given))
    )
    found = PromptSet()
    if settings.seed is None:
        _take(records, settings, found, given)
    else:
        seed = settings.seed
        everything = list(enumerate(records))
        everything.sort(key=lambda item: draw_unit(seed, "order", item[0]))
        _take((record for _, record in everything), settings, found, given)
    if not found.prompts:
        raise InputError(_nothing(place, settings.columns, found))
    return found


def _nothing(place: str, columns: Columns, found: PromptSet) -> Fault:
    if not found.records:
        return Fault(place, "prompts", "has no record", "give at least one prompt")
    first = found.rejects[0]
    fix = (
        f'map the column with prompts.columns.prompt (now "{columns.prompt}")'
        if first.reason is Reason.NO_PROMPT
        else "mend the records"
    )
    what = f"none of {found.records} records is a prompt (first: {first.reason}, {first.detail})"
    return Fault(place, "prompts", what, fix)


def _take(
    records: Iterator[tuple[str, str, Any]],
    settings: PromptsSettings,
    found: PromptSet,
    given: bool,
) -> None:
    seen: dict[str, str] = {}
    for place, file_name, record in records:
        if settings.limit is not None and len(found.prompts) >= settings.limit:
            return
        try:
            prompt = _prompt(record, settings, file_name, given)
            if prompt.id in seen:
                detail = f'{place}: the id "{prompt.id}" stands in {seen[prompt.id]} already'
                raise BadRecordError(Reason.DUPLICATE_ID, detail, prompt.id)
        except BadRecordError as bad:
            detail = bad.detail if bad.detail.startswith(place) else f"{place}: {bad.detail}"
            found.rejects.append(
                Reject(Ledger.INPUT, "read", bad.reason, detail, prompt_id=bad.prompt_id)
            )
        else:
            seen[prompt.id] = place
            found.prompts.append(prompt)


def _columns(columns: Columns, given: bool) -> frozenset[str]:
    """The columns that are read of a file which can leave others unread."""
    names = {columns.id, columns.prompt, columns.source}
    if given:
        listed = columns.candidates
        names.update((listed,) if isinstance(listed, str) else listed)
        names |= {columns.chosen, columns.rejected, columns.label, columns.model}
        names |= {"chosen_model", "rejected_model"}
    return frozenset(names)


def _prompt(record: Any, settings: PromptsSettings, file_name: str, given: bool) -> Prompt:
    if isinstance(record, BadRecordError):
        raise record
    if not isinstance(record, Mapping):
        raise BadRecordError(Reason.NOT_JSON, "the record is no object of keys and values")
    columns = settings.columns
    named = record.get(columns.id)
    known = None if named is None or named == "" else _id(named)
    value = record.get(columns.prompt)
    brought: Given | None = None
    if given:
        try:
            brought = given_of(record, columns)
        except BadRecordError as bad:
            raise BadRecordError(bad.reason, bad.detail, known) from None
        value = brought.prompt
    if value is None:
        raise BadRecordError(Reason.NO_PROMPT, _without(columns.prompt, record), known)
    try:
        messages = messages_of(value)
    except BadRecordError as bad:
        raise BadRecordError(bad.reason, bad.detail, known) from None
    prompt_id = _hashed_id(messages, brought) if known is None else known
    length = sum(len(message["content"]) for message in messages)
    if length > settings.max_chars:
        detail = f"{length} characters, prompts.max_chars is {settings.max_chars}"
        raise BadRecordError(Reason.TOO_LONG, detail, prompt_id)
    source = record.get(columns.source)
    if not isinstance(source, str) or not source:
        source = file_name
    if not is_unicode(source):
        raise BadRecordError(Reason.NOT_UTF8, "the source is not valid Unicode", prompt_id)
    if brought is None:
        return Prompt(prompt_id, messages, source)
    return Prompt(prompt_id, messages, source, brought.candidates, brought.best)


def _without(column: str, record: Mapping[str, Any]) -> str:
    """That a record lacks a column, and which ones it has instead."""
    others = "" if column in record else ", ".join(str(name) for name in record)
    instead = f", only {others[:100]}" if others and is_unicode(others) else ""
    return f'the record has no "{column}"{instead}'


def _hashed_id(messages: tuple[Message, ...], brought: Given | None) -> str:
    """The id of a record without one. Of one prompt there may be many pairs, each a record."""
    if brought is None:
        return messages_id(messages)
    return digest("given", messages, [c.text for c in brought.candidates])[:16]


def _id(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as pandas keeps whole numbers of which some are missing
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadRecordError(Reason.BAD_ID, f"the id is a {type(value).__name__}")
    text = str(value)
    if len(text) > 200 or any(not c.isprintable() for c in text):
        what = "the id is longer than 200 characters or cannot be printed"
        raise BadRecordError(Reason.BAD_ID, what)
    return text


def messages_of(value: Any) -> tuple[Message, ...]:
    """A conversation that a model must answer, from text or a list of messages.

    Raises:
        BadRecordError: it is none.
    """
    if isinstance(value, str):
        return (_message("user", value),)
    if not isinstance(value, list) or not value:
        what = "the prompt is neither text nor a list of messages"
        raise BadRecordError(Reason.BAD_MESSAGES, what)
    messages = []
    for item in value:
        if not isinstance(item, Mapping) or item.get("role") not in ROLES:
            what = f"a message has no role of {', '.join(ROLES)}"
            raise BadRecordError(Reason.BAD_MESSAGES, what)
        if not isinstance(item.get("content"), str):
            raise BadRecordError(
                Reason.BAD_MESSAGES, f"the content of a {item['role']} message is no text"
            )
        messages.append(_message(item["role"], item["content"]))
    roles = [message["role"] for message in messages]
    turns = roles[1:] if roles[0] == "system" else roles
    expected = ["user", "assistant"] * len(turns)
    if not turns or turns != expected[: len(turns)]:
        what = "user and assistant do not take turns, the user first"
        raise BadRecordError(Reason.BAD_MESSAGES, what)
    if turns[-1] != "user":
        raise BadRecordError(Reason.BAD_MESSAGES, "the last message is not the user's")
    return tuple(messages)


def _message(role: Any, content: str) -> Message:
    if not is_unicode(content):
        raise BadRecordError(Reason.NOT_UTF8, f"the {role} message is not valid Unicode")
    if not content.strip():
        raise BadRecordError(Reason.NO_TEXT, f"a {role} message has no text")
    return {"role": role, "content": content}


def hub_records(
    settings: PromptsSettings, setting: str = "prompts.dataset"
) -> Iterator[tuple[str, str, Any]]:
    """Yield (place, dataset, record) of each record of the Hub dataset that a setting names.

    Raises:
        InputError: it cannot be loaded.
        Failure: the Hub is not reached.
    """
    assert settings.dataset is not None
    data = hub_dataset(settings, setting)
    for number, record in enumerate(data, 1):
        yield f"{settings.dataset}[{number - 1}]", settings.dataset, record
