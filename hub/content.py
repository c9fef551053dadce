"""What a version is to hold, and which number it gets: the same for a folder and for a Hub."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from charter import __version__
from charter.errors import Failure, Fault, InputError
from charter.hub.card import card
from charter.hub.clean import Clean
from charter.hub.columns import Row
from charter.hub.contamination import Action, ContaminationCheck, EvaluationSet
from charter.hub.data import DataFile, data_path, write_data
from charter.hub.follows import check_answers, check_retracted
from charter.hub.gate import surveyed
from charter.hub.manifest import (
    MANIFEST,
    CheckResult,
    Ledgers,
    Lineage,
    Manifest,
    dump_manifest,
    facts,
    lineage_of,
    now,
    sealed,
)
from charter.hub.number import Tag, bump, change, next_tag, parse_tag
from charter.hub.pictures import pictures_of
from charter.hub.same_rows import same_rows
from charter.hub.schema import CONFIGS, SCHEMA_VERSION, SPLITS
from charter.hub.secrets import Policy, SecretCheck
from charter.hub.stored import StoredRows, stored_rows
from charter.hub.version import Version

__all__ = [
    "Content",
    "Draft",
    "Files",
    "built",
    "check_wanted",
    "content_of",
    "decided",
]

# Every file of a version by its path in it: where it lies, or its bytes.
Files = dict[str, Path | bytes]


@dataclass(frozen=True)
class Draft:
    """A version to be: all that it will hold but its number.

    Attributes:
        repo: `owner/name`.
        rows: config -> rows in the order in which they are published, by
            `charter.hub.schema.CONFIGS`: stored, or in lists where they are few. A config that
            the recipe did not ask for is absent.
        splits: prompt id -> `train` or `test`.
        ledgers: `records`, `prompts`, `pairs_formed`; see `charter.hub.manifest.Ledgers`.
        lineage: the fields of `charter.hub.manifest.Lineage`.
        constitution_yaml: the constitution as run.
        recipe_yaml: the recipe as run.
        version: `auto`, `rc`, or the tag to publish under; see `decided`.
        orders: `both`, or `single` where each pair was judged in one order alone.
        secrets: what is done about keys and personal data.
        evaluation_sets: what the rows are compared with.
        on_contamination: what is done about rows that overlap with them.
        follows: the release that the rows were made from, which must still be the latest one.
        answers: `charter.hub.follows.answer_sums` of the release whose answers the rows carry,
            which the latest one must still have.
    """

    repo: str
    rows: Mapping[str, StoredRows | Sequence[Row]]
    splits: Mapping[str, str]
    ledgers: Mapping[str, int]
    lineage: Mapping[str, Any]
    constitution_yaml: str
    recipe_yaml: str
    version: str = "auto"
    orders: str = "both"
    secrets: Policy = field(default_factory=Policy)
    evaluation_sets: tuple[EvaluationSet, ...] = ()
    on_contamination: Action = "report"
    follows: str | None = None
    answers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Content:
    """What a version holds apart from its number, card and manifest."""

    lineage: Lineage
    checks: list[CheckResult]
    rows: dict[str, StoredRows]
    data: dict[str, dict[str, DataFile]]
    texts: dict[str, bytes]

    @property
    def files(self) -> dict[str, DataFile]:
        """The data files by their paths in the version."""
        return {
            data_path(config, split): file
            for config, splits in self.data.items()
            for split, file in splits.items()
        }

    @property
    def sums(self) -> dict[str, str]:
        """SHA-256 by path of all but card and manifest."""
        data = {name: file.sha256 for name, file in self.files.items()}
        return data | {name: _sha256(text) for name, text in self.texts.items()}


def decided(
    repo: str,
    wanted: str,
    content: Content,
    tags: Sequence[Tag],
    opened: Callable[[Tag], Version],
) -> tuple[str, Version | None, bool]:
    """Which number a version gets.

    Args:
        repo: for the messages.
        wanted: `auto`, `rc` for the next candidate of the automatic one, a release's tag and
            `-rc` for the next candidate of that one, or a tag.
        content: what it is to hold.
        tags: those that there are, oldest first.
        opened: opens one of them.

    Returns:
        The tag; a version; whether a new one is to be made. The version is the one that says the
        same already, or the latest release before the new one, or None where there is none.

    Raises:
        InputError: the wanted tag comes before the latest one.
        Failure: the wanted tag is taken, or the rows know nothing of a retraction.
    """
    releases = [tag for tag in tags if tag.final]
    latest = opened(releases[-1]) if releases else None
    manifest = latest.manifest if latest else None
    check_retracted(repo, content.lineage.figures, manifest)
    if wanted in ("auto", "rc"):
        automatic = _automatic(content, latest)
        if automatic is None:
            assert latest is not None
            return latest.tag, latest, False
        if wanted == "rc":
            return _candidate(repo, automatic, content, tags, opened, latest)
        return automatic, latest, True
    if wanted.endswith("-rc"):
        return _candidate(repo, wanted.removesuffix("-rc"), content, tags, opened, latest)
    tag = parse_tag(wanted)
    if tag in tags:
        there = opened(tag)
        if _changed(content, there) is None:
            return there.tag, there, False
        raise _taken(repo, tag, content, latest)
    _check_after(repo, tag, content, latest)
    return str(tag), latest, True


def check_wanted(wanted: str) -> None:
    """See that `decided` understands which version is wanted.

    Raises:
        InputError: it is neither a word that it knows nor a tag.
    """
    if wanted not in ("auto", "rc"):
        parse_tag(wanted.removesuffix("-rc"))


def _check_after(repo: str, tag: Tag, content: Content, latest: Version | None) -> None:
    if latest is not None and tag < parse_tag(latest.tag):
        what = f"{tag} comes before {latest.tag}, the latest version"
        fix = f"use {_free(content, latest)} or a higher tag"
        raise InputError(Fault(repo, "version", what, fix))


def _candidate(
    repo: str,
    release: str,
    content: Content,
    tags: Sequence[Tag],
    opened: Callable[[Tag], Version],
    latest: Version | None,
) -> tuple[str, Version | None, bool]:
    """The next candidate of a release, or the last one where it says the same."""
    core = parse_tag(release)
    mine = [tag for tag in tags if not tag.final and tag[:3] == core[:3]]
    if mine:
        there = opened(mine[-1])
        if _changed(content, there) is None:
            return there.tag, there, False
    tag = core._replace(final=False, rc=mine[-1].rc + 1 if mine else 1)
    _check_after(repo, tag, content, latest)
    return str(tag), latest, True


def content_of(
    draft: Draft, kept: Mapping[str, str], staged: Path, seen: Path | None = None
) -> Content:
    """Check a draft and write its data files.

    Args:
        draft: what to publish.
        kept: prompt id -> split in earlier versions.
        staged: an empty folder for the data files.
        seen: a folder that keeps which texts were found clean, for the next version.

    Raises:
        Failure: a check did not pass.
    """
    lineage = lineage_of(draft.lineage)
    pa.default_memory_pool().release_unused()  # what the splits left
    rows = stored_rows(draft.rows)
    sets = draft.evaluation_sets
    rules = (SecretCheck.clean_rules(draft.secrets), ContaminationCheck.clean_rules(sets))
    clean = [Clean(seen and seen / each[:16], each) for each in rules]
    secrets = SecretCheck(draft.secrets, clean[0])
    secrets.look("constitution.yaml", draft.constitution_yaml)
    secrets.look("recipe.yaml", draft.recipe_yaml)
    contamination = ContaminationCheck(sets, draft.on_contamination, clean[1])
    found = surveyed(
        rows,
        draft.splits,
        draft.ledgers,
        kept=kept,
        orders=draft.orders,
        secrets=secrets,
        contamination=contamination,
    )
    for each in clean:
        with contextlib.suppress(OSError):  # what is lost is time
            each.save()
    checks = found.passed(draft.repo)
    figures = {"secrets": secrets.figures(), "contamination": contamination.figures()}
    texts = {
        "constitution.yaml": draft.constitution_yaml.encode(),
        "recipe.yaml": draft.recipe_yaml.encode(),
    }
    return Content(
        lineage.model_copy(update={"figures": {**lineage.figures, **found.figures, **figures}}),
        checks,
        rows,
        write_data(rows, draft.splits, found.layout, staged),
        texts,
    )


def _rows_changed(content: Content, previous: Version) -> bool:
    """Whether any split has other rows. By value where the bytes differ.

    Another parquet writer gives other bytes for the same rows, which are then not another version.
    A file of the previous version that is not at hand was not fetched since its writer was ours.
    """
    old = {name: sha for name, sha in previous.manifest.files.items() if _is_data(name)}
    new = {name: file for name, file in content.files.items() if _is_data(name)}
    if old.keys() != new.keys():
        return True
    return any(
        sha != new[name].sha256
        and not (
            (previous.path / name).is_file() and _same(name, previous.path / name, new[name].path)
        )
        for name, sha in old.items()
    )


def _same(name: str, one: Path, other: Path) -> bool:
    """Whether two files hold the same rows; of rejects in any order.

    What is rejected of a published version comes last there, and in a run's own place when the
    recipe is run again: that is no other version.
    """
    if same_rows(one, other):
        return True
    if not name.startswith("rejects/"):
        return False
    mine, theirs = (pl.read_parquet(path) for path in (one, other))
    return mine.schema == theirs.schema and mine.sort(mine.columns).equals(
        theirs.sort(theirs.columns)
    )


def _is_data(name: str) -> bool:
    """Whether the file holds rows of ours: people's answers on them are no change of them."""
    return name.endswith(".parquet") and not name.startswith("reviews/")


