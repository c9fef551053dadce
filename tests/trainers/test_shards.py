"""Weights in shards over two processes, by the launch files that are shipped; on CPUs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources, util
from pathlib import Path
from typing import Any

import psutil
import pytest
from versions import version_of

WITHOUT = pytest.mark.skipif(util.find_spec("deepspeed") is None, reason="no deepspeed here")
KINDS = ("fsdp", pytest.param("deepspeed", marks=WITHOUT))
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("kind", KINDS)]

# accelerate shards weights for GPUs alone, and torch for CPUs too: the processes pass for GPUs'.
AS_GPUS = """
from accelerate.state import DistributedType, PartialState

begin = PartialState.__init__

def begin_sharded(self, *args, **kw):
    begin(self, *args, **kw)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU

PartialState.__init__ = begin_sharded
"""
SHARDED = """
from charter.trainers import checkpoints, save

checkpoints._AFTER = checkpoints._TIMES = 0.0
whole = save._save_shards

def is_shard(weight):
    from torch.distributed.tensor import DTensor

    return isinstance(weight, DTensor) or 0 < weight.ds_tensor.numel() < weight.ds_numel

def save_shards(trainer, *given):
    # The root's own are whole after an evaluation; each layer's are not.
    layers = [each for name, each in trainer.model.named_parameters() if ".layers." in name]
    assert layers and all(map(is_shard, layers))
    whole(trainer, *given)

save._save_shards = save_shards

from charter.cli import main

main()
"""


def environment(kind: str) -> dict[str, str]:
    """What `accelerate launch` sets by the shipped file, but for bf16, which would hide faults."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

    file = resources.files("charter.trainers").joinpath("accelerate", f"{kind}.yaml")
    given = launch_command_parser().parse_args(["--config_file", str(file), "charter"])
    read = _validate_launch_command(given)[0]
    if kind == "fsdp":
        found = prepare_multi_gpu_env(read) | {"ACCELERATE_USE_CPU": "true"}
        assert found["ACCELERATE_USE_FSDP"] == "true" and found["FSDP_VERSION"] == "2"
    else:
        read.deepspeed_fields_from_accelerate_config = ""
        found = prepare_deepspeed_cmd_env(read)[1] | {"DS_ACCELERATOR": "cpu"}
        assert found["ACCELERATE_USE_DEEPSPEED"] == "true"
        assert found["ACCELERATE_DEEPSPEED_ZERO_STAGE"] == "3"
    return {**found, "ACCELERATE_MIXED_PRECISION": "no", "OMP_NUM_THREADS": "1"}


def words(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Texts that the tiny model has words for."""
    for i, row in enumerate(rows["preference"]):
        row["chosen"][-1]["content"] = f"you can mend a bike with tape {('yes', 'kind')[i % 2]}"
        row["rejected"][-1]["content"] = f"no i can not help you {('rude', 'please')[i % 2]}"


@pytest.fixture
def command(version: Any, tiny_model: Path, place: Path, kind: str) -> Any:
    """A training of the tiny model as a command, by so many processes."""
    script = place / "sharded.py"
    script.write_text((AS_GPUS if kind == "fsdp" else "") + SHARDED)
    pairs = version_of(place / "pairs", change=words)

    def made(out: str, processes: int, *more: str, method: str = "sft") -> list[str]:
        start = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
        said = [*start, str(script)] if processes > 1 else [sys.executable, "-m", "charter.cli"]
        rows = version if method == "sft" else pairs
        said += ["train", method, "--dataset", str(rows.path), "--model", str(tiny_model)]
        said += ["--out", str(place / out), "--json", *more]
        fields = {
            "max_steps": 4,
            "limit": 4,
            "learning_rate": 5e-3,
            "logging_steps": 1,
            "use_cpu": True,
            "per_device_train_batch_size": 4 // processes,
        }
        return said + [w for name, value in fields.items() for w in ("--set", f"{name}={value}")]

    return made


def trained(command: list[str], kind: str) -> dict[str, Any]:
    given = environment(kind) if "torch.distributed.run" in command else None
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
    command: Any, kind: str, place: Path, tiny_model: Path, lora: str
) -> None:
    one = trained(command("one", 1, "--set", f"lora={lora}"), kind)
    two = trained(command("two", 2, "--set", f"lora={lora}"), kind)
    assert one["first_loss"] - one["last_loss"] > 0.05
    for name in ("first_loss", "last_loss", "test_loss"):
        assert two[name] == pytest.approx(one[name], abs=1e-4), name
    assert apart(place / "two", place / "one") < 1e-4 < apart(place / "two", tiny_model)
    assert not (place / "gathered").exists()
    files = {each.name for each in (place / "one").iterdir()}
    assert {each.name for each in (place / "two").iterdir()} == files


@pytest.mark.parametrize("method", ["dpo", "reward"])
def test_pairs_train_the_model_of_one_process(
    command: Any, kind: str, place: Path, method: str
) -> None:
    one, two = (trained(command(str(n), n, method=method), kind) for n in (1, 2))
    assert one["first_loss"] - one["last_loss"] > 0.05
    for name in ("first_loss", "last_loss"):
        assert two[name] == pytest.approx(one[name], abs=1e-4), name
    assert apart(place / "2", place / "1") < 1e-3


def test_killed_for_good_it_ends_where_an_uninterrupted_one_does(
    command: Any, kind: str, place: Path
) -> None:
    trained(command("whole", 2), kind)
    with subprocess.Popen(
        command("cut", 2), env=environment(kind), stderr=subprocess.PIPE, text=True
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
    assert trained([*command("cut", 2), "--resume"], kind)["steps"] == 4
    assert apart(place / "cut", place / "whole") == 0.0
