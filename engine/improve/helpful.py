"""Helpful answers that are mixed into the rows of SFT, each with its source named."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charter.errors import Fault, InputError
from charter.evals.held_out import text_of
from charter.hub import Version
from charter.recipes.given import BadRecordError
from charter.recipes.improve import HelpfulSettings
from charter.recipes.load import resolve
from charter.recipes.prompt_files import file_records, format_of
from charter.recipes.prompts import Prompt, hub_records, messages_of
from charter.recipes.schema import PromptsSettings
from charter.rows import Message, Reason, canonical, draw_unit, messages_id

if TYPE_CHECKING:
    import datasets

__all__ = ["Helpful", "HelpfulRow", "Mixed", "mixed", "of_test", "read_helpful"]

_ANSWERS = ("completion", "response", "answer", "chosen")
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class HelpfulRow:
    """A prompt and a helpful answer to it.

    Attributes:
        prompt: the conversation, the user's message last.
        answer: the text.
    """

    prompt: tuple[Message, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Helpful:
    """Helpful answers as they were read.

    Attributes:
        source: what rows and cards call them.
        rows: in the order of the source.
        sha256: over prompts and answers.
    """

    source: str
    rows: tuple[HelpfulRow, ...]
    sha256: str


def read_helpful(settings: HelpfulSettings, beside: Path) -> Helpful:
    """Read them, from a file or a dataset of the Hub.

    A record has `prompt` (text or messages) and `completion` (or `response`, `answer`, `chosen`;
    text or messages, of which the last one counts), or `messages` with the answer as the last.

    Raises:
        InputError: there is no such file, or a record is no prompt with an answer.
    """
    records, place, source = _records(settings, beside)
    rows, faults, bad = [], [], 0
    for where, _, record in records:
        try:
            if isinstance(record, BadRecordError):
                raise record
            rows.append(_row(record))
        except BadRecordError as error:
            bad += 1
            if bad <= _SHOWN:
                fix = 'write {"prompt": ..., "completion": ...}'
                faults.append(Fault(where, "", error.detail, fix))
    if bad > _SHOWN:
        faults.append(Fault(place, "", f"{bad - _SHOWN} more faults", "mend these first"))
    if not rows and not faults:
        faults.append(Fault(place, "", "has no record", "give at least one"))
    if faults:
        raise InputError(faults)
    found = hashlib.sha256()
    for row in rows:
        found.update(canonical([list(row.prompt), row.answer]).encode() + b"\n")
    return Helpful(source, tuple(rows), found.hexdigest())


def _records(settings: HelpfulSettings, beside: Path) -> tuple[Any, str, str]:
    if settings.dataset is not None:
        at = settings.revision or "main"
        wanted = PromptsSettings(
            dataset=settings.dataset, revision=settings.revision, split=settings.split
        )
        place = f"{settings.dataset}@{at}"
        return hub_records(wanted, "improve.helpful.dataset"), place, place
    assert settings.path is not None
    files = tuple(resolve(settings.path, beside))
    if not files:
        what = f'no such file "{settings.path}"'
        raise InputError(Fault("", "improve.helpful.path", what, "check the path"))
    for file in files:
        if format_of(file) not in (".jsonl", ".parquet"):
            what, fix = "is of no known format", "use .jsonl or .parquet"
            raise InputError(Fault(str(file), "improve.helpful.path", what, fix))
    columns = frozenset(("prompt", "messages", *_ANSWERS))
    return file_records(files, columns), settings.path, files[0].name


def _row(record: Any) -> HelpfulRow:
    if not isinstance(record, Mapping):
        raise BadRecordError(Reason.BAD_MESSAGES, "is no record of prompt and completion")
    prompt = record.get("prompt")
    if prompt is None and isinstance(record.get("messages"), list):
        whole = record["messages"]
        return HelpfulRow(messages_of(whole[:-1]), _answer(whole))
    said = next((record[name] for name in _ANSWERS if record.get(name) is not None), None)
    return HelpfulRow(messages_of(prompt), _answer(said))


def _answer(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        if value[-1].get("role", "assistant") != "assistant":
            raise BadRecordError(Reason.BAD_MESSAGES, "the last message is not the assistant's")
        value = value[-1].get("content")
    if not isinstance(value, str) or not value.strip():
        raise BadRecordError(Reason.BAD_MESSAGES, "has no answer that is text")
    messages_of(value)  # refuses half characters
    return value


@dataclass(frozen=True, slots=True)
class Mixed(Version):
    """A version whose `sft` rows of `train` come with others among them.

    Everything else is the version's: its tag, its manifest, its other rows.

    Attributes:
        added: rows with the columns `id`, `prompt`, `completion`, `initial_response` (the same
            answer: nothing was revised), `prompt_id`, `source`.
        seed: of the order in which all rows stand.
    """

    added: tuple[Mapping[str, Any], ...] = ()
    seed: int = 0

    def dataset(self, config: str, split: str) -> datasets.Dataset:
        """The rows of a split; those of `train` of `sft` in a drawn order, the added among them."""
        import datasets

        # Without arguments, super() does not work in a class with slots.
        own = Version.dataset(self, config, split)
        if (config, split) != ("sft", "train") or not self.added:
            return own
        names = ["id", "prompt", "completion", "initial_response", "prompt_id", "source"]
        own = own.select_columns(names)
        more = datasets.Dataset.from_list([dict(row) for row in self.added], features=own.features)
        both = datasets.concatenate_datasets([own, more])
        # A training that takes the first rows only must not leave out one kind.
        drawn = [draw_unit(self.seed, "mix", name) for name in both["id"]]
        return both.select(sorted(range(len(drawn)), key=drawn.__getitem__))


def of_test(version: Version, prompts: Iterable[Prompt]) -> frozenset[str]:
    """The normalised texts of a version's `test` prompts, those that became no `sft` row too.

    Such a one can have a `preference` row in the round's other version.

    Args:
        version: of the round's first half.
        prompts: that it was made of.
    """
    found = [version.rows(c, "test") for c in version.configs() if "test" in version.splits(c)]
    ids = {prompt_id for rows in found for prompt_id in rows["prompt_id"]}
    return frozenset(text_of(prompt.messages) for prompt in prompts if prompt.id in ids)


def mixed(
    version: Version, helpful: Helpful, share: float, seed: int, held: Collection[str]
) -> Mixed:
    """The version with so many helpful rows that they are that share of all; fewer if it lacks.

    Args:
        version: of the round.
        helpful: what to mix in.
        share: of all rows, in [0, 1).
        seed: rows are drawn by a hash of it, the same ones in every round.
        held: normalised texts of prompts that no model may be trained on.
    """
    own = version.rows("sft", "train").height
    wanted = round(own * share / (1 - share))
    named = {
        messages_id(row.prompt): row for row in helpful.rows if text_of(row.prompt) not in held
    }
    drawn = sorted(named, key=lambda name: draw_unit(seed, "helpful", name))[:wanted]
    added = tuple(
        {
            "id": f"helpful-{name}:sft",
            "prompt": [dict(message) for message in named[name].prompt],
            "completion": [{"role": "assistant", "content": named[name].answer}],
            "initial_response": named[name].answer,
            "prompt_id": f"helpful-{name}",
            "source": helpful.source,
        }
        for name in drawn
    )
    return Mixed(version.path, version.manifest, version.commit, added, seed)
