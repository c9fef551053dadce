"""Kill a run at any moment, and stop it by Ctrl-C: what is paid again, and what comes out."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

ROWS, IN_FLIGHT = 300, 8
CALLS = ROWS * 6  # respond, critique, revise, one sampled candidate, one pair in both orders


def distinct(server):
    bodies = (json.dumps(body, sort_keys=True).encode() for body in server.requests)
    return Counter(hashlib.sha256(body).digest() for body in bodies)


def published(tmp_path, out):
    (version,) = (tmp_path / out / "versions" / "me" / "small").glob("v*")
    return {
        str(path.relative_to(version)): path.read_bytes()
        for path in sorted(version.rglob("*"))
        if path.is_file() and path.name not in ("README.md", "charter.json")
    }


def wait_for(done, seconds=60.0):
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.002)


def ended(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


@pytest.fixture
def recipe(recipe_file, serve, good_script):
    server = serve(good_script)
    run = {"retries": 1, "timeout": 20.0, "in_flight": IN_FLIGHT}
    return str(recipe_file(server.url, ROWS, run=run)), server


@pytest.mark.parametrize(
    ("calling", "writing"), [(4, 2), pytest.param(16, 4, marks=pytest.mark.slow)]
)
def test_a_run_killed_at_any_moment_pays_for_calls_in_flight_alone(
    recipe, charter, zygote, tmp_path, monkeypatch, calling, writing
):
    """Killed so often while calls are made, and while the version is checked and written."""
    path, server = recipe
    draw = random.Random(20)
    moments = sorted(draw.randrange(CALLS) for _ in range(calling))
    for moment in moments:
        before = len(server.requests)
        known = len(distinct(server))
        pid = charter("run", path, "--no-train", "--out", "killed")
        wait_for(lambda m=moment, p=pid: len(distinct(server)) >= m or ended(p))
        os.kill(pid, signal.SIGKILL)
        zygote.end(pid)
        wait_for(lambda: server.in_flight == 0)
        again = (len(server.requests) - before) - (len(distinct(server)) - known)
        assert again <= IN_FLIGHT, f"killed at {moment}: {again} calls were made again"
    for part in range(writing):
        pid = charter("run", path, "--no-train", "--out", "killed")
        wait_for(lambda p=pid: len(distinct(server)) >= CALLS or ended(p))
        time.sleep(0.05 + part * draw.random() / writing)
        if not ended(pid):
            os.kill(pid, signal.SIGKILL)
        assert zygote.end(pid) in (0, -signal.SIGKILL)
    pid = charter("run", path, "--no-train", "--out", "killed")
    assert zygote.end(pid) == 0, (tmp_path / "log").read_text()[-3000:]
    counts = distinct(server)
    assert len(counts) == CALLS
    assert sum(counts.values()) - CALLS <= IN_FLIGHT * (calling + writing)
    # The same from an empty cache, never interrupted.
    monkeypatch.setenv("CHARTER_CACHE", str(tmp_path / "other"))
    fresh = zygote.start(
        ["run", path, "--no-train", "--out", "whole"], tmp_path, tmp_path / "other"
    )
    assert zygote.end(fresh) == 0
    assert len(server.requests) - sum(counts.values()) == CALLS
    assert published(tmp_path, "killed") == published(tmp_path, "whole")


def test_one_ctrl_c_finishes_what_is_in_flight(recipe, charter, zygote, tmp_path, replies):
    path, server = recipe
    script = server.script

    def slow(body):
        replies.sleep(0.2)
        return script(body)

    server.script = slow
    pid = charter("run", path, "--no-train", "--out", "out")
    wait_for(lambda: len(server.requests) > 40)
    os.kill(pid, signal.SIGINT)
    assert zygote.end(pid) == 130
    log = (tmp_path / "log").read_text()
    assert "finishing the calls in flight" in log and "go on" in log
    assert "Traceback" not in log
    made = len(server.requests)
    assert made == len(distinct(server))
    server.script = script
    pid = charter("run", path, "--no-train", "--out", "out")
    assert zygote.end(pid) == 0
    # Not one call was made again.
    assert len(server.requests) == len(distinct(server)) == CALLS


def test_two_ctrl_c_stop_at_once(recipe, charter, zygote, tmp_path, replies):
    path, server = recipe
    script = server.script

    def slow(body):
        replies.sleep(3.0 if len(server.requests) > 20 else 0)
        return script(body)

    server.script = slow
    pid = charter("run", path, "--no-train", "--out", "out")
    wait_for(lambda: len(server.requests) > 20 + IN_FLIGHT // 2)
    began = time.monotonic()
    os.kill(pid, signal.SIGINT)
    time.sleep(0.3)
    os.kill(pid, signal.SIGINT)
    assert zygote.end(pid) == 130
    assert time.monotonic() - began < 2.5
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_batch_systems_sigterm_is_a_stop(recipe, charter, zygote, tmp_path, replies):
    path, server = recipe
    script = server.script

    def slow(body):
        replies.sleep(0.1)
        return script(body)

    server.script = slow
    pid = charter("run", path, "--no-train", "--out", "out")
    wait_for(lambda: len(server.requests) > 20)
    os.kill(pid, signal.SIGTERM)
    assert zygote.end(pid) == 130
    assert len(server.requests) == len(distinct(server))
