"""Look at a published version again: bytes, counts, columns, rows, and what it was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from charter.constitutions import load_constitution
from charter.documents import read_text
from charter.errors import CharterError, Failure, InputError
from charter.hub.columns import some
from charter.hub.data import data_path
from charter.hub.gate import surveyed
from charter.hub.held import published_splits
from charter.hub.held_remote import held_on_hub
from charter.hub.manifest import MANIFEST, CheckResult
from charter.hub.schema import CONFIGS, SCHEMA_VERSION, SPLITS
from charter.hub.verify_rows import SINCE, published_rows, schema_of, splits_in
from charter.hub.version import Version
from charter.hub.yaml_text import read_yaml

__all__ = ["Verified", "orders_of", "store_of", "verify_version"]

# What the Hub itself puts beside the files of a version.
_NOT_OURS: Final = (".gitattributes", ".cache", ".huggingface")
_NEAR: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found of a version.

    Attributes:
        version: `owner/name@TAG`.
        checks: each of them, passed or not.
        not_made: why, by the name of a check that could not be made.
    """

    version: str
    checks: tuple[CheckResult, ...]
    not_made: Mapping[str, str]

    @property
    def passed(self) -> bool:
        """Whether every check has passed."""
        return all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """By name, plain values."""
        checks = [each.model_dump() for each in self.checks]
        return {
            "version": self.version,
            "passed": self.passed,
            "checks": checks,
            "not_made": dict(self.not_made),
        }


def store_of(version: Version) -> Path | None:
    """The local store that a version stands in, or None where its folder is in none."""
    folder = version.path.resolve()
    owner, _, name = version.repo.partition("/")
    parts = (folder.parent.parent.name, folder.parent.name, folder.name)
    return folder.parents[2] if parts == (owner, name, version.tag) else None


def orders_of(version: Version, recipe: Mapping[str, Any] | None = None) -> str:
    """`both`, or `single` where each pair was judged in one order alone."""
    stated = version.manifest.figures.get("preference")
    if not isinstance(stated, dict):
        stated = (recipe or {}).get("preference")
    orders = stated.get("orders") if isinstance(stated, dict) else None
    return "single" if orders == "single" else "both"


def verify_version(version: Version) -> Verified:
    """Check all that can be checked of a version.

    The gate's checks are named `gate.NAME`. They need whole files: where bytes or columns are
    wrong they are not made, which is itself a failed check.

    Args:
        version: as `charter.hub.version.open_unchecked` gives it. Earlier versions are looked at
            where it stands in a local store, or on a Hub from which it was read.
    """
    checks = [
        _check("files", _files(version), _files_told(version)),
        _check("extra", _extra(version), "no other file"),
        _check("counts", _counts(version), "the files have the rows that charter.json counts"),
        _check("schema", _schemas(version), _schema_told(version)),
    ]
    recipe, recipe_check = _recipe(version)
    not_made: dict[str, str] = {}
    if all(each.passed for each in checks if each.check != "extra"):
        checks += _rows(version, recipe, not_made)
    else:
        what = "not made, because files, counts or schema are wrong"
        checks.append(CheckResult(check="gate", passed=False, detail=what))
    checks += [_constitution(version), recipe_check, _card(version)]
    return Verified(f"{version.repo}@{version.tag}", tuple(checks), not_made)


def _check(name: str, problems: Iterable[str], fine: str) -> CheckResult:
    found = list(problems)
    return CheckResult(check=name, passed=not found, detail=". ".join(found) if found else fine)


