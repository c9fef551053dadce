"""Prompts of a dataset on the Hub: read at one commit, or a fault in plain words."""

from __future__ import annotations

import pytest
import yaml

from charter.documents import read_document
from charter.errors import InputError
from charter.recipes import check_recipe, read_prompts


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub of one dataset, whose snapshot is a folder, and a recipe that names it."""
    import datasets
    from huggingface_hub import HfApi

    folder = tmp_path / "snapshot"
    folder.mkdir()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hf"))
    asked = []

    def info(self, repo, revision=None):
        asked.append((repo, revision))
        return type("Info", (), {"sha": "c0ffee"})

    def snapshot(repo, repo_type, revision):
        assert (repo_type, revision) == ("dataset", "c0ffee")
        return str(folder)

    monkeypatch.setattr(HfApi, "dataset_info", info)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)

    def read(**prompts):
        recipe = {
            "constitution": "concise",
            "prompts": {"dataset": "me/data", **prompts},
            "models": {"generator": {"llm": "local"}},
        }
        loaded, faults = check_recipe(
            read_document(tmp_path / "r.yaml", yaml.safe_dump(recipe)), tmp_path / "r.yaml"
        )
        assert loaded is not None, faults
        return read_prompts(loaded)

    read.folder, read.asked = folder, asked
    return read


def test_a_dataset_of_the_hub_is_read_at_one_commit(hub):
    (hub.folder / "train.jsonl").write_text(
        '{"id": 1, "prompt": "a"}\n{"id": 2, "prompt": ""}\n{"id": 1, "prompt": "b"}\n'
    )
    found = hub(revision="v1.0")
    assert hub.asked == [("me/data", "v1.0")]
    assert [(p.id, p.source) for p in found.prompts] == [("1", "me/data")]
    assert [r.reason for r in found.rejects] == ["NO_TEXT", "DUPLICATE_ID"]
    assert found.rejects[0].detail.startswith("me/data[1]: ")


@pytest.mark.parametrize(
    ("name", "text", "prompts"),
    [
        ("train.jsonl", '{"prompt": "a"}\n', {"split": "tset"}),
        ("train.jsonl", '{"prompt": "a"}\n', {"config": "other"}),
        ("train.jsonl", '{"prompt": "a"}\n{"prompt": \n', {}),
        ("train.jsonl", "", {}),
        ("README.md", "no data", {}),
        ("train.parquet", "no parquet", {}),
    ],
    ids=str,
)
def test_a_dataset_that_does_not_load_is_a_fault(hub, name, text, prompts):
    (hub.folder / name).write_text(text)
    with pytest.raises(InputError) as caught:
        hub(**prompts)
    (fault,) = caught.value.faults
    assert fault.place.startswith("me/data") and fault.fix and "\n" not in str(fault)


def test_of_several_configs_that_none_was_chosen_of_the_names_are_told(hub):
    card = "---\nconfigs:\n- {config_name: easy, data_files: e.jsonl}\n"
    card += "- {config_name: hard, data_files: h.jsonl}\n---\n"
    (hub.folder / "README.md").write_text(card)
    for name in "eh":
        (hub.folder / f"{name}.jsonl").write_text(f'{{"prompt": "{name}"}}\n')
    with pytest.raises(InputError, match=r"missing\. .*'easy', 'hard'\]\); check dataset, config"):
        hub()
    assert [p.messages[0]["content"] for p in hub(config="hard").prompts] == ["h"]


def test_a_hub_that_does_not_answer_is_a_fault(hub, monkeypatch):
    from huggingface_hub import HfApi

    def down(self, repo, revision=None):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(HfApi, "dataset_info", down)
    with pytest.raises(InputError, match="HF_ENDPOINT"):
        hub()
