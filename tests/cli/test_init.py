"""What `charter init` writes: a first recipe that there is something to train on."""

from __future__ import annotations

from pathlib import Path

import pytest

from charter.cli import main
from charter.hub.splits import assign_splits
from charter.recipes import load_recipe, read_prompts


def test_most_prompts_of_the_starter_are_for_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["init", "mine"])
    assert not ended.value.code
    loaded = load_recipe(Path("mine/recipe.yaml"))
    prompts = read_prompts(loaded)
    assert len(prompts.prompts) == 6 and not prompts.rejects
    texts = [(each.id, each.messages[-1]["content"]) for each in prompts.prompts]
    fraction = loaded.recipe.prompts.test_fraction
    split = list(assign_splits(texts, test_fraction=fraction).values())
    assert split.count("train") > split.count("test") > 0
