"""Trainings of two steps as tests of faults begin them, and a model's files changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from charter.errors import InputError
from charter.trainers import read_settings
from charter.trainers.train import Trained, train

FAST = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 5e-3}


def run(version: Any, model: Path, out: Path, method: str = "sft", **values: Any) -> Trained:
    """Train by a method; values are its fields."""
    given = {**FAST, **values}
    return train(read_settings(method, version, out, model=str(model), values=given))


def fault_of(*arguments: Any, **values: Any) -> str:
    """What `run` is refused by."""
    with pytest.raises(InputError) as error:
        run(*arguments, **values)
    return str(error.value)


def change(folder: Path, name: str, **values: Any) -> None:
    """Other values in a JSON file of a model."""
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
