"""The whole way over a Hub, each step a command of its own: published, read, trained from, changed,
published again and compared; with the clients as they come."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from on_hub import hub_environment

from charter.hub.embedded import User
from charter.hub.embedded.child import Running, launch

TOKEN = "hf_owner_0123456789"
REPO = "me/quickstart"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = launch(tmp_path_factory.mktemp("hub"), users=[User("me", TOKEN, "write")])
    yield running
    assert running.stop() == 0


@pytest.mark.model
def test_the_quickstart_goes_to_a_hub_and_comes_back(server: Running, tmp_path: Path) -> None:
    environment = hub_environment(server.address, TOKEN, tmp_path / "hf")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            list(arguments),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert TOKEN not in done.stdout + done.stderr
        return done.stdout

    charter = str(Path(sys.executable).parent / "charter")
    recipe = [
        *(charter, "run", "quickstart", "--limit", "3", "--no-train", "--json"),
        *("--set", "publish.to=hub", "--set", "sft.rounds=1"),
        *("--set", "models.generator.max_tokens=24", "--set", "models.critic.max_tokens=16"),
        *("--set", "preference.min_margin=0"),
    ]
    first = json.loads(run(*recipe).splitlines()[-1])
    assert first["version"] == "v0.1.0" and first["counts"]["preference"] > 0

    # Read by tag, by plain `datasets`, streaming and stopping early, and by polars.
    read = run(
        sys.executable,
        "-c",
        "import datasets, polars as pl\n"
        "from huggingface_hub import HfFileSystem\n"
        f"rows = datasets.load_dataset('{REPO}', 'preference', revision='v0.1.0')\n"
        f"some = datasets.load_dataset('{REPO}', 'sft', revision='v0.1.0', split='train',"
        " streaming=True)\n"
        "assert next(iter(some))['completion']\n"
        f"with HfFileSystem().open('datasets/{REPO}@v0.1.0/judgments/train.parquet') as f:\n"
        "    votes = pl.read_parquet(f)\n"
        "print(sum(map(len, rows.values())), len(votes))\n",
    )
    assert int(read.split()[0]) == first["counts"]["preference"]

    trained = json.loads(
        run(
            *(charter, "train", "sft", "--dataset", f"{REPO}@>=0.1,<1", "--out", "my-sft"),
            *("--set", "max_steps=1", "--set", "lora=true", "--push", "me/my-sft", "--json"),
        ).splitlines()[-1]
    )
    assert trained["dataset"] == f"{REPO}@v0.1.0" and len(trained["commit"]) == 40
    facts: dict[str, Any] = json.loads((tmp_path / "my-sft" / "charter.json").read_text())
    assert facts["dataset"]["commit"] == trained["commit"]
    card = run(
        sys.executable,
        "-c",
        "from huggingface_hub import hf_hub_download\n"
        "print(open(hf_hub_download('me/my-sft', 'README.md')).read())",
    )
    assert f"`{REPO}` at `v0.1.0`" in card and trained["commit"] in card and REPO in card

    second = json.loads(run(*recipe, "--set", "preference.min_margin=0.02").splitlines()[-1])
    assert second["version"] == "v0.1.1"
    assert second["counts"]["preference"] < first["counts"]["preference"]
    diff = json.loads(run(charter, "diff", REPO, "v0.1.0", "v0.1.1", "--json").splitlines()[-1])
    gone = first["counts"]["preference"] - second["counts"]["preference"]
    assert diff["preference"]["removed"] == gone and diff["sft"]["removed"] == 0
    listed = json.loads(run(charter, "versions", REPO, "--json").splitlines()[-1])
    assert [each["tag"] if isinstance(each, dict) else each for each in listed["versions"]] == [
        "v0.1.0",
        "v0.1.1",
    ]
    run(charter, "verify", f"{REPO}@v0.1.1")
