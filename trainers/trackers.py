"""The trackers that a training can report to, beside the TensorBoard files that we write."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Final

from charter.errors import Fault

__all__ = ["reported_to", "tracker_faults"]

# transformers has a callback of each; none is installed with Charter.
_OTHERS: Final = ("trackio", "wandb")


def reported_to(track: str) -> list[str]:
    """What `report_to` of the TRL config is for a tracker."""
    return [track] if track in _OTHERS else []


def tracker_faults(track: str | None, report_to: str | Iterable[str] | None) -> Iterable[Fault]:
    """What is not there, or would be lost.

    Args:
        track: the tracker by its name, or None.
        report_to: TRL's own field of that name.
    """
    if track in _OTHERS and find_spec(track) is None:
        fix = f"pip install {track}, or use tensorboard, which needs no network"
        yield Fault("", "track", f"{track} is not installed", fix)
    named = [report_to] if isinstance(report_to, str) else report_to or ()
    if {"tensorboard", "all"} & set(named):
        what = "would put TensorBoard's files beside the checkpoints, which go when it is done"
        yield Fault("", "report_to", what, "leave it out; track=tensorboard keeps them")
