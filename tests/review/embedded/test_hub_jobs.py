"""Imports from and exports to the Hub: in a child process, the server answers meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from running_argilla import RunningArgilla, skip_without_environment, start_argilla

from charter.hub.embedded import User, start

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("argilla")]

TOKEN = "hf_only_for_this_test"


def outcome(argilla: RunningArgilla, job: str) -> str:
    """A job's last status; others are answered while it runs."""
    until = time.monotonic() + 240
    while time.monotonic() < until:
        began = time.monotonic()
        status = argilla.get(f"jobs/{job}")["status"]
        assert time.monotonic() - began < 20
        if status in ("finished", "failed"):
            return str(status)
        time.sleep(0.5)
    raise AssertionError(f"still {status}")


def test_a_dataset_goes_to_a_hub_and_comes_back(tmp_path: Path) -> None:
    skip_without_environment()
    with start(tmp_path / "hub", users=[User("me", TOKEN, "write")]) as hub:
        environment = {
            "HF_ENDPOINT": hub.address,
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path / "hf"),
        }
        argilla = start_argilla(tmp_path / "review", environment=environment)
        try:
            dataset = argilla.dataset("out", ["one", "two", "three"])
            where = {"name": "me/out", "subset": "default", "split": "train"}
            job = argilla.post(
                f"datasets/{dataset}/export", {**where, "private": False, "token": TOKEN}
            )
            assert outcome(argilla, job["id"]) == "finished", log(argilla)
            back = argilla.dataset("back", [])
            mapping = {"fields": [{"source": "text", "target": "text"}], "external_id": "id"}
            job = argilla.post(f"datasets/{back}/import", {**where, "mapping": mapping})
            assert outcome(argilla, job["id"]) == "finished", log(argilla)
            items = argilla.get(f"datasets/{back}/records")["items"]
            texts = sorted(item["fields"]["text"] for item in items)
            assert texts == ["one", "three", "two"]
            # What the child wrote is in the index of the server as well.
            body = {"query": {"text": {"q": "three"}}}
            assert argilla.post(f"datasets/{back}/records/search", body)["total"] == 1
            assert TOKEN not in log(argilla)
        finally:
            assert argilla.stop() == 0


def log(argilla: RunningArgilla) -> str:
    return (argilla.data / "server.log").read_text("utf-8")
