"""The real command, killed and interrupted in the middle of a round, goes on to the same end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from charter.improve.run import improve
from charter.recipes import load_recipe
from charter.run.progress import Silent

pytestmark = pytest.mark.slow
OVERRIDES = ("improve.rounds=1",)


@contextlib.contextmanager
def silent():
    yield Silent()


@pytest.fixture
def command(tmp_path):
    """Start `charter improve` and end it by a signal once so many steps are done."""
    main = "from charter.cli import main; main()"

    def start(path, steps=None, sign=None):
        arguments = ["improve", str(path), "--out", "cut", "--set", OVERRIDES[0], "--json"]
        environment = {
            **os.environ,
            "HF_DATASETS_CACHE": str(tmp_path / "cut-datasets"),
            # As many threads as this process has: sums of floats hang on how they are cut up.
            "OMP_NUM_THREADS": "1",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", main, *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until = time.monotonic() + 240
        while steps is not None and done(tmp_path) < steps and process.poll() is None:
            assert time.monotonic() < until, "it never came to that"
            time.sleep(0.02)
        if sign is not None and process.poll() is None:
            process.send_signal(sign)
        out, error = process.communicate(timeout=240)
        return process.returncode, out, error

    return start


def done(tmp_path):
    states = list((tmp_path / "cut" / "improve").glob("small-*/state.json"))
    return len(json.loads(states[0].read_text())["steps"]) if states else 0


def test_killed_and_interrupted_it_comes_to_the_same_end(
    serve, good_script, replies, rounds_file, command, tmp_path, monkeypatch
):
    def slow(body):
        replies.sleep(0.02)
        return good_script(body)

    path = rounds_file(serve(slow).url)
    # Killed while pairs are judged, then interrupted while answers are compared.
    code, _, _ = command(path, steps=3, sign=signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert 3 <= done(tmp_path) < 6
    code, _, error = command(path, steps=4, sign=signal.SIGINT)
    assert code == 130, error
    assert "Traceback" not in error
    assert 4 <= done(tmp_path) < 6
    code, out, error = command(path)
    assert code == 0, error
    found = json.loads(out.splitlines()[-1])

    monkeypatch.setenv("CHARTER_CACHE", str(tmp_path / "fresh"))
    whole = improve(load_recipe(path, OVERRIDES), tmp_path / "whole", lambda line: None, silent)
    assert found["loop"] == whole.found["loop"]
    for cut, uncut in zip(found["rounds"], whole.found["rounds"], strict=True):
        # What it cost differs: a run that was cut off finds its calls in the cache.
        kept = {"cost", "models"}
        assert {k: v for k, v in cut.items() if k not in kept} == {
            k: v for k, v in uncut.items() if k not in kept
        }
    assert found["best"]["round"] == whole.found["best"]["round"]
