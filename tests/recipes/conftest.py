"""A reader of prompts by a small recipe, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from charter.documents import read_document
from charter.recipes import check_recipe, read_prompts
from charter.recipes.prompts import PromptSet


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., PromptSet]:
    """Reads the files of the test's folder that match; keywords are the block `prompts`."""

    def read(pattern: str, **prompts: Any) -> PromptSet:
        recipe = {
            "constitution": "concise",
            "prompts": {"path": str(tmp_path / pattern), **prompts},
            "models": {"generator": {"llm": "local"}},
        }
        path = tmp_path / "r.yaml"
        loaded, faults = check_recipe(read_document(path, yaml.safe_dump(recipe)), path)
        assert loaded is not None, faults
        return read_prompts(loaded)

    return read
