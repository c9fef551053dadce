"""The whole loop on the embedded model, through the command line; small enough to be quick."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHARTER = [sys.executable, "-c", "from charter.cli import main; main()"]
SHARED = Path(os.environ.get("CHARTER_SHARED_DATA", ROOT.parent / "shared" / "data"))

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("embedded")]

SMALL = [
    *("--limit", "4", "--set", "models.generator.max_tokens=8"),
    *("--set", "models.critic.max_tokens=8", "--set", "sft.rounds=1"),
    *("--set", "preference.candidates=2", "--set", "preference.min_margin=0"),
]


def run(arguments, cache, timeout=600):
    cache.mkdir(parents=True, exist_ok=True)
    models = Path(os.environ["CHARTER_CACHE"]) / "models"
    if not (cache / "models").exists():
        (cache / "models").symlink_to(models.resolve())
    done = subprocess.run(
        [*CHARTER, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=timeout,
        env={**os.environ, "CHARTER_CACHE": str(cache)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def contents(folder):
    """The bytes of what `byte for byte` covers."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.suffix in (".parquet", ".yaml")
    }


@pytest.mark.slow  # of the fast ones tests/contracts/test_hub_journey.py goes most of this way
def test_the_loop_ends_with_datasets_and_models_that_generate(tmp_path):
    recipe = "recipes/quickstart.yaml"
    steps = [
        *("--set", "train.sft.max_steps=1", "--set", "train.dpo.max_steps=1"),
        *("--set", "evaluate.refusal.per_category=2", "--set", "evaluate.refusal.max_tokens=8"),
    ]
    account = run(
        ["run", recipe, *SMALL, *steps, "--out", tmp_path / "out", "--json"], tmp_path / "cache"
    )
    assert account["counts"]["sft"] == 4
    assert set(account["refusal"]) == {"before", "sft", "dpo"}
    for figures in account["refusal"].values():
        assert figures["harmful"]["refused"]["n"] <= 2
    for folder in account["models"].values():
        lineage = json.loads((Path(folder) / "charter.json").read_text())
        assert "v0.1.0" in json.dumps(lineage)
    # A trained checkpoint is served like the embedded one.
    again = run(
        [
            *("preview", recipe, "-n", "1", "--json"),
            *("--set", f"models.generator.model={account['models']['dpo']}"),
            *("--set", "models.generator.max_tokens=8", "--set", "preference=false"),
        ],
        tmp_path / "cache",
    )
    assert again["rows"][0]["initial_response"] and again["cached_calls"] == 0


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bytes_as_another_from_an_empty_cache(tmp_path):
    command = ["run", "recipes/quickstart.yaml", *SMALL, "--no-train", "--json", "--out"]
    whole = run([*command, tmp_path / "one"], tmp_path / "cache-1")
    cache = tmp_path / "cache-2"
    cache.mkdir()
    (cache / "models").symlink_to((Path(os.environ["CHARTER_CACHE"]) / "models").resolve())
    process = subprocess.Popen(
        [*CHARTER, *command, str(tmp_path / "two")],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "CHARTER_CACHE": str(cache)},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("critique-1: 4 of 4"):
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    process.stderr.close()
    resumed = run([*command, tmp_path / "two"], cache)
    assert resumed["cached_calls"] >= 8
    assert contents(resumed["path"]) == contents(whole["path"])


@pytest.mark.slow
def test_real_conversations_end_with_both_datasets_and_a_model(tmp_path):
    data = SHARED / "hh-rlhf" / "harmless.jsonl.gz"
    if not data.is_file():
        pytest.skip(f"no {data}: set CHARTER_SHARED_DATA to the folder that has it")
    account = run(
        [
            *("run", "recipes/quickstart.yaml", "--limit", "20", "--json"),
            *("--set", f"prompts.path={data}", "--out", tmp_path / "out"),
        ],
        tmp_path / "cache",
        timeout=3000,
    )
    assert account["counts"]["sft"] and account["counts"]["preference"]
    assert set(account["models"]) == {"sft", "dpo"}


@pytest.mark.slow
def test_the_quickstart_as_it_is(tmp_path):
    account = run(
        ["run", "recipes/quickstart.yaml", "--out", tmp_path / "out", "--json"],
        tmp_path / "cache",
        timeout=3000,
    )
    assert account["counts"]["sft"] == 24
    import datasets

    rows = datasets.load_dataset(
        account["path"], "preference", split="train", cache_dir=str(tmp_path / "hf")
    )
    assert {"prompt", "chosen", "rejected"} <= set(rows.column_names)
