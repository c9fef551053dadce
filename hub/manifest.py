"""The lineage manifest `charter.json`: what a version was made from and what stands in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from charter.errors import Failure, Fault, InputError, nearest
from charter.hub.number import is_tag
from charter.hub.schema import SCHEMA_VERSION
from charter.rows import digest

__all__ = [
    "MANIFEST",
    "CheckResult",
    "ConstitutionRef",
    "Ledgers",
    "Lineage",
    "Manifest",
    "PromptSetRef",
    "RecipeRef",
    "check_repo",
    "dump_manifest",
    "facts",
    "lineage_of",
    "load_manifest",
    "now",
    "sealed",
]

MANIFEST: Final = "charter.json"
"""The manifest's name in the folder of a version."""

# As the Hub's own rule: letters, digits, `-`, `_`, `.`; no `--` or `..`; at most 96 characters.
_REPO_PART: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPO: Final = re.compile(rf"{_REPO_PART}/{_REPO_PART}")


def check_repo(repo: str) -> str:
    """The name of a repo, `owner/name`, if it is one.

    Raises:
        InputError: it isn't; the Hub would refuse it as well.
    """
    name = repo.rpartition("/")[2]
    bad = "--" in repo or ".." in repo or name.endswith(".git")
    if bad or len(repo) > 96 or not _REPO.fullmatch(repo):
        raise InputError(
            Fault(
                "",
                "publish.repo",
                f'"{repo}" is no name of a repo',
                "write owner/name with letters, digits, - _ . and no -- or ..",
            )
        )
    return repo


def _is_tag(text: str) -> str:
    if not is_tag(text):
        raise ValueError(f'"{text}" is no version tag')
    return text


def _is_file(text: str) -> str:
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text or str(path) != text:
        raise ValueError(f'"{text}" is no path inside the version')
    return text


