"""The unmodified clients in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from charter.hub.embedded import Running

from .conftest import client_env, run_client

PUSH = """
import polars as pl
from datasets import Dataset, DatasetDict, load_dataset
from huggingface_hub import HfApi, HfFileSystem

name = "ada/pushed"
def rows(*values):
    return Dataset.from_dict({"prompt": [str(value) for value in values], "n": list(values)})

api = HfApi()
for version, values in (("v1.0.0", (1, 2, 3)), ("v1.1.0", (1, 2, 3, 4))):
    splits = DatasetDict({"train": rows(*values), "test": rows(9)})
    splits.push_to_hub(name, "preference", private=True)
    rows(*values, 5).push_to_hub(name, "sft", split="train")
    api.create_tag(name, tag=version, tag_message=version, repo_type="dataset")
for version, count in (("v1.0.0", 3), ("v1.1.0", 4)):
    found = load_dataset(name, "preference", revision=version, download_mode="force_redownload")
    assert (found["train"].num_rows, found["test"].num_rows) == (count, 1), (version, found)
    assert load_dataset(name, "sft", revision=version, split="train").num_rows >= count
stream = load_dataset(name, "preference", revision="v1.1.0", split="train", streaming=True)
assert [row["n"] for row in stream.take(2)] == [1, 2]
fs = HfFileSystem()
[path] = fs.glob(f"datasets/{name}@v1.1.0/preference/train-*.parquet")
with fs.open(path) as file:
    assert pl.read_parquet(file)["n"].to_list() == [1, 2, 3, 4]
assert pl.read_parquet(fs.read_bytes(path)).height == 4
rows(7).push_to_hub(name, "sft", split="train", create_pr=True)
assert load_dataset(name, "sft", revision="refs/pr/1", split="train")["n"] == [7]
try:
    HfApi(token=False).dataset_info(name)
except Exception as error:
    print(type(error).__name__)
"""


def test_datasets_and_polars(hub: Running, tmp_path: Path) -> None:
    said = run_client(PUSH, hub.address, tmp_path, HF_HUB_DISABLE_XET="1")
    assert said.split() == ["RepositoryNotFoundError"]


MODEL = """
from transformers import AutoConfig, BertConfig
BertConfig(hidden_size=8, num_attention_heads=2, vocab_size=11).push_to_hub("ada/tiny")
assert AutoConfig.from_pretrained("ada/tiny").vocab_size == 11
from huggingface_hub import ModelCard, ModelCardData
data = ModelCardData(library_name="trl", datasets=["ada/pushed"], tags=["dpo"], license="mit")
ModelCard(f"---\\n{data}\\n---\\n# Tiny\\n").push_to_hub("ada/tiny")
from huggingface_hub import HfApi
info = HfApi().model_info("ada/tiny")
assert "dataset:ada/pushed" in info.tags and info.library_name == "trl", info
"""


def test_a_model_with_its_card(hub: Running, tmp_path: Path) -> None:
    run_client(MODEL, hub.address, tmp_path, HF_HUB_DISABLE_XET="1")


def test_the_command_line(hub: Running, tmp_path: Path) -> None:
    def hf(*given: str) -> str:
        command = [str(Path(sys.executable).with_name("hf")), *given]
        env = client_env(hub.address, tmp_path / "home", HF_HUB_DISABLE_XET="1")
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    if not Path(sys.executable).with_name("hf").exists():
        pytest.skip("the hf command is not beside this Python")
    folder = tmp_path / "up"
    folder.mkdir()
    (folder / "a.txt").write_text("text")
    (folder / "b.bin").write_bytes(b"\0" * 1000)
    assert "ada" in hf("auth", "whoami")
    hf("repos", "create", "ada/lined", "--type", "dataset")
    assert "ada/lined" in hf("repos", "ls", "--format", "json")
    hf("upload", "ada/lined", str(folder), ".", "--type", "dataset")
    hf("download", "ada/lined", "--type", "dataset", "--local-dir", str(tmp_path / "down"))
    assert (tmp_path / "down" / "b.bin").read_bytes() == b"\0" * 1000
