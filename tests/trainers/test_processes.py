"""Several processes that train together: the shipped launch files, and two of them on CPUs."""

import json
import os
import subprocess
import sys
from importlib import resources

import pytest

from charter.errors import InputError
from charter.trainers.processes import check_deepspeed, is_first, several

AT_ONCE = """
from charter.trainers import checkpoints
checkpoints._AFTER = checkpoints._TIMES = 0.0
from charter.cli import main
main()
"""
FILES = ("ddp.yaml", "deepspeed.yaml", "fsdp.yaml")


def test_alone_a_process_is_the_first(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert is_first() and not several()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert several() and not is_first()


@pytest.mark.parametrize(("place_here", "code"), [("0", 2), ("1", 0)])
def test_a_deepspeed_that_is_missing_is_told_once_and_before_all(
    version, place, monkeypatch, capsys, place_here, code
):
    """The model isn't even looked for; the others leave it to the first one to fail."""
    from charter.cli.main import main

    monkeypatch.setattr("charter.trainers.processes.find_spec", lambda name: None)
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("RANK", place_here)
    monkeypatch.setenv("LOCAL_RANK", place_here)
    given = ["--dataset", str(version.path), "--model", "./missing", "--out", str(place / "out")]
    with pytest.raises(SystemExit) as ended:
        main(["train", "sft", *given])
    assert ended.value.code == code
    said = "deepspeed: is not installed; pip install deepspeed, or train by DDP or FSDP\n"
    assert capsys.readouterr().err == (said if code else "")


def test_deepspeed_is_wanted_by_a_field_too(monkeypatch):
    monkeypatch.setattr("charter.trainers.processes.find_spec", lambda name: None)
    monkeypatch.delenv("ACCELERATE_USE_DEEPSPEED", raising=False)
    check_deepspeed({"deepspeed": None})
    with pytest.raises(InputError, match="deepspeed: is not installed"):
        check_deepspeed({"deepspeed": "zero.json"})


@pytest.mark.parametrize("name", FILES)
def test_accelerate_reads_the_shipped_files(name):
    from accelerate.commands.config.config_args import load_config_from_file

    file = resources.files("charter.trainers").joinpath("accelerate", name)
    config = load_config_from_file(str(file))
    kinds = {"ddp": "MULTI_GPU", "deepspeed": "DEEPSPEED", "fsdp": "FSDP"}
    assert str(config.distributed_type).rpartition(".")[2] == kinds[name.removesuffix(".yaml")]
    assert config.num_processes == 2


def curve(folder):
    """The loss by step, as TensorBoard reads it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {event.step: event.value for event in found.Scalars("train/loss")}


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(version, tiny_model, place):
    """Two rows a process and step are four of one process; the sums round differently.

    A checkpoint is due by time after every step, so that both must agree on it each time.
    """
    common = ["train", "sft", "--dataset", str(version.path), "--model", str(tiny_model)]
    common += ["--set", "max_steps=4", "--set", "learning_rate=5e-3", "--set", "logging_steps=1"]
    # Four rows: seven would leave one over, which is repeated to keep both processes busy.
    common += ["--set", "limit=4"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    charter = place / "at_once.py"
    charter.write_text(AT_ONCE)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    found = {}
    for name, start, rows in (("one", [], 4), ("two", launcher, 2)):
        out = place / name
        command = [*(start or [sys.executable]), str(charter), *common, "--out", str(out), "--json"]
        command += ["--set", f"per_device_train_batch_size={rows}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        assert len(lines) == 1, "one process speaks"
        found[name] = json.loads(lines[0])["metrics"]
        assert (out / "model.safetensors").is_file()
    assert found["two"]["test_loss"] == pytest.approx(found["one"]["test_loss"], abs=1e-4)
    one, two = (curve(place / name / "runs") for name in ("one", "two"))
    assert list(one) == list(two) == [1, 2, 3, 4]
    assert two == pytest.approx(one, abs=1e-4)
    assert abs(one[1] - one[4]) > 0.1, "a curve that falls could differ"
    assert [p.name for p in sorted(place.iterdir())] == ["at_once.py", "one", "store", "two"]
