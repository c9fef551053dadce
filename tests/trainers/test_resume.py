"""A training that was killed: what it goes on from, where it ends, and what it refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from versions import version_of

from charter.errors import Failure, InputError, Interrupted
from charter.trainers import read_settings
from charter.trainers.checkpoints import CheckpointCallback, check_finite
from charter.trainers.train import train

STEPS = 160
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
FAST = {"max_steps": 6, "per_device_train_batch_size": 4, "learning_rate": 5e-3}
SAVED = {**FAST, "save_strategy": "steps", "save_steps": 2}


def read(version, model, out, method="sft", resume=False, **values):
    return read_settings(
        method, version, out, model=str(model), values={**SAVED, **values}, resume=resume
    )


def same(a, b):
    a, b = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


def interrupted(settings, at=5):
    """The same, stopped after a step."""

    def progress(done, total, logs):
        if done == at and not logs:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        train(settings, progress)


def killed_at(command, checkpoints: Path, step: int) -> int:
    """Start a command, kill it once a checkpoint of that step or a later one is whole."""
    with subprocess.Popen(
        command, env=ONE_THREAD, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        until = time.monotonic() + 120
        while True:
            assert process.poll() is None, process.stdout.read().decode()
            assert time.monotonic() < until
            states = checkpoints.glob("checkpoint-*/trainer_state.json")
            if any(int(state.parent.name.split("-")[1]) >= step for state in states):
                break
            time.sleep(0.002)
        process.kill()
    return process.returncode


@pytest.mark.parametrize("method", ["dpo", pytest.param("sft", marks=pytest.mark.slow)])
def test_killed_for_good_it_ends_where_an_uninterrupted_one_does(tiny_model, place, method):
    """SIGKILL of the command itself; soft labels are on for DPO.

    The weights are equal to the last bit, with as many threads in both: sums round by them.
    """
    version = version_of(place / "store", 8)
    common = ["--model", str(tiny_model), "--dataset", str(version.path)]
    values = {"max_steps": STEPS, "save_strategy": "steps", "save_steps": 20, "logging_steps": 10}
    values |= {"per_device_train_batch_size": 2, "learning_rate": 1e-3}
    for name, value in values.items():
        common += ["--set", f"{name}={value}"]
    charter = str(Path(sys.executable).with_name("charter"))
    command = [charter, "train", method, *common, "--json", "--out"]

    out, work = place / "cut", place / ".cut.training"
    assert killed_at([*command, str(out)], work / "checkpoints", 40) == -signal.SIGKILL
    assert not out.exists() and work.exists()
    # As if the kill had come in the middle of a later one.
    newest = max(work.glob("checkpoints/*/trainer_state.json"), key=lambda p: p.stat().st_mtime)
    half = shutil.copytree(newest.parent, work / "checkpoints" / "checkpoint-150")
    state = half / "trainer_state.json"
    state.write_text(state.read_text()[:100])
    (half / "model.safetensors").write_bytes(b"half")

    again = [*command, str(out), "--resume"]
    ran = subprocess.run(
        again, env=ONE_THREAD, capture_output=True, text=True, timeout=200, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "went on from the checkpoint of step " in ran.stderr
    at = int(ran.stderr.split("checkpoint of step ")[1].split()[0])
    assert 40 <= at < STEPS and at % 20 == 0 and at != 150
    assert f"report: {out / 'report.html'}" in ran.stderr
    assert "taken up again" in (out / "report.html").read_text()
    found = json.loads(ran.stdout.splitlines()[-1])
    assert {"model", "dataset", "metrics"} <= found.keys()
    assert not work.exists()

    straight = train(
        read_settings(method, version, place / "straight", model=str(tiny_model), values=values)
    )
    assert same(straight.model, out)
    timed = {"seconds", "train_seconds"}
    kept = {k: v for k, v in straight.metrics.items() if k not in timed}
    assert {k: v for k, v in found["metrics"].items() if k not in timed} == kept


def test_what_the_checkpoint_is_of_must_be_what_is_asked_for(
    make_version, tiny_model, place, preference_row
):
    version = make_version()
    interrupted(read(version, tiny_model, place / "out"))
    other = make_version()
    object.__setattr__(other, "tag", "v0.2.0")
    for settings, faults in (
        (
            read(version, tiny_model, place / "out", resume=True, learning_rate=1e-4),
            ["--set learning_rate: its checkpoint is of 0.005, and this says 0.0001; give the"],
        ),
        (
            read(other, tiny_model, place / "out", resume=True, limit=5),
            [
                'dataset: its checkpoint is of "me/tiny@v0.1.0 (manifest ',
                'and this says "me/tiny@v0.2.0 (manifest ',
                "limit: its checkpoint is of null, and this says 5",
            ],
        ),
        (
            read(version, tiny_model, place / "out", "dpo", resume=True),
            ['method: its checkpoint is of "sft", and this says "dpo"', "labels: "],
        ),
    ):
        with pytest.raises(InputError) as error:
            train(settings)
        assert all(fault in str(error.value) for fault in faults), str(error.value)
    steps = []
    done = train(
        read(version, tiny_model, place / "out", resume=True, track="none"),
        lambda at, total, logs: steps.append(at),
    )
    assert steps[0] == 4 and done.resumed_at == 4, "nothing of it was lost by the refusals"
    with pytest.raises(InputError, match="holds a whole model, nothing is left to resume"):
        train(read(version, tiny_model, place / "out", resume=True))


def test_wrong_input_of_a_later_command_loses_no_checkpoint(
    make_version, tiny_model, place, monkeypatch
):
    settings = read(make_version(), tiny_model, place / "out")
    interrupted(settings)

    def refuse(*_):
        raise InputError("no")

    with monkeypatch.context() as patched:
        patched.setattr("charter.trainers.train.fitted", refuse)
        with pytest.raises(InputError):
            train(settings)
    assert train(settings).resumed_at == 4


def test_nothing_to_resume_begins_at_the_first_step(make_version, tiny_model, place):
    done = train(read(make_version(), tiny_model, place / "out", resume=True))
    assert (done.resumed_at, done.metrics["steps"]) == (0, 6)


def test_ended_after_its_last_step_only_the_model_is_written(
    make_version, tiny_model, place, monkeypatch
):
    settings = read(make_version(), tiny_model, place / "out", save_steps=3)

    def end(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("charter.trainers.train.save_model", end)
        with pytest.raises(Interrupted):
            train(settings)
    done = train(settings)
    assert (done.resumed_at, done.metrics["steps"]) == (6, 6)
    straight = train(read(make_version(), tiny_model, place / "straight", save_steps=3))
    assert same(done.model, straight.model) and done.history == straight.history


def test_tensorboard_has_each_step_once_after_a_resumption(make_version, tiny_model, place):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = read(make_version(), tiny_model, place / "out")
    interrupted(settings)
    done = train(settings)
    found = EventAccumulator(str(done.model / "runs"))
    found.Reload()
    assert [event.step for event in found.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]


def test_the_figures_of_all_steps_outlive_a_kill_between_two_logs(make_version, tiny_model, place):
    """Steps 1 to 3 were logged nowhere when the checkpoint was left."""
    values = {"save_steps": 3, "logging_steps": 6}
    settings = read(make_version(), tiny_model, place / "out", **values)
    interrupted(settings)
    done = train(settings)
    straight = train(read(make_version(), tiny_model, place / "straight", **values))
    each = train(read(make_version(), tiny_model, place / "each", logging_steps=1))
    assert done.resumed_at == 3
    losses = [[entry["loss"] for entry in found.history] for found in (done, straight)]
    assert losses[0] == losses[1]
    assert done.metrics["mean_loss"] == pytest.approx(each.metrics["mean_loss"], rel=1e-6)


@pytest.mark.parametrize("strategy", ["steps", "epoch"])  # of two steps here
def test_weights_that_are_no_numbers_leave_the_last_good_checkpoint(
    make_version, tiny_model, place, strategy
):
    """Nothing is logged that would show it: the checkpoint itself is refused."""
    values = {"logging_strategy": "no", "save_strategy": strategy}
    settings = read(make_version(), tiny_model, place / "out", **values)

    class Spoiling:
        def __call__(self, done, total, logs):
            if done == 3:
                with torch.no_grad():
                    next(self.trainer.model.parameters()).fill_(float("nan"))

    spoiling = Spoiling()
    from charter.trainers import train as module

    build = module._Training._trainer

    def kept(self, *arguments):
        spoiling.trainer = build(self, *arguments)
        return spoiling.trainer

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module._Training, "_trainer", kept)
        with pytest.raises(Failure, match="step 4  weights: are not all numbers: training has"):
            train(settings, spoiling)
    assert not (place / "out").exists()
    done = train(settings)
    assert done.resumed_at == 2
    straight = train(read(make_version(), tiny_model, place / "straight", **values))
    assert same(done.model, straight.model)


def test_a_shard_that_lies_beside_an_empty_parameter_is_looked_at():
    """As DeepSpeed's ZeRO-3 keeps it."""
    model = torch.nn.Linear(2, 2)
    model.weight.data = torch.empty(0)
    model.weight.ds_tensor = torch.ones(2)
    check_finite(model, 1)
    model.weight.ds_tensor[1] = float("nan")
    with pytest.raises(Failure, match="step 1  weights: are not all numbers"):
        check_finite(model, 1)


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self):
        return self.now


