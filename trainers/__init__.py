"""TRL trainers on pinned versions. Importing this imports neither TRL nor torch.

The one verb is `charter.trainers.train.train(settings)`: it is not re-exported here, where its
name is that of its module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charter.trainers.registry import METHODS
    from charter.trainers.settings import CHARTER_FIELDS, Lora, TrainSettings, read_settings
    from charter.trainers.train import Trained

__all__ = [
    "CHARTER_FIELDS",
    "METHODS",
    "Lora",
    "TrainSettings",
    "Trained",
    "read_settings",
]

_HOMES = {
    "CHARTER_FIELDS": "settings",
    "METHODS": "registry",
    "Lora": "settings",
    "TrainSettings": "settings",
    "Trained": "train",
    "read_settings": "settings",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
