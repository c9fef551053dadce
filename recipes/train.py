"""The block `train` of a recipe: the methods, and the fields that are Charter's own in each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Final

from pydantic import Field, JsonValue

from charter.documents import Document, Settings
from charter.errors import Fault, nearest
from charter.values import Loc

__all__ = [
    "COMMON_FIELDS",
    "CONFIGS",
    "METHODS",
    "TrainSettings",
    "own_fields",
    "train_faults",
    "trl_fields",
]

# Method -> its config in TRL; in the order in which a recipe trains them, each after the first
# from the SFT model.
CONFIGS: Final[Mapping[str, str]] = {
    "sft": "SFTConfig",
    "reward": "RewardConfig",
    "dpo": "DPOConfig",
    "kto": "KTOConfig",
    "orpo": "ORPOConfig",
    "grpo": "GRPOConfig",
}
METHODS: Final = tuple(CONFIGS)

# Fields of every method beside those of its TRL config, with their types as in `trl_fields.json`.
COMMON_FIELDS: Final[Mapping[str, str]] = {
    "model": "str | None",
    "lora": "bool",
    "lora_r": "int",
    "lora_alpha": "int",
    "limit": "int | None",
    "chat_template": "str | None",
    "track": '"none" | "tensorboard" | "trackio" | "wandb"',
}
_PAIRS: Final = {"min_p": "float | None"}
_WEIGHT: Final = {"weight": '"none" | "confidence"'}
_OWN: Final[Mapping[str, Mapping[str, str]]] = {
    "sft": {"recovery": "dict | None"},
    "reward": {**_PAIRS, **_WEIGHT, "soft_labels": '"none" | "target" | "margin"'},
    "dpo": {**_PAIRS, **_WEIGHT, "soft_labels": '"none" | "conservative" | "robust"'},
    "kto": _PAIRS,
    "orpo": _PAIRS,
    "grpo": {
        "judge": "str | None",
        "judge_url": "str | None",
        "judge_mode": '"logprob" | "verdict"',
        "judge_principles": "list[str]",
        "reward_model": "str | None",
    },
}


def own_fields(method: str) -> dict[str, str]:
    """Charter's own fields of a method with their types.

    Raises:
        KeyError: there is no such method.
    """
    return {**COMMON_FIELDS, **_OWN[method]}


def trl_fields() -> dict[str, dict[str, str]]:
    """The fields of TRL's configs by method, from the generated list (no TRL is imported)."""
    text = resources.files("charter.recipes").joinpath("trl_fields.json").read_text("utf-8")
    fields: dict[str, dict[str, str]] = json.loads(text)
    return fields


def train_faults(document: Document) -> list[Fault]:
    """A fault for each key of a recipe's methods that neither TRL's config nor Charter has."""
    faults = []
    for method in METHODS:
        block = document.at("train", method)
        if not isinstance(block, dict) or not block:
            continue
        known = [*trl_fields()[method], *own_fields(method)]
        for key in block:
            if key not in known:
                what = f'TRL\'s {CONFIGS[method]} has no field "{key}"'
                loc: Loc = ("train", method, key)
                hint = nearest(key, known)
                fix = hint if hint.startswith("did you") else "see `charter train --help`"
                faults.append(document.fault(loc, what, fix))
    return faults


class TrainSettings(Settings):
    """What is trained from the version, each with fields of that TRL config."""

    sft: dict[str, JsonValue] | None = Field(default=None, description="Fields of SFTConfig.")
    reward: dict[str, JsonValue] | None = Field(default=None, description="Fields of RewardConfig.")
    dpo: dict[str, JsonValue] | None = Field(default=None, description="Fields of DPOConfig.")
    kto: dict[str, JsonValue] | None = Field(default=None, description="Fields of KTOConfig.")
    orpo: dict[str, JsonValue] | None = Field(default=None, description="Fields of ORPOConfig.")
    grpo: dict[str, JsonValue] | None = Field(default=None, description="Fields of GRPOConfig.")