def _files(version: Version) -> Iterator[str]:
    missing, changed = [], [MANIFEST] if version.manifest.changed else []
    for name, sha256 in version.manifest.files.items():
        try:
            with (version.path / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    changed.append(name)
        except FileNotFoundError:
            missing.append(name)
        except OSError as error:
            yield f"{name} cannot be read: {error.strerror}"
    if missing:
        yield f"missing: {some(missing)}"
    if changed:
        yield f"changed after publication: {some(changed)}"


def _files_told(version: Version) -> str:
    n = len(version.manifest.files)
    itself = "" if version.manifest.sha256 is None else f", and {MANIFEST} itself"
    return f"{n} files as published{itself}"


def _extra(version: Version) -> Iterator[str]:
    known = {MANIFEST, *version.manifest.files}
    found = []
    for path in sorted(version.path.rglob("*")):
        name = path.relative_to(version.path)
        if not path.is_dir() and name.as_posix() not in known and name.parts[0] not in _NOT_OURS:
            found.append(name.as_posix())
    if found:
        yield f"not in charter.json: {some(found)}"


def _data(version: Version) -> Iterator[tuple[str, str, int]]:
    """Config, split and counted rows, also where there are none."""
    for config in CONFIGS:
        for split in SPLITS:
            yield config, split, version.manifest.counts.get(config, {}).get(split, 0)


def _counts(version: Version) -> Iterator[str]:
    for config, splits in version.manifest.counts.items():
        if config not in CONFIGS or set(splits) - set(SPLITS):
            yield f"charter.json counts {config} {', '.join(splits)}, which no version has"
    for config, split, n in _data(version):
        name = data_path(config, split)
        if not n:
            if name in version.manifest.files:
                yield f"{name} is there, and charter.json counts no rows of it"
            continue
        try:
            rows = pq.read_metadata(version.path / name).num_rows
        except (OSError, pa.ArrowException) as error:
            yield f"{name} cannot be read: {_first_line(error)}"
            continue
        if rows != n:
            yield f"{name} has {rows} rows, not {n}"


def _first_line(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is missing"
    return (str(error).splitlines() or [type(error).__name__])[0]


def _schemas(version: Version) -> Iterator[str]:
    for config, split, n in _data(version):
        path = version.path / data_path(config, split)
        if not n or not path.is_file():
            continue
        wanted = schema_of(config, version.manifest.schema_version)
        try:
            found = pq.read_schema(path)
        except (OSError, pa.ArrowException):
            continue  # `counts` has said so
        if found.equals(wanted):
            continue
        lacking = [name for name in wanted.names if name not in found.names]
        unknown = [name for name in found.names if name not in wanted.names]
        other = [
            name
            for name in wanted.names
            if name in found.names and found.field(name).type != wanted.field(name).type
        ]
        told = (("lacks", lacking), ("has also", unknown), ("has another type in", other))
        what = ", ".join(f"{verb} {some(names)}" for verb, names in told if names)
        yield f"{data_path(config, split)} {what or 'has its columns in another order'}"


def _schema_told(version: Version) -> str:
    found = version.manifest.schema_version
    if found >= SCHEMA_VERSION:
        return f"columns and types of schema {found}"
    later = [
        f"{config}.{name}"
        for since, configs in SINCE.items()
        if since > found
        for config, names in configs.items()
        for name in sorted(names)
    ]
    return f"columns and types of schema {found}; not checked, as it has none: {', '.join(later)}"


def _rows(
    version: Version, recipe: Mapping[str, Any] | None, not_made: dict[str, str]
) -> Iterator[CheckResult]:
    splits, both = splits_in(version)
    problems = [f"prompts with rows in both splits: {some(both)}"] if both else []
    yield _check("prompts", problems, f"each of {len(splits)} prompts is in one split")
    kept, place, missing = _earlier(version)
    manifest = version.manifest
    try:
        found = surveyed(
            published_rows(version),
            splits,
            manifest.ledgers.model_dump(),
            kept=kept,
            orders=orders_of(version, recipe),
        )
    except Failure as error:
        fault = error.faults[0]
        place = fault.place.removeprefix(f"{version.path}/")
        what = f"{place} {fault.path}: {fault.what}"
        yield CheckResult(check="gate.columns", passed=False, detail=what)
        return
    for each in found.checks:
        name, detail = f"gate.{each.check}", each.detail
        if each.check == "kept":
            if missing:
                not_made[name] = missing
                continue
            if each.passed:
                detail = f"{len(kept)} prompts of all versions {place} keep their splits"
        yield CheckResult(check=name, passed=each.passed, detail=detail)
    stated = manifest.figures
    common = [name for name in found.figures if name in stated]
    wrong = [name for name in common if not _near(found.figures[name], stated[name])]
    problems = [f"charter.json says otherwise than the rows: {some(wrong)}"] if wrong else []
    yield _check("figures", problems, f"{len(common)} figures of charter.json counted again")


def _earlier(version: Version) -> tuple[Mapping[str, str], str, str]:
    """The splits of all versions, where these are, and why they are not known."""
    store = store_of(version)
    try:
        if version.commit is not None:
            return held_on_hub(version.repo), "on its Hub", ""
        if store is not None:
            return published_splits(store, version.repo), "in its store", ""
    except CharterError as error:
        return {}, "", f"another version cannot be read: {error.faults[0]}"
    return {}, "", "the folder is in no store, so earlier versions are not known"


def _near(one: Any, other: Any) -> bool:
    """Whether two figures are the same but for the last digits of another machine's floats."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_near(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_near, one, other))
    if isinstance(one, float) and isinstance(other, int | float):
        return abs(one - other) <= _NEAR * max(1.0, abs(one))
    return bool(one == other)


def _constitution(version: Version) -> CheckResult:
    stated = version.manifest.constitution
    try:
        found = load_constitution(version.path / "constitution.yaml")
    except CharterError as error:
        return CheckResult(check="constitution", passed=False, detail=str(error.faults[0]))
    problems = [
        f"its {name} is {mine}, charter.json says {theirs}"
        for name, mine, theirs in (
            ("fingerprint", found.fingerprint(), stated.fingerprint),
            ("name", found.name, stated.name),
            ("version", found.version, stated.version),
            ("licence", found.licence, stated.licence),
        )
        if mine != theirs
    ]
    n = len(found.principles)
    return _check("constitution", problems, f"fingerprint of {n} principles computed again")


def _recipe(version: Version) -> tuple[Mapping[str, Any] | None, CheckResult]:
    try:
        found = read_yaml(read_text(version.path / "recipe.yaml"))
    except InputError as error:
        return None, CheckResult(check="recipe", passed=False, detail=str(error.faults[0]))
    except yaml.YAMLError:
        return None, CheckResult(check="recipe", passed=False, detail="recipe.yaml is not YAML")
    if not isinstance(found, dict):
        return None, CheckResult(check="recipe", passed=False, detail="recipe.yaml has no settings")
    name, stated = found.get("name"), version.manifest.recipe.name
    problems = [] if name in (None, stated) else [f"its name is {name}, charter.json says {stated}"]
    fine = "its text is there; its fingerprint also covers files that are not in a version"
    return found, _check("recipe", problems, fine)


def _card(version: Version) -> CheckResult:
    try:
        meta = _front_matter(read_text(version.path / "README.md"))
    except InputError as error:
        return CheckResult(check="card", passed=False, detail=str(error.faults[0]))
    except yaml.YAMLError:
        return CheckResult(check="card", passed=False, detail="its metadata is not YAML")
    fine = "configs and row counts of its metadata are those of the files"
    return _check("card", _card_problems(version, meta), fine)


def _front_matter(text: str) -> Mapping[str, Any]:
    start, _, rest = text.partition("---\n")
    block, end, _ = rest.partition("\n---\n")
    found = read_yaml(block) if not start and end else None
    return found if isinstance(found, dict) else {}


def _card_problems(version: Version, meta: Mapping[str, Any]) -> Iterator[str]:
    wanted = {(config, split): n for config, split, n in _data(version) if n}
    files = {(c, s): data_path(c, s) for c, s in wanted}
    listed = _listed(meta.get("configs"), "config_name", "data_files", _split_path)
    if listed != files:
        odd = sorted({f"{c}/{s}" for (c, s), _ in listed.items() ^ files.items()})
        yield f"its configs are not the data files: {some(odd)}"
    sizes = _listed(meta.get("dataset_info"), "config_name", "splits", _split_rows)
    if sizes and sizes != wanted:
        yield "its dataset_info counts other rows than charter.json"


def _listed(
    entries: Any, name: str, inner: str, read: Callable[[Any], tuple[Any, Any]]
) -> dict[tuple[Any, Any], Any]:
    found: dict[tuple[Any, Any], Any] = {}
    try:
        for entry in entries or []:
            for each in entry[inner]:
                split, value = read(each)
                found[entry[name], split] = value
    except (TypeError, KeyError):
        return {("unreadable", "metadata"): ""}
    return found


def _split_path(entry: Any) -> tuple[Any, Any]:
    return entry["split"], entry["path"]


def _split_rows(entry: Any) -> tuple[Any, Any]:
    return entry["name"], entry["num_examples"]
