"""Several processes that train together: the shipped launch files, and two of them on CPUs."""

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from charter.trainers.processes import is_first, several

FILES = ("ddp.yaml", "deepspeed.yaml", "fsdp.yaml")


def test_alone_a_process_is_the_first(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert is_first() and not several()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert several() and not is_first()


@pytest.mark.parametrize("name", FILES)
def test_accelerate_reads_the_shipped_files(name):
    from accelerate.commands.config.config_args import load_config_from_file

    file = resources.files("charter.trainers").joinpath("accelerate", name)
    config = load_config_from_file(str(file))
    kinds = {"ddp": "MULTI_GPU", "deepspeed": "DEEPSPEED", "fsdp": "FSDP"}
    assert str(config.distributed_type).rpartition(".")[2] == kinds[name.removesuffix(".yaml")]
    assert config.num_processes == 2


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(version, tiny_model, place):
    """Two rows a process and step are four of one process; the sums round differently."""
    common = ["train", "sft", "--dataset", str(version.path), "--model", str(tiny_model)]
    common += ["--set", "max_steps=4", "--set", "learning_rate=5e-3", "--set", "logging_steps=1"]
    common += ["--set", "save_strategy=steps", "--set", "save_steps=2"]
    # Four rows: seven would leave one over, which is repeated to keep both processes busy.
    common += ["--set", "limit=4"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    charter = str(Path(sys.executable).with_name("charter"))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    found = {}
    for name, start, rows in (("one", [], 4), ("two", launcher, 2)):
        out = place / name
        command = [*start, charter, *common, "--out", str(out), "--json"]
        command += ["--set", f"per_device_train_batch_size={rows}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        assert len(lines) == 1, "one process speaks"
        found[name] = json.loads(lines[0])["metrics"]
        assert (out / "model.safetensors").is_file()
    for figure in ("first_loss", "last_loss", "mean_loss", "test_loss"):
        assert found["two"][figure] == pytest.approx(found["one"][figure], abs=1e-4), figure
    assert [p.name for p in sorted(place.iterdir())] == ["one", "store", "two"]
