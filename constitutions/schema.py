"""The schema of a constitution: a named, versioned list of principles."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from charter.documents import Clashes, Settings
from charter.rows import digest

__all__ = ["SCHEMA_VERSION", "Constitution", "Principle"]

SCHEMA_VERSION = 1
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("is blank; write the text")
    return value.strip()


def _identifier(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError(
            f'"{value}" is no identifier; use lower-case letters, digits, "-", "_" or "."'
        )
    return value


def _version(value: str) -> str:
    if not _VERSION.fullmatch(value):
        raise ValueError(f'"{value}" is no version; write it like "1.0.0"')
    return value


def _schema_version(value: int) -> int:
    if value > SCHEMA_VERSION:
        raise ValueError(
            f"schema {value} is newer than this charter reads ({SCHEMA_VERSION}); upgrade charter"
        )
    if value < 1:
        raise ValueError(f"there is no schema {value}; write {SCHEMA_VERSION}")
    return value


def _distinct(value: tuple[Principle, ...]) -> tuple[Principle, ...]:
    if not value:
        raise ValueError("has no principle; write at least one")
    ids = [principle.id for principle in value]
    twice = [at for at, principle_id in enumerate(ids) if principle_id in ids[:at]]
    if twice:
        text = 'is the id of an earlier principle, "{}"; give each its own id'
        raise Clashes(((at, "id"), text.format(ids[at])) for at in twice)
    return value


# The validators say it in our words; editors, which have the JSON schema alone, need it there.
Text = Annotated[str, AfterValidator(_text), Field(json_schema_extra={"pattern": r"\S"})]
Identifier = Annotated[
    str, AfterValidator(_identifier), Field(json_schema_extra={"pattern": f"^{_ID.pattern}$"})
]
SchemaVersion = Annotated[
    int,
    AfterValidator(_schema_version),
    Field(json_schema_extra={"minimum": 1, "maximum": SCHEMA_VERSION}),
]


class Principle(Settings):
    """One rule, in the three forms that the method needs (Bai et al. 2022, sections 3 and 4)."""

    id: Identifier = Field(description="Stable name of the principle; stands in every row.")
    name: Text = Field(description="A short title for people.")
    critique: Text = Field(description="The request to criticise the last answer.")
    revision: Text = Field(description="The request to rewrite the answer after the critique.")
    comparison: Text = Field(
        description="What the judge is asked of two answers: `Choose the response that ...`."
    )
    weight: float = Field(
        default=1.0, gt=0, description="Weight among the principles of one comparison."
    )
    tags: tuple[Text, ...] = Field(default=(), description="Themes, for strata and reports.")


class Constitution(Settings):
    """A named, versioned list of principles with a licence and sources."""

    schema_version: SchemaVersion = Field(default=SCHEMA_VERSION, description="Of this format.")
    name: Identifier = Field(description="Name of the constitution.")
    version: Annotated[str, AfterValidator(_version)] = Field(
        description="MAJOR.MINOR.PATCH of the text.",
        json_schema_extra={"pattern": f"^{_VERSION.pattern}$"},
    )
    description: str = Field(default="", description="What it is for.")
    licence: Text = Field(description="SPDX identifier of the licence of the texts.")
    sources: tuple[Text, ...] = Field(default=(), description="What the themes follow.")
    principles: Annotated[tuple[Principle, ...], AfterValidator(_distinct)] = Field(
        description="At least one; each with an id of its own."
    )

    def principle(self, principle_id: str) -> Principle:
        """The principle of that id.

        Raises:
            KeyError: there is none.
        """
        for principle in self.principles:
            if principle.id == principle_id:
                return principle
        raise KeyError(principle_id)

    def fingerprint(self) -> str:
        """SHA-256 over what a model gets to read and how it counts (scheme 1).

        Covers id, critique, revision, comparison and weight of each principle, in order.
        Leaves out names, tags, description, sources, licence, comments and the version number:
        changing them changes no row.
        """
        parts = [[p.id, p.critique, p.revision, p.comparison, p.weight] for p in self.principles]
        return digest("constitution", 1, parts)