def asked(callback, clock, seconds, step=1, save=0.0):
    """Whether a checkpoint is asked for that long after the last call; it takes `save` seconds."""
    args = SimpleNamespace(logging_strategy="steps")
    control = SimpleNamespace(should_save=False, should_log=False)
    state = SimpleNamespace(global_step=step, max_steps=10)
    clock.now += seconds
    callback.on_step_end(args, state, control, model=torch.nn.Linear(1, 1))
    if control.should_save:
        clock.now += save
        callback.on_save(None, state, control)
    return control.should_save


def test_checkpoints_come_each_minute_and_take_two_hundredths_of_the_time():
    clock = Clock()
    callback = CheckpointCallback(timed=True, clock=clock)
    callback.on_train_begin(None, None, None)
    assert not asked(callback, clock, 59)
    assert asked(callback, clock, 1, save=3.0)
    assert not asked(callback, clock, 149)
    assert asked(callback, clock, 1, save=0.1)
    assert asked(callback, clock, 60)
    assert not asked(callback, clock, 999, step=10), "the model itself follows"
    untimed = CheckpointCallback(timed=False, clock=clock)
    untimed.on_train_begin(None, None, None)
    assert not asked(untimed, clock, 9999)


def test_where_nothing_is_said_a_checkpoint_is_left(make_version, tiny_model, place, monkeypatch):
    monkeypatch.setattr("charter.trainers.checkpoints._AFTER", 0.0)
    monkeypatch.setattr("charter.trainers.checkpoints._TIMES", 0.0)
    settings = read_settings(
        "sft", make_version(), place / "out", model=str(tiny_model), values=FAST
    )
    interrupted(settings)
    assert train(settings).resumed_at == 4


