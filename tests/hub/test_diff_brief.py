"""What changed from one version to the next, in a few words."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from charter.hub import publish_local
from charter.hub.diff_brief import brief


def _licence(lineage: dict[str, Any]) -> None:
    lineage["constitution"]["licence"] = "MIT"


def _principle(lineage: dict[str, Any]) -> None:
    lineage["constitution"]["fingerprint"] = "0" * 64


def _renamed(lineage: dict[str, Any]) -> None:
    _principle(lineage)
    lineage["constitution"]["version"] = "2.0.0"


def _settings(lineage: dict[str, Any]) -> None:
    lineage["models"]["judge"]["temperature"] = 0.5


def _model(lineage: dict[str, Any]) -> None:
    lineage["models"]["judge"]["model"] = "other"
    lineage["models"]["critic"] = {"llm": "local"}


@pytest.mark.parametrize(
    ("change", "texts", "told"),
    [
        (_licence, {}, ["names, licence or notes of the constitution"]),
        (None, {"constitution_yaml": "# why\n"}, ["names, licence or notes of the constitution"]),
        (None, {"recipe_yaml": "# why\n"}, ["recipe"]),
        (_principle, {}, ["constitution tiny 1.0.0"]),
        (_renamed, {}, ["constitution tiny 1.0.0 to tiny 2.0.0"]),
        (_settings, {}, ["settings of the judge"]),
        (_model, {}, ["judge tiny-135m to other", "critic none to local"]),
    ],
    ids=["licence", "constitution", "recipe", "principle", "version", "settings", "model"],
)
def test_whatever_makes_a_version_is_named(
    change: Any, texts: dict[str, str], told: list[str], make_draft: Any, store: Path
) -> None:
    draft = make_draft()
    lineage = copy.deepcopy(draft.lineage)
    if change is not None:
        change(lineage)
    more = {name: getattr(draft, name) + text for name, text in texts.items()}
    one = publish_local(draft, store).manifest
    other = publish_local(make_draft(lineage=lineage, **more), store)
    assert other.new
    assert brief(one, other.manifest) == told
    assert brief(one, one) == []
    assert brief(None, one) == ["first version"]
