"""What of the rounds is done: one file, written whole after every step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TextIO

from charter.errors import Failure, Fault, InputError
from charter.improve.figures import RoundFigures
from charter.run.folder import locked, write_whole

__all__ = ["STEPS", "Done", "Facts", "LoopFolder", "Step"]

SCHEMA_VERSION: Final = 1

Facts = dict[str, Any]
"""What a step leaves behind, as JSON values."""


class Step(StrEnum):
    """The steps of a round, in their order; round 0 has the last one alone."""

    GENERATE = "generate"
    SFT = "sft"
    JUDGE = "judge"
    DPO = "dpo"
    EVALUATE = "evaluate"


STEPS: Final = tuple(Step)

Done = Mapping[tuple[int, Step], Facts]
"""The facts of all steps that are done, by round and step."""


class LoopFolder:
    """The folder of one loop, found again by what it works on.

    Its name ends in the loop's identity: the same command finds the same folder and goes on, a
    changed recipe gets another one. One process at a time may work in it.

    Args:
        root: the folder of all loops.
        name: of the recipe.
        identity: a digest of all that can change a model or a figure.

    Attributes:
        begun: the last step that was begun since it was entered, or None.

    Raises:
        Failure: it cannot be written, or another process works in it.
        InputError: its state is of a newer charter, or damaged.
    """

    def __init__(self, root: Path, name: str, identity: str) -> None:
        self.identity = identity
        self.id = f"{name}-{identity[:12]}"
        self.path = root / self.id
        self.begun: tuple[int, Step] | None = None
        self._done: dict[tuple[int, Step], Facts] = {}
        self._lock: TextIO

    @property
    def done(self) -> Done:
        """What is done."""
        return self._done

    def __enter__(self) -> Self:
        self._lock = locked(self.path, "improving by this recipe")
        try:
            self._done = read_done(self.path / "state.json")
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.close()

    def put(self, number: int, step: Step, facts: Facts) -> None:
        """Note that a step is done; once this returns, it is never done again.

        Raises:
            Failure: the disk is full or gone.
        """
        after = {**self._done, (number, step): facts}
        steps = [
            {"round": number, "step": step, "facts": facts}
            for (number, step), facts in after.items()
        ]
        state = {"schema_version": SCHEMA_VERSION, "identity": self.identity, "steps": steps}
        text = json.dumps(state, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        self.write("state.json", text)
        self._done = after

    def write(self, name: str, text: str) -> Path:
        """Write a file of the folder, whole.

        Raises:
            Failure: the disk is full or gone.
        """
        path = self.path / name
        try:
            write_whole(path, text)
        except OSError as error:
            what = f"cannot be written ({error.strerror or error})"
            fix = "make room or permission there; the same command goes on from here"
            raise Failure(Fault(str(path), "", what, fix)) from None
        return path


def read_done(path: Path) -> dict[tuple[int, Step], Facts]:
    """What a state file says is done; nothing where there is no file.

    Raises:
        InputError: it is of a newer charter, no such file at all, or facts in it are damaged.
        Failure: it cannot be read.
    """
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise Failure(Fault(str(path), "", what, "give permission to read it")) from None
    try:
        state = json.loads(text)
        newer = state["schema_version"] > SCHEMA_VERSION
        if not newer:
            return {_at(path, each): each["facts"] for each in state["steps"]}
    except (ValueError, KeyError, TypeError):
        what, fix = "is no state of rounds", "move its folder away to begin anew"
        raise InputError(Fault(str(path), "", what, fix)) from None
    what = f"is of format {state['schema_version']}, and this charter knows {SCHEMA_VERSION}"
    raise InputError(Fault(str(path), "", what, "install a newer charter"))


def _at(path: Path, entry: Mapping[str, Any]) -> tuple[int, Step]:
    """Round and step of an entry, whose facts are seen to have what others read of them."""
    number, step = int(entry["round"]), Step(entry["step"])
    try:
        _read(step, entry["facts"])
    except (ValueError, KeyError, TypeError, AttributeError):
        what = f"what round {number} left of its step `{step}` is gone or damaged"
        fix = "move its folder away to begin anew; the calls are cached"
        raise InputError(Fault(str(path), "", what, fix)) from None
    return number, step


def _read(step: Step, facts: Facts) -> None:
    """Raise what reading the facts later would raise."""
    float(facts["seconds"])
    if "cost" in facts:
        itemgetter("calls", "cached_calls", "tokens", "money")(facts["cost"])
    match step:
        case Step.GENERATE | Step.JUDGE:
            itemgetter("version", "path", "train_rows")(facts)
        case Step.SFT | Step.DPO:
            itemgetter("model", "dataset")(facts)
            itemgetter("steps", "rows")(facts["metrics"])
        case Step.EVALUATE:
            RoundFigures.from_json(facts["figures"])
