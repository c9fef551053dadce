"""Whether a folder holds a reward model."""

from __future__ import annotations

import json
from pathlib import Path

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
    names = config.get("architectures") or []
    # transformers writes the labels and not their number; two is its default.
    labels = len(config.get("id2label") or (0, 0))
    if not any("SequenceClassification" in name for name in names) or labels != 1:
        what = f"holds no reward model but {', '.join(names) or 'an unnamed one'}"
        raise InputError(Fault(str(folder), option, what, fix))
