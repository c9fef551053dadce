"""A version and a model small enough to train in a second or two."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import polars as pl
import pytest
from tiny_llama import tiny_llama

from charter.hub import Draft, open_version, publish_local
from charter.rows import digest

WORDS = [
    "how",
    "do",
    "i",
    "mend",
    "a",
    "bike",
    "with",
    "tape",
    "you",
    "can",
    "not",
    "help",
    "me",
    "please",
    "say",
    "yes",
    "no",
    "kind",
    "rude",
]


@dataclass(frozen=True)
class FakeVersion:
    """What trainers use of `charter.hub.Version`; it says which splits were read."""

    path: Path
    repo: str
    tag: str
    manifest: Any
    data: dict[str, dict[str, list[dict[str, Any]]]]
    read: list[tuple[str, str]]

    def splits(self, config: str) -> tuple[str, ...]:
        return tuple(self.data.get(config, {}))

    def rows(self, config: str, split: str) -> pl.DataFrame:
        return pl.DataFrame(self.data[config][split])

    def dataset(self, config: str, split: str) -> datasets.Dataset:
        self.read.append((config, split))
        return datasets.Dataset.from_list(self.data[config][split])


def _message(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def _sentence(key: str, length: int) -> str:
    value = int(hashlib.sha256(key.encode()).hexdigest(), 16)
    return " ".join(WORDS[(value >> (5 * i)) % len(WORDS)] for i in range(length))


def _sft_row(i: int, words: int = 6) -> dict[str, Any]:
    return {
        "id": f"p{i}:sft",
        "prompt": _message("user", _sentence(f"prompt {i}", 5)),
        "completion": _message("assistant", _sentence(f"answer {i}", words)),
        "initial_response": "x",
        "prompt_id": f"p{i}",
        "source": "shipped",
    }


def _preference_row(i: int) -> dict[str, Any]:
    return {
        "id": f"p{i}:a-b",
        "prompt": _message("user", _sentence(f"prompt {i}", 5)),
        "chosen": _message("assistant", "you can " + _sentence(f"good {i}", 4)),
        "rejected": _message("assistant", "no " + _sentence(f"bad {i}", 6)),
        "p_chosen": 0.7,
        "prompt_id": f"p{i}",
    }


@pytest.fixture
def sft_row():
    return _sft_row


@pytest.fixture
def preference_row():
    return _preference_row


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with nothing in it but what a test and a training put there."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def make_version(place):
    def make(
        data: dict[str, dict[str, list[dict[str, Any]]]] | None = None, **models: Any
    ) -> FakeVersion:
        folder = place / "version"
        folder.mkdir(exist_ok=True)
        (folder / "charter.json").write_text(json.dumps({"models": models}))
        manifest = SimpleNamespace(
            reviews=None,
            models=models or {"generator": {"llm": "openai", "model": "gpt"}},
            files={"sft/train.parquet": "5f" * 32, "preference/train.parquet": "9e" * 32},
            seeds={"recipe": 11},
            recipe=SimpleNamespace(fingerprint="re" * 32),
            constitution=SimpleNamespace(fingerprint="co" * 32),
        )
        if data is None:
            data = {
                "sft": {
                    "train": [_sft_row(i) for i in range(8)],
                    "test": [_sft_row(i) for i in range(8, 11)],
                },
                "preference": {
                    "train": [_preference_row(i) for i in range(8)],
                    "test": [_preference_row(i) for i in range(8, 11)],
                },
            }
        return FakeVersion(folder, "me/tiny", "v0.1.0", manifest, data, [])

    return make


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Threads wait for each other longer than they compute on matrices of this size."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A Llama of two small layers with random weights, and a word tokenizer."""
    return tiny_llama(tmp_path_factory.mktemp("model") / "tiny-llama", ["\n", *WORDS])


@pytest.fixture
def model(tiny_model, place) -> Path:
    """A copy of the tiny model that a test may spoil."""
    return shutil.copytree(tiny_model, place / "model")


CONSTITUTION = {
    "name": "tiny",
    "version": "1.0.0",
    "licence": "CC-BY-4.0",
    "fingerprint": digest("constitution"),
}


@pytest.fixture
def version(place, tmp_path, monkeypatch):
    """A version as the hub publishes and opens it."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    rows = [{**_sft_row(i), "revisions": []} for i in range(8)]
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
