"""Weights in shards over two processes (FSDP 2), by the launch file that is shipped; on CPUs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.slow

# accelerate shards weights for GPUs alone, and torch for CPUs too: the processes pass for GPUs'.
SHARDED = """
from accelerate.state import DistributedType, PartialState

begin = PartialState.__init__

def begin_sharded(self, *args, **kw):
    begin(self, *args, **kw)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU

PartialState.__init__ = begin_sharded

from charter.trainers import checkpoints, save

checkpoints._AFTER = checkpoints._TIMES = 0.0
whole = save._save_shards

def save_shards(trainer, *given):
    from torch.distributed.tensor import DTensor

    # The root's own are whole after an evaluation; each layer's are not.
    layers = [each for name, each in trainer.model.named_parameters() if ".layers." in name]
    assert layers and all(isinstance(each, DTensor) for each in layers)
    whole(trainer, *given)

save._save_shards = save_shards

from charter.cli import main

main()
"""


def environment() -> dict[str, str]:
    """What `accelerate launch` sets by the shipped file, but for bf16, which would hide faults."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    file = resources.files("charter.trainers").joinpath("accelerate", "fsdp.yaml")
    given = launch_command_parser().parse_args(["--config_file", str(file), "charter"])
    found = prepare_multi_gpu_env(_validate_launch_command(given)[0])
    assert found["ACCELERATE_USE_FSDP"] == "true" and found["FSDP_VERSION"] == "2"
    plain = {"ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_USE_CPU": "true"}
    return {**found, **plain, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def command(version: Any, tiny_model: Path, place: Path) -> Any:
    """A training of the tiny model as a command, by so many processes."""
    script = place / "sharded.py"
    script.write_text(SHARDED)

    def made(out: str, processes: int, *more: str) -> list[str]:
        start = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
        words = [*start, str(script)] if processes > 1 else [sys.executable, "-m", "charter.cli"]
        words += ["train", "sft", "--dataset", str(version.path), "--model", str(tiny_model)]
        words += ["--out", str(place / out), "--json", *more]
        fields = {
            "max_steps": 4,
            "limit": 4,
            "learning_rate": 5e-3,
            "logging_steps": 1,
            "use_cpu": True,
            "per_device_train_batch_size": 4 // processes,
        }
        return words + [w for name, value in fields.items() for w in ("--set", f"{name}={value}")]

    return made


def trained(command: list[str]) -> dict[str, Any]:
    given = environment() if "torch.distributed.run" in command else None
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == 1, "one process speaks"
    metrics: dict[str, Any] = json.loads(lines[0])["metrics"]
    return metrics


def apart(one: Path, other: Path) -> float:
    """How far two models are from one another, at the weight that differs most."""
    from safetensors.torch import load_file

    here, there = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert here.keys() == there.keys()
    return max(float((here[name] - there[name]).abs().max()) for name in here)


@pytest.mark.parametrize("lora", ["false", "true"])
def test_what_is_gathered_is_the_model_of_one_process(
    command: Any, place: Path, tiny_model: Path, lora: str
) -> None:
    one = trained(command("one", 1, "--set", f"lora={lora}"))
    two = trained(command("two", 2, "--set", f"lora={lora}"))
    assert one["first_loss"] - one["last_loss"] > 0.05
    for name in ("first_loss", "last_loss", "test_loss"):
        assert two[name] == pytest.approx(one[name], abs=1e-4), name
    assert apart(place / "two", place / "one") < 1e-4 < apart(place / "two", tiny_model)
    assert not (place / "gathered").exists()
    files = {each.name for each in (place / "one").iterdir()}
    assert {each.name for each in (place / "two").iterdir()} == files


def test_killed_for_good_it_ends_where_an_uninterrupted_one_does(command: Any, place: Path) -> None:
    trained(command("whole", 2))
    with subprocess.Popen(
        command("cut", 2), env=environment(), stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if "2 of 4" in line:
                # torchrun gives each of them a session of its own.
                for each in [*psutil.Process(child.pid).children(recursive=True), child]:
                    each.kill()
                break
    left = place / ".cut.training" / "checkpoints"
    assert not (place / "cut").exists() and list(left.glob("checkpoint-*"))
    assert trained([*command("cut", 2), "--resume"])["steps"] == 4
    assert apart(place / "cut", place / "whole") == 0.0
