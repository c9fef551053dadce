"""What changed from one version to the next in a few words, from their manifests alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from charter.hub.manifest import Manifest

__all__ = ["brief", "retraction_of"]

_RUN = ("prompt_set", "seeds")
_READ = ("reviews", "evaluations")


def brief(before: Manifest | None, after: Manifest) -> list[str]:
    """What is not the same, the weightiest first; `first version` where there is none before."""
    return ["first version"] if before is None else list(_changes(before, after))


def retraction_of(before: Manifest | None, after: Manifest) -> dict[str, Any] | None:
    """The retraction that made this version: the figures say it of all later ones as well."""
    found = after.figures.get("retracted")
    if not isinstance(found, dict) or before is None or found.get("from") != before.tag:
        return None
    return {name: found.get(name) for name in ("reason", "rows", "from")}


def _changes(before: Manifest, after: Manifest) -> Iterator[str]:
    if before.schema_version != after.schema_version:
        yield f"schema {before.schema_version} to {after.schema_version}"
    one, other = before.constitution, after.constitution
    if one.fingerprint != other.fingerprint:
        named = f"{other.name} {other.version}"
        old = f"{one.name} {one.version}"
        yield f"constitution {named}" if named == old else f"constitution {old} to {named}"
    elif one != other or _file(before, "constitution") != _file(after, "constitution"):
        yield "names, licence or notes of the constitution"
    for role in dict.fromkeys([*before.models, *after.models]):
        if before.models.get(role) != after.models.get(role):
            old, new = _model(before, role), _model(after, role)
            yield f"{role} {old} to {new}" if old != new else f"settings of the {role}"
    yield from _rows(before, after)
    if before.recipe != after.recipe or _file(before, "recipe") != _file(after, "recipe"):
        yield "recipe"
    yield from (
        name.replace("_", " ")
        for name in (*_RUN, *_READ)
        if getattr(before, name) != getattr(after, name)
    )
    if found := retraction_of(before, after):
        yield f"retracted: {found['reason']}"


def _model(manifest: Manifest, role: str) -> str:
    model = manifest.models.get(role)
    return "none" if model is None else str(model.get("model") or model.get("llm") or "unnamed")


def _rows(before: Manifest, after: Manifest) -> Iterator[str]:
    for config in dict.fromkeys([*before.counts, *after.counts]):
        n = _count(after, config) - _count(before, config)
        if n:
            yield f"{n:+,} {config}"
        elif _files(before, config) != _files(after, config):
            yield f"{config} rows changed"


def _count(manifest: Manifest, config: str) -> int:
    return sum(manifest.counts.get(config, {}).values())


def _files(manifest: Manifest, config: str) -> dict[str, str]:
    return {name: sha for name, sha in manifest.files.items() if name.startswith(f"{config}/")}


def _file(manifest: Manifest, name: str) -> str | None:
    return manifest.files.get(f"{name}.yaml")
