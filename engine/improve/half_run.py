"""One half of a round as a run; the advice of a fault is that of rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from charter.errors import Failure, Fault
from charter.hub import HubOptions
from charter.improve.state import LoopFolder
from charter.recipes import Loaded
from charter.run import RunResult, run_recipe
from charter.run.progress import Progress

__all__ = ["run_half"]

_MARK: Final = "retry-rejects"


def run_half(
    half: Loaded,
    out: Path,
    folder: LoopFolder,
    progress: Progress,
    hub: HubOptions | None = None,
) -> RunResult:
    """Run a half, as `charter run` does.

    A run does not ask again for what failed in it. One that ended as too many rows failed leaves a
    mark in the loop's folder, and the next one does: its cause may have been mended.

    Args:
        half: the recipe of the half.
        out: gets `runs/` and `versions/`.
        folder: of the loop, entered.
        progress: who is told.
        hub: how a version goes to a Hub.

    Raises:
        InputError, Failure, Interrupted: as `charter.run.run_recipe`.
    """
    mark = folder.path / _MARK
    try:
        result = run_recipe(half, out, progress, retry_rejects=mark.exists(), hub=hub)
    except Failure as error:
        # The fault of too many failed rows names options of `charter run`, which rounds lack.
        if not any("--retry-rejects" in fault.fix for fault in error.faults):
            raise
        folder.write(_MARK, "")
        raise Failure(_advised(fault, str(half.path)) for fault in error.faults) from None
    mark.unlink(missing_ok=True)
    return result


def _advised(fault: Fault, recipe: str) -> Fault:
    fix = (
        "mend the cause and give the same command again, which asks anew for what failed, or allow "
        "more by --set run.max_reject_rate=N"
    )
    return Fault(fault.place or recipe, "run.max_reject_rate", fault.what, fix)
