"""Training from a version as the hub publishes and opens it, not from a stand-in."""

from pathlib import Path

import pytest

from charter.hub import Draft, open_version, publish_local
from charter.rows import digest
from charter.trainers import read_settings
from charter.trainers.train import train

CONSTITUTION = {
    "name": "tiny",
    "version": "1.0.0",
    "licence": "CC-BY-4.0",
    "fingerprint": digest("constitution"),
}


@pytest.fixture
def version(place, sft_row, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    rows = [{**sft_row(i), "revisions": []} for i in range(8)]
    draft = Draft(
        repo="me/tiny",
        rows={"sft": rows},
        splits={f"p{i}": "test" if i == 3 else "train" for i in range(8)},
        ledgers={"records": 8, "prompts": 8, "pairs_formed": 0},
        lineage={
            "constitution": CONSTITUTION,
            "recipe": {"name": "tiny", "fingerprint": digest("recipe")},
            "prompt_set": {"path": "p.jsonl", "fingerprint": digest("prompts"), "records": 8},
            "models": {"generator": {"llm": "local", "model": None}},
            "seeds": {"recipe": 7},
            "packages": {},
        },
        constitution_yaml="name: tiny\n",
        recipe_yaml="name: tiny\npreference: false\n",
    )
    return open_version(str(publish_local(draft, place / "store").path))


def test_a_published_version_is_trained_on(version, tiny_model, place, tmp_path, capfd):
    values = {"max_steps": 2, "per_device_train_batch_size": 4}
    result = train(
        read_settings("sft", version, place / "out", model=str(tiny_model), values=values)
    )
    assert capfd.readouterr() == ("", "")
    assert (result.metrics["rows"], result.metrics["test_rows"]) == (7, 1)
    card = (result.model / "README.md").read_text()
    assert f"The config `sft` of `me/tiny` at `{version.tag}`: 7 rows of `train`" in card
    assert digest("recipe") in card
    # What TRL tokenised is not left in the cache of `datasets` beside the rows.
    arrows = [p.name for p in Path(tmp_path / "datasets").rglob("*.arrow")]
    assert arrows and not any(name.startswith("cache-") for name in arrows)
