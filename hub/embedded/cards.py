"""Cards: the YAML on top of a README, read as data from a stranger."""

from __future__ import annotations

import datetime
import json
import math
import re
from functools import lru_cache
from typing import Any, Final

import yaml

from charter.hub.embedded.git import Git, Sha
from charter.hub.yaml_text import read_yaml

__all__ = ["card_of", "check_card", "tags_of"]

_FRONT: Final = re.compile(
    r"\A(?:\ufeff)?\s*---[ \t]*\r?\n(.*?)(?:\r?\n)?---[ \t]*(?:\r?\n|\Z)", re.DOTALL
)
_LONGEST: Final = 2_000_000  # characters
_MOST_NODES: Final = 200_000
_LISTED: Final = (
    "annotations_creators",
    "language_creators",
    "language",
    "license",
    "multilinguality",
    "size_categories",
    "source_datasets",
    "task_categories",
    "task_ids",
)
# What the metadata of a card may not be: the real Hub refuses these too.
_TEXTS: Final = ("license", "language", "tags", "task_categories", "size_categories", "datasets")

_LISTS: Final = ("model-index", "configs")


class CardFault(Exception):
    """The metadata cannot be used."""


@lru_cache(maxsize=512)
def _parsed(text: str) -> dict[str, Any] | None:
    found = _FRONT.match(text)
    if found is None:
        return None
    if len(found[1]) > _LONGEST:
        raise CardFault("the metadata is too long")
    try:
        value = read_yaml(found[1])
    except yaml.YAMLError as error:
        raise CardFault(f"the metadata is not YAML: {str(error)[:500]}") from None
    if value is None:
        return None
    if not isinstance(value, dict):
        raise CardFault("the metadata is not a mapping")
    # Anchors can make a short text stand for more values than any memory holds.
    budget = [_MOST_NODES]
    try:
        plain: dict[str, Any] = _plain(value, budget, 0)
        json.dumps(plain)
    except ValueError:  # Python writes no number of over 4,300 digits
        raise CardFault("the metadata holds a number that is too large") from None
    return plain


def _plain(value: Any, budget: list[int], depth: int) -> Any:
    budget[0] -= 1
    if budget[0] < 0 or depth > 60:
        raise CardFault("the metadata holds too many values")
    if isinstance(value, dict):
        return {str(key): _plain(one, budget, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(one, budget, depth + 1) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime.date | datetime.datetime):
        return value.isoformat()
    if isinstance(value, str | bool | int | float) or value is None:
        return value
    return str(value)


def check_card(content: str) -> tuple[list[str], list[str]]:
    """What is wrong with a README's metadata, and what is only missing.

    Returns:
        Faults and warnings, one sentence each.
    """
    try:
        card = _parsed(content)
    except CardFault as error:
        return [str(error)], []
    if not card:
        return [], ["empty or missing yaml metadata in repo card"]
    faults = []
    for name in _TEXTS:
        value = card.get(name)
        items = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(one, str) for one in items):
            faults.append(f'"{name}" must be a string or a list of strings')
    for name in _LISTS:
        if card.get(name) is not None and not isinstance(card[name], list):
            faults.append(f'"{name}" must be a list')
    return faults, []


def card_of(git: Git, commit: Sha) -> dict[str, Any]:
    """The metadata of a commit's README; empty where there is none or it is broken."""
    entry = git.find(git.tree_of(commit), b"README.md")
    if entry is None or entry.is_folder:
        return {}
    try:
        return _parsed(git.blob(entry.sha).decode(errors="replace")) or {}
    except CardFault:
        return {}


def tags_of(kind: str, card: dict[str, Any]) -> list[str]:
    """The tags that a card stands for: what lists are filtered by."""
    tags: list[str] = []
    for name in _LISTED:
        head = "" if kind != "datasets" and name == "language" else f"{name}:"
        tags += [f"{head}{one}" for one in _texts(card.get(name))]
    tags += _texts(card.get("tags"))
    if kind == "models":
        tags += [f"dataset:{one}" for one in _texts(card.get("datasets"))]
        tags += [f"base_model:{one}" for one in _texts(card.get("base_model"))]
        tags += _texts(card.get("library_name")) + _texts(card.get("pipeline_tag"))
    tags.append("region:us")
    return list(dict.fromkeys(tags))


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [str(one) for one in items if isinstance(one, str | int) and not isinstance(one, bool)]
