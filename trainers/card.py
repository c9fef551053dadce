"""The model card and the lineage that stand in a trained model's folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from charter.hub.evaluation_gate import rows_sha256
from charter.rows import digest
from charter.trainers.template import read_template

if TYPE_CHECKING:
    from charter.hub import Version
    from charter.trainers.base import Base
    from charter.trainers.method import Method
    from charter.trainers.rows import Rows
    from charter.trainers.settings import TrainSettings

__all__ = ["identity", "lineage", "write"]

SCHEMA_VERSION: Final = 1
_PACKAGES: Final = (
    *("charter-ai", "trl", "transformers", "peft", "torch", "accelerate", "datasets"),
)
# What Charter alone decides, and no model hangs on.
_NOT_SET: Final = ("output_dir", "disable_tqdm")


def identity(settings: TrainSettings, base: Base) -> dict[str, Any]:
    """What tells one training from another, by name (scheme 3).

    Covers method, the version's name and manifest, the base model's name and revision, the fields,
    LoRA, the limit, the chat template's text, how labels are believed, recovery rows, and the
    judge as it was named. Leaves out the folder of the model, the tracker and the versions of
    packages.
    """
    template, dataset = settings.chat_template, settings.dataset
    manifest = _manifest_sha256(dataset)
    return {
        "scheme": 3,
        "method": settings.method,
        "dataset": f"{dataset.repo}@{dataset.tag} (manifest {manifest[:12]})",
        "model": f"{base.name} (revision {base.revision})",
        **{f"--set {name}": value for name, value in settings.fields.items()},
        "lora": dataclasses.asdict(settings.lora) if settings.lora else None,
        "limit": settings.limit,
        "chat_template": digest(read_template(template)) if template is not None else None,
        "labels": dataclasses.asdict(settings.labels),
        **({"recovery": settings.recovery.as_json()} if settings.recovery else {}),
        # Not as it is: an address may hold a password.
        "judge": digest(dataclasses.asdict(settings.judge)),
    }


def write(
    folder: Path,
    settings: TrainSettings,
    method: Method,
    base: Base,
    rows: Rows,
    arguments: Mapping[str, Any],
    metrics: Mapping[str, float],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Write `charter.json` and `README.md`. No path of this machine stands in either.

    Returns:
        What `charter.json` holds.
    """
    facts = lineage(settings, method, base, rows, arguments, metrics, notes)
    text = json.dumps(facts, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    (folder / "charter.json").write_text(text, "utf-8")
    (folder / "README.md").write_text(_readme(settings.out.name, method, base, facts), "utf-8")
    return facts


def lineage(
    settings: TrainSettings,
    method: Method,
    base: Base,
    rows: Rows,
    arguments: Mapping[str, Any],
    metrics: Mapping[str, float],
    notes: Sequence[str],
) -> dict[str, Any]:
    """What the model was made from and how, as `charter.json` holds it."""
    manifest = settings.dataset.manifest
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "model",
        "method": method.name,
        "base": {"name": base.name, "revision": base.revision, "lineage": base.parent},
        "dataset": {
            "repo": settings.dataset.repo,
            "tag": settings.dataset.tag,
            # Of a Hub, where the version was read from one.
            "commit": getattr(settings.dataset, "commit", None),
            "config": rows.config,
            "rows": {"train": len(rows.train), "test": len(rows.test) if rows.test else 0},
            "manifest_sha256": _manifest_sha256(settings.dataset),
            "rows_sha256": rows_sha256(manifest.files, rows.config),
            "recipe": manifest.recipe.fingerprint,
            "constitution": manifest.constitution.fingerprint,
        },
        "seed": arguments["seed"],
        "fields": _changed(method, arguments),
        "lora": dataclasses.asdict(settings.lora) if settings.lora else None,
        "limit": settings.limit,
        "chat_template": _without_folder(settings.chat_template),
        "labels": dataclasses.asdict(settings.labels) if method.config == "preference" else None,
        "judge": _judge(settings) if method.name == "grpo" else None,
        "recovery": settings.recovery.as_json() if settings.recovery else None,
        "python": platform.python_version(),
        "packages": _versions(),
        "metrics": dict(metrics),
        "notes": list(notes),
        "licence": base.licence,
    }


def _manifest_sha256(dataset: Version) -> str:
    """The fingerprint of a version: its manifest holds the SHA-256 of every other file."""
    return hashlib.sha256((Path(dataset.path) / "charter.json").read_bytes()).hexdigest()