def _changed(content: Content, previous: Version) -> str | None:
    return change(
        previous.manifest.facts(),
        facts(content.lineage, content.sums),
        rows_changed=_rows_changed(content, previous),
    )


def _automatic(content: Content, latest: Version | None) -> str | None:
    return next_tag(
        latest.manifest if latest else None,
        facts(content.lineage, content.sums),
        rows_changed=latest is None or _rows_changed(content, latest),
    )


def _free(content: Content, latest: Version | None) -> str:
    tag = _automatic(content, latest)
    if tag is None:
        assert latest is not None
        return str(bump(parse_tag(latest.tag), "patch"))
    return tag


def _taken(repo: str, tag: Tag, content: Content, latest: Version | None) -> Failure:
    what = f"{tag} is published with other content, and a version never changes"
    return Failure(Fault(repo, "version", what, f"use {_free(content, latest)}, or auto"))


def built(
    draft: Draft, content: Content, tag: str, latest: Manifest | None
) -> tuple[Manifest, Files]:
    """The manifest and every file of the version, by its path in it: where it lies, or its bytes.

    In this form a version can go into a folder or into one commit on a Hub.

    Args:
        draft: what it is made of.
        content: the same, checked and written.
        tag: its number.
        latest: the manifest of the release before it, None where there is none.

    Raises:
        Failure: that release has answers of people's that the rows do not know of.
    """
    check_answers(draft.repo, draft.answers, latest)
    counts = {
        config: {
            split: file.rows if (file := content.data.get(config, {}).get(split)) else 0
            for split in SPLITS
        }
        for config in CONFIGS
        if config != "reviews" or config in content.data  # it is there once people have answered
    }
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        charter=__version__,
        repo=draft.repo,
        tag=tag,
        parent=latest.tag if latest else None,
        created=now(),
        **{name: getattr(content.lineage, name) for name in Lineage.model_fields},
        counts=counts,
        ledgers=Ledgers(**draft.ledgers),
        checks=content.checks,
        files=content.sums,
    )
    pictures = pictures_of(manifest.figures)
    readme = card(
        manifest,
        content.rows,
        content.data,
        draft.constitution_yaml,
        draft.recipe_yaml,
        {path: shown for path, (shown, _) in pictures.items()},
    ).encode()
    drawn = {path: png for path, (_, png) in pictures.items()}
    own = {"README.md": readme, **drawn}
    sums = {**{name: _sha256(data) for name, data in own.items()}, **manifest.files}
    manifest = sealed(manifest.model_copy(update={"files": sums}))
    data = {name: file.path for name, file in content.files.items()}
    return manifest, {**data, **own, **content.texts, MANIFEST: dump_manifest(manifest)}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