TagText = Annotated[str, AfterValidator(_is_tag)]
FilePath = Annotated[str, AfterValidator(_is_file)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
JsonDict = dict[str, JsonValue]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class ConstitutionRef(_Model):
    """The constitution that the critiques, revisions and judgments were made under."""

    name: str
    version: str
    licence: str
    fingerprint: str


class RecipeRef(_Model):
    """The recipe that was run."""

    name: str
    fingerprint: str


class PromptSetRef(_Model):
    """The prompts that were read: a file's path or the name of their source, or both."""

    path: str | None = None
    source: str | None = None
    fingerprint: str
    records: int = Field(ge=0)

    @model_validator(mode="after")
    def _named(self) -> PromptSetRef:
        if self.path is None and self.source is None:
            raise ValueError("a prompt set has a path or a source")
        return self


class Ledgers(_Model):
    """The three totals that rows and rejects must add up to.

    Attributes:
        records: input records read; = prompts + rejects of the ledger `input`.
        prompts: prompts worked on; = `sft` rows + rejects of the ledger `sft`.
        pairs_formed: pairs selected to become rows; = `preference` rows + rejects with a `pair_id`.
    """

    records: int = Field(ge=0)
    prompts: int = Field(ge=0)
    pairs_formed: int = Field(ge=0)


class CheckResult(_Model):
    """What one integrity check found."""

    check: str
    passed: bool
    detail: str


class Lineage(_Model):
    """The part of the manifest that only the run knows.

    Attributes:
        constitution: name, version, licence, fingerprint.
        recipe: name, fingerprint.
        prompt_set: path or source, fingerprint, records.
        models: role -> what it was: llm, model, revision, sampling parameters. The roles `judge`
            and `generator` decide on version numbers.
        seeds: name -> seed (`recipe` is the recipe's own).
        packages: name -> installed version.
        figures: figures of the run; those that `charter.hub.figures` counts are added.
        reviews: figures of human checks, null until there are some.
        evaluations: figures of models trained on the version, null until there are some.
    """

    constitution: ConstitutionRef
    recipe: RecipeRef
    prompt_set: PromptSetRef
    models: dict[str, JsonDict]
    seeds: dict[str, int]
    packages: dict[str, str]
    figures: JsonDict = Field(default_factory=dict)
    reviews: JsonDict | None = None
    evaluations: JsonDict | None = None


class Manifest(Lineage):
    """The contents of `charter.json`.

    Attributes:
        schema_version: of the columns and of this file.
        charter: version of the package that wrote the version.
        repo: `owner/name`.
        tag: `vMAJOR.MINOR.PATCH`, or `-rc.N` after it.
        parent: tag of the release before it, or null.
        created: UTC, `YYYY-MM-DDTHH:MM:SSZ`.
        counts: config -> split -> rows; 0 where there is no file.
        ledgers: see `Ledgers`.
        checks: the integrity checks that passed before it was written.
        files: path in the version -> SHA-256 of its bytes; all files but `charter.json` itself.
        sha256: of the other fields (`sealed`); None in what an older charter wrote.
    """

    schema_version: int = Field(ge=1)
    charter: str
    repo: str
    tag: TagText
    parent: TagText | None
    created: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    counts: dict[str, dict[str, int]]
    ledgers: Ledgers
    checks: list[CheckResult]
    files: dict[FilePath, Sha256]
    sha256: Sha256 | None = None

    @property
    def changed(self) -> bool:
        """Whether a field was changed after it was written."""
        return self.sha256 is not None and self != sealed(self)

    def facts(self) -> dict[str, Any]:
        """What decides on the number of the next version; see `charter.hub.manifest.facts`."""
        return facts(self, self.files, self.schema_version)


# The order in charter.json: what it is, what it was made from, what stands in it.
_ORDER: Final = (
    *("schema_version", "charter", "repo", "tag", "parent", "created"),
    *("constitution", "recipe", "prompt_set", "models", "seeds", "packages"),
    *("counts", "ledgers", "figures", "reviews", "evaluations", "checks", "files", "sha256"),
)


def facts(
    lineage: Lineage, files: Mapping[str, str], schema_version: int = SCHEMA_VERSION
) -> dict[str, Any]:
    """The facts of a version that make it another one when they change.

    Covered: schema version, constitution, recipe, prompt set, models, seeds, reviews and people's
    answers, evaluations, and the texts of constitution and recipe. Left out, because they differ
    between two runs that made the same rows: figures of the run, package versions, times, and the
    card, which is made from the rest. Rows are compared separately, by value.
    """
    return {
        "schema_version": schema_version,
        **lineage.model_dump(mode="json", include=_FACTS),
        "texts": {name: files.get(name) for name in ("constitution.yaml", "recipe.yaml")},
        "answers": {name: sha for name, sha in files.items() if name.startswith("reviews/")},
    }


_FACTS: Final = {
    *("constitution", "recipe", "prompt_set", "models", "seeds", "reviews", "evaluations"),
}


def sealed(manifest: Manifest) -> Manifest:
    """The same with the SHA-256 over all its other fields.

    Raises:
        Failure: a figure is not finite, which JSON cannot say.
    """
    fields = manifest.model_dump(mode="json", exclude={"sha256"})
    try:
        found = digest("charter.json", 1, fields)
    except ValueError as error:
        raise Failure(Fault(MANIFEST, "", f"not JSON: {error}", "give finite figures")) from None
    return manifest.model_copy(update={"sha256": found})


def now() -> str:
    """This moment as a manifest writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def lineage_of(fields: Mapping[str, Any]) -> Lineage:
    """The run's part of the manifest, checked.

    Raises:
        Failure: a field is missing, unknown or of the wrong type; every fault at once.
    """
    try:
        # Through JSON, so that a tuple and a list, or an enum and its text, are the same fact.
        return Lineage.model_validate(json.loads(json.dumps(dict(fields), allow_nan=False)))
    except ValidationError as error:
        raise Failure(_faults(error, "lineage", Lineage)) from None
    except (TypeError, ValueError) as error:
        raise Failure(Fault("lineage", "", f"not JSON: {error}", "give plain values")) from None


def load_manifest(path: Path) -> Manifest:
    """Read and check a `charter.json`.

    Raises:
        InputError: missing, no JSON, of a newer schema, or not a manifest; every fault at once.
    """
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            Fault(str(path), "", "there is no such file", "give the folder of a published version")
        ) from None
    except OSError as error:
        raise InputError(Fault(str(path), "", f"cannot be read: {error.strerror}", "")) from None
    except ValueError as error:
        raise InputError(
            Fault(str(path), "", f"not JSON: {error}", "publish or download the version again")
        ) from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise InputError(
            Fault(
                str(path),
                "schema_version",
                f"{version} is newer than {SCHEMA_VERSION}, the newest known here",
                "install a newer charter-ai",
            )
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        raise InputError(_faults(error, str(path), Manifest)) from None


def dump_manifest(manifest: Manifest) -> bytes:
    """The manifest, sealed, as the bytes of a `charter.json`."""
    data = sealed(manifest).model_dump(mode="json")
    ordered = {name: data[name] for name in _ORDER}
    return (json.dumps(ordered, ensure_ascii=False, indent=2) + "\n").encode()


def _faults(error: ValidationError, place: str, model: type[BaseModel]) -> list[Fault]:
    return [
        Fault(
            place,
            ".".join(map(str, each["loc"])),
            each["msg"],
            _fix(each["type"], each["loc"], model),
        )
        for each in error.errors(include_url=False)
    ]


def _fix(kind: str, loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    if kind == "extra_forbidden" and len(loc) == 1:
        return nearest(str(loc[0]), model.model_fields)
    return "remove it" if kind == "extra_forbidden" else ""