def _changed(method: Method, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the TRL config that are not at TRL's own default, as `--set` takes them."""
    from charter.trainers.fields import config_class

    defaults = {
        field.name: field.default
        if field.default_factory is dataclasses.MISSING
        else field.default_factory()
        for field in dataclasses.fields(config_class(method.name))
    }
    return {
        name: _without_folder(value)
        for name, value in sorted(arguments.items())
        if name not in _NOT_SET and value != defaults[name]
    }


def _judge(settings: TrainSettings) -> dict[str, Any]:
    """Who scored the answers; an address says something of that machine only."""
    found = dataclasses.asdict(settings.judge)
    named = {"name", "reward_model"}
    return {k: _without_folder(v) if k in named else v for k, v in found.items() if k != "url"}


def _without_folder(value: Any) -> Any:
    """A path as its last part, here or inside: the rest says something of this machine only."""
    if isinstance(value, Mapping):
        return {key: _without_folder(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folder(inner) for inner in value]
    try:
        return Path(value).name if isinstance(value, str) and Path(value).exists() else value
    except OSError:  # a text that is too long for a path
        return value


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree that was never installed
            continue
    return found


def _readme(name: str, method: Method, base: Base, facts: Mapping[str, Any]) -> str:
    dataset, lora = facts["dataset"], facts["lora"]
    front = {
        **({"license": base.licence} if base.licence else {}),
        **({"base_model": base.name} if base.on_hub else {}),
        "datasets": [dataset["repo"]],
        "library_name": "transformers",
        "pipeline_tag": "text-classification" if method.scores else "text-generation",
        "tags": ["charter", "constitutional-ai", "trl", method.name],
    }
    how = f"LoRA of rank {lora['r']} (alpha {lora['alpha']}), merged" if lora else "all weights"
    licence = base.licence or "that of the base model, which names none that could be read here"
    sections = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# {name}",
        f"`{base.name}` (revision `{base.revision}`) after {method.title}, made with "
        f"Charter and TRL; {how}.",
        "## Data",
        f"The config `{dataset['config']}` of `{dataset['repo']}` at `{dataset['tag']}`"
        f"{_commit(dataset)}: "
        f"{facts['metrics']['rows']} rows of `train`, none of `test`. Of them "
        f"{facts['metrics']['truncated_rows']} were cut at the window's end and "
        f"{facts['metrics']['dropped_rows']} left out, since {_why_dropped(method)}."
        f"{_labels(facts['labels'])}{_recovery(facts)}",
        _table(
            ("fingerprint", "SHA-256"),
            [
                ("manifest of the version", dataset["manifest_sha256"]),
                ("recipe", dataset["recipe"]),
                ("constitution", dataset["constitution"]),
            ],
        ),
        "## Figures",
        _table(("figure", "value"), [(k, f"{v:.6g}") for k, v in facts["metrics"].items()]),
        "## Settings",
        f"Seed: {facts['seed']}. Fields that are not at TRL's defaults:",
        _table(("field", "value"), [(k, json.dumps(v)) for k, v in facts["fields"].items()]),
        *(
            ["## Warnings of TRL", "\n".join(f"- {note}" for note in facts["notes"])]
            if facts["notes"]
            else []
        ),
        "## Versions",
        _table(("package", "version"), [("Python", facts["python"]), *facts["packages"].items()]),
        "## Licence",
        f"Licence: {licence}.",
    ]
    return "\n\n".join(sections) + "\n"


def _why_dropped(method: Method) -> str:
    return "they are longer" if method.overflow == "drop" else "their prompt alone filled it"


def _labels(labels: Mapping[str, Any] | None) -> str:
    """How the labels of pairs were believed, in a sentence."""
    if labels is None:
        return ""
    least = f", and of p_chosen >= {labels['min_p']} only" if labels["min_p"] is not None else ""
    soft = "taken as certain" if labels["soft"] == "none" else f"soft (`{labels['soft']}`)"
    weight = "" if labels["weight"] == "none" else f", weighted by `{labels['weight']}`"
    return f" Labels are {soft}{weight}{least}."


def _recovery(facts: Mapping[str, Any]) -> str:
    """What was added for safety recovery, in a sentence."""
    if facts["recovery"] is None:
        return ""
    metrics, most = facts["metrics"], facts["recovery"]["max_tokens"]
    return (
        f" Beside them {metrics['recovery_rows']:.0f} rows of safety recovery (Qi et al. 2024, "
        f"arXiv 2406.05946, section 3) were made from {metrics['recovery_prompts']:.0f} prompts "
        f"whose revision declines: {metrics['recovery_prefixed']:.0f} of them put up to {most} "
        "tokens of the unrevised answer before the revision, with no loss on these tokens."
    )


def _commit(dataset: Mapping[str, Any]) -> str:
    return f" (commit `{dataset['commit']}`)" if dataset["commit"] else ""


def _table(head: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "| --- | --- |"]
    escaped = ((a, str(b).replace("|", "\\|")) for a, b in rows)
    return "\n".join([*lines, *(f"| {a} | {b} |" for a, b in escaped)])
