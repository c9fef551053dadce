"""Whether a folder holds a reward model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from charter.errors import Fault, InputError

__all__ = ["check_reward_model"]


def check_reward_model(folder: Path, option: str) -> None:
    """See that a folder holds a model with one score, before any weights are read.

    Args:
        folder: to look into.
        option: what named it, for the fault.

    Raises:
        InputError: it doesn't.
    """
    fix = "name a folder that `charter train reward` made"
    if not folder.is_dir():
        raise InputError(Fault(str(folder), option, "there is no such folder", fix))
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        what = f"holds no model that can be read ({error})"
        raise InputError(Fault(str(folder), option, what, fix)) from error
    found: dict[str, Any] = config if isinstance(config, dict) else {}
    names, labels = found.get("architectures"), found.get("id2label")
    names = [str(name) for name in names] if isinstance(names, list) else []
    # transformers writes the labels and not their number; two is its default.
    single = isinstance(labels, dict) and len(labels) == 1
    if not any("SequenceClassification" in name for name in names) or not single:
        what = f"holds no reward model but {', '.join(names) or 'an unnamed one'}"
        raise InputError(Fault(str(folder), option, what, fix))
