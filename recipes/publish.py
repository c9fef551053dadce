"""The block `publish` of a recipe: where a version goes, and what must not be in it."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from charter.constitutions.schema import Text
from charter.documents import Settings

__all__ = ["EvaluationSource", "PublishSettings", "Repo", "SecretsSettings", "Wanted"]

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def _repo(value: str) -> str:
    if not _REPO.fullmatch(value):
        raise ValueError(f'"{value}" is no repo; write it as owner/name')
    return value


Repo = Annotated[
    str, AfterValidator(_repo), Field(json_schema_extra={"pattern": f"^{_REPO.pattern}$"})
]

# `charter.hub.number` and `charter.hub.content`, which may not be imported here, read these.
_NUMBER = "(0|[1-9][0-9]{0,8})"
_WANTED = re.compile(rf"auto|rc|v{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-rc(\.{_NUMBER})?)?")


def _wanted(value: str) -> str:
    if not _WANTED.fullmatch(value):
        fix = "write auto, rc, or a tag like v1.2.0 or v1.2.0-rc.1"
        raise ValueError(f"is no version tag; {fix}")
    return value


Wanted = Annotated[
    str, AfterValidator(_wanted), Field(json_schema_extra={"pattern": f"^({_WANTED.pattern})$"})
]


# What the Hub takes for a language: ISO 639, and two words of its own.
_LANGUAGE = re.compile("[a-z]{2,3}|code|multilingual")


def _language(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise ValueError("is no code of a language; write it like en, zh or tlh")
    return value


Language = Annotated[
    str,
    AfterValidator(_language),
    Field(json_schema_extra={"pattern": f"^({_LANGUAGE.pattern})$"}),
]


class SecretsSettings(Settings):
    """What is done about keys and personal data in the texts of a version."""

    keys: Literal["fail", "mask", "drop"] = Field(
        default="fail",
        description="Keys, tokens and passwords: publish nothing; write `[KIND]` in their place; "
        "or drop the prompt.",
    )
    personal: Literal["report", "mask", "drop", "fail"] = Field(
        default="report", description="E-mail addresses, IBANs and card numbers; also what."
    )
    also: tuple[Literal["PHONE", "IP_ADDRESS"], ...] = Field(
        default=(), description="Looked for as well; many false alarms."
    )


class EvaluationSource(Settings):
    """An evaluation set: files, or a dataset of the Hub; and which column has the prompts."""

    path: Text | None = Field(
        default=None, description="jsonl, csv, parquet or txt file (also .gz), or a glob of them."
    )
    dataset: Repo | None = Field(default=None, description="A dataset repo, `owner/name`.")
    config: Text | None = Field(default=None, description="Config of the dataset.")
    revision: Text | None = Field(default=None, description="Tag, branch or commit of the dataset.")
    split: Text | None = Field(default=None, description="Split of the dataset; default all.")
    column: Text | None = Field(
        default=None, description="Column of the prompts; default the first that is known."
    )

    @model_validator(mode="after")
    def _one_source(self) -> EvaluationSource:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("needs one of path and dataset; name one of them")
        if self.dataset is None and (self.config or self.revision or self.split):
            raise ValueError("config, revision and split belong to a dataset; name the dataset")
        return self


class PublishSettings(Settings):
    """Where the version goes and what it is called."""

    to: Literal["local", "hub"] = Field(
        default="local",
        description="The store of this machine; `hub`: the Hub at HF_ENDPOINT, with HF_TOKEN.",
    )
    private: bool = Field(default=False, description="`hub`: of a repo that is made for it.")
    repo: Repo | None = Field(default=None, description="`owner/name`; default `local/NAME`.")
    version: Wanted = Field(
        default="auto",
        description="`auto`, `rc` for a candidate of it, a tag such as v1.0.0, or v1.0.0-rc for "
        "the next candidate of that one.",
    )
    language: tuple[Language, ...] = Field(
        default=(), description="Of the texts, for the card: `[en]`; the Hub finds datasets by it."
    )
    secrets: SecretsSettings = Field(
        default=SecretsSettings(), description="Keys and personal data."
    )
    decontaminate: tuple[Text | EvaluationSource, ...] = Field(
        default=(),
        description="Evaluation sets that rows are compared with: jsonl, csv, parquet or txt "
        "files (also .gz), globs of them, or datasets of the Hub.",
    )
    on_contamination: Literal["report", "fail", "drop"] = Field(
        default="report", description="When a row shares 13 words with one: tell, stop, or drop."
    )
