"""Two rounds of the embedded model: what `docs/loop.md` shows was made by these settings."""

from __future__ import annotations

import contextlib
import json
import shutil

import pytest

from charter.improve.run import improve
from charter.recipes import load_recipe, shipped_recipes
from charter.run.progress import Silent

pytestmark = [pytest.mark.slow, pytest.mark.model]

OVERRIDES = (
    "prompts.limit=4",
    "sft.rounds=1",
    "models.generator.max_tokens=32",
    "models.critic.max_tokens=24",
    "preference.candidates=2",
    "preference.min_margin=0.0",
    "train.sft.max_steps=2",
    "train.dpo.max_steps=2",
    "train.sft.per_device_train_batch_size=2",
    "train.dpo.per_device_train_batch_size=2",
    "improve.rounds=2",
    "improve.beta=0.2",
    "improve.evaluate.per_category=4",
    "improve.evaluate.max_tokens=32",
    # Twelve prompts are moved far by chance; two rounds are what is to be seen here.
    "improve.stop={quality_ratio: 0.5, over_refusal: 0.5}",
)


@contextlib.contextmanager
def silent():
    yield Silent()


@pytest.fixture
def out(tmp_path):
    """Four models of half a gigabyte each; pytest would keep them of its last three runs."""
    yield tmp_path / "out"
    shutil.rmtree(tmp_path / "out")


def test_two_rounds_of_the_embedded_model(out, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    loaded = load_recipe(shipped_recipes()["quickstart"], OVERRIDES)
    result = improve(loaded, out, lambda line: None, silent)
    rounds = result.outcome.rounds
    assert [each.number for each in rounds] == [0, 1, 2]
    for each in rounds:
        assert {name: c.n for name, c in each.categories.items()} == {
            "harmful": 4,
            "benign": 4,
            "sounds-harmful": 4,
        }
        assert each.length is not None and each.length > 0
        assert each.diversity is not None and 0 < each.diversity <= 1
    assert all(each.win_base.n == 12 for each in rounds[1:])
    found = json.loads((result.folder / "report.json").read_text("utf-8"))
    assert found["best"]["round"] == result.outcome.best
    tags = [tag for each in found["rounds"] for tag in each["versions"].values()]
    assert len(set(tags)) == 4
    page = (result.folder / "report.html").read_text("utf-8")
    assert "Win rate against the base" in page
    if result.model is not None:
        assert (result.folder / "best" / "model.safetensors").is_file()