def test_save_steps_alone_are_enough(make_version, tiny_model, place):
    values = {**FAST, "save_steps": 3}
    settings = read_settings(
        "sft", make_version(), place / "out", model=str(tiny_model), values=values
    )
    interrupted(settings)
    assert train(settings).resumed_at == 3


@pytest.mark.parametrize("name", ["optimizer.pt", "model.safetensors", "scheduler.pt"])
def test_a_checkpoint_that_cannot_be_read_is_named(make_version, tiny_model, place, name):
    settings = read(make_version(), tiny_model, place / "out", resume=True)
    interrupted(settings)
    [checkpoint] = (place / ".out.training" / "checkpoints").glob("checkpoint-*")
    (checkpoint / name).write_bytes((checkpoint / name).read_bytes()[:100])
    for _ in range(2):
        with pytest.raises(Failure) as error:
            train(settings)
        assert str(error.value).startswith(f"{checkpoint}  train.sft: its checkpoint can't be")
        assert "remove that folder" in str(error.value)
    shutil.rmtree(checkpoint)
    done = train(settings)
    assert done.resumed_at == 0 and done.metrics["steps"] == FAST["max_steps"]


def test_without_what_the_optimizer_knew_a_checkpoint_is_not_gone_on_from(
    make_version, tiny_model, place
):
    settings = read(make_version(), tiny_model, place / "out")
    interrupted(settings)
    [checkpoint] = (place / ".out.training" / "checkpoints").glob("checkpoint-*")
    (checkpoint / "optimizer.pt").unlink()
    done = train(settings)
    assert done.resumed_at == 0
    straight = train(read(make_version(), tiny_model, place / "straight"))
    assert same(straight.model, done.model)


def test_what_no_checkpoint_remembers_is_noted(make_version, tiny_model, place):
    settings = read(make_version(), tiny_model, place / "out", ignore_data_skip=True)
    interrupted(settings)
    [note] = train(settings).notes
    assert note.startswith("taken up again after step 4 with ignore_data_skip=True")
    again = read(make_version(), tiny_model, place / "again", ignore_data_skip=True)
    assert train(again).notes == ()


def test_answers_of_grpo_that_no_checkpoint_holds_are_noted(make_version, tiny_model, place):
    """Each answer serves for two steps: a checkpoint of step 4 is exact, one of step 3 is not."""
    version = make_version()
    rewards = train(
        read_settings("reward", version, place / "rm", model=str(tiny_model), values=FAST)
    )
    values = {"reward_model": str(rewards.model), "num_generations": 4, "num_iterations": 2}
    values |= {"max_completion_length": 4}
    straight = train(read(version, tiny_model, place / "straight", "grpo", **values))
    for step, noted in ((4, 0), (3, 1)):
        settings = read(version, tiny_model, place / str(step), "grpo", save_steps=step, **values)
        interrupted(settings)
        done = train(settings)
        assert done.resumed_at == step
        assert sum("with answers that serve for several steps" in n for n in done.notes) == noted
        assert same(done.model, straight.model) is not bool(noted)


def test_what_goes_wrong_before_a_checkpoint_is_read_leaves_it_alone(
    make_version, tiny_model, place, monkeypatch
):
    import charter.trainers.train as module

    settings = read(make_version(), tiny_model, place / "out")
    interrupted(settings)

    with monkeypatch.context() as broken:
        broken.setattr(module, "fitted", lambda *_: int("a driver that is missing"))
        with pytest.raises(InputError) as error:
            train(settings)
    assert "checkpoint" not in str(error.value)
    assert train(settings).resumed_at == 4
