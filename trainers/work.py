"""The hidden folder beside the model's own in which training works until all is there."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from charter.errors import Failure, Fault, InputError

__all__ = ["WorkFolder"]

# As torch, FSDP and DeepSpeed name what an optimizer has in mind; without it one can't go on.
_OPTIMIZERS = ("optimizer", "global_step")


class WorkFolder:
    """A place to train in: it becomes `out` by one rename, or nothing is seen of it.

    Left behind only by a training that ended after a checkpoint, by Ctrl-C or a failure; the same
    training finds it again and goes on, another one clears it.

    Args:
        out: the folder of the model; must not exist, or be empty.
        identity: what is trained on what, by name; checkpoints of another are not used.
        owner: whether this process keeps the folder; of several that train together, one does.
        resume: whether checkpoints of another training are refused instead of cleared.

    Raises:
        InputError: `out` is taken, or holds the checkpoints of another training and `resume`.
        Failure: another training writes to it right now.
    """

    def __init__(
        self, out: Path, identity: Mapping[str, Any], *, owner: bool = True, resume: bool = False
    ) -> None:
        self.owner, self.resume = owner, resume
        self.out = out.resolve()  # through links: a folder can't take the place of one
        self.identity = identity
        self.folder = self.out.parent / f".{self.out.name}.training"
        self.checkpoints = self.folder / "checkpoints"
        self.model = self.folder / "model"
        self.runs = self.folder / "runs"
        self._record = self.folder / "identity.json"
        self._handle: int | None = None
        self._had = self._kept = False

    def __enter__(self) -> Self:
        if not self.owner:
            return self
        if self.out.exists() and not (self.out.is_dir() and not any(self.out.iterdir())):
            done = self.resume and (self.out / "charter.json").is_file()
            what = "holds a whole model, nothing is left to resume" if done else "is not empty"
            fix = "give another --out, or move it away"
            raise InputError(Fault(str(self.out), "out", what, fix))
        _check_movable(self.out)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise InputError(Fault(str(self.out), "out", what, "give another --out")) from error
        self._handle = os.open(self.folder, os.O_RDONLY)
        try:
            # The system lets go of the lock when a process dies, however it dies.
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._handle)
            what = "another training writes to it right now"
            fix = "wait for it, or give another --out"
            raise Failure(Fault(str(self.out), "out", what, fix)) from error
        try:
            self._clear_unless_ours()
        except BaseException:
            os.close(self._handle)
            raise
        return self

    def _clear_unless_ours(self) -> None:
        ours: dict[str, Any] = json.loads(json.dumps(self.identity, default=str))
        theirs = _read(self._record)
        there = self.checkpoint() is not None
        if self.resume and there and theirs != ours:
            raise InputError(self._differences(theirs, ours))
        self._had = there and theirs == ours
        kept = (self._record, self.checkpoints, self.runs) if self._had else ()
        for entry in self.folder.iterdir():
            if entry not in kept:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        # Half a checkpoint would count among those of which the newest is kept.
        for entry in self.checkpoints.glob("checkpoint-*"):
            if _step(entry) is None:
                shutil.rmtree(entry)
        part = self._record.with_suffix(".part")
        part.write_text(json.dumps(ours), "utf-8")
        part.replace(self._record)
        self.model.mkdir()

    def _differences(self, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[Fault]:
        """What the checkpoints there were made with, as far as it is not what is wanted now."""
        fix = "give the command as it was, another --out, or leave out --resume to begin anew"
        return [
            Fault(str(self.out), name, f"its checkpoint is of {was}, and this says {now}", fix)
            for name in dict.fromkeys((*theirs, *ours))
            if (was := _shown(theirs, name)) != (now := _shown(ours, name))
        ]

    def checkpoint(self) -> str | None:
        """The last whole checkpoint, or None. A folder without its last file is not whole."""
        steps = {entry: _step(entry) for entry in self.checkpoints.glob("checkpoint-*")}
        whole = {entry: step for entry, step in steps.items() if step is not None}
        return str(max(whole, key=lambda entry: whole[entry])) if whole else None

    def publish(self) -> None:
        """Make the model's folder visible, whole.

        Raises:
            Failure: something else is there by now; the model is kept.
        """
        if not self.owner:
            return
        mode = (self.model / "config.json").stat().st_mode & 0o777
        for file in self.model.glob("*.safetensors"):
            file.chmod(mode)  # safetensors writes them for their owner alone
        if self.runs.is_dir():
            self.runs.replace(self.model / "runs")
        try:
            self.model.replace(self.out)
        except OSError as error:
            self._kept = True
            what = f"cannot be replaced by the model: {error.strerror}; it is whole in {self.model}"
            fix = f"move away what came to {self.out} while training, and that folder there"
            raise Failure(Fault(str(self.out), "out", what, fix)) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.owner:
            return
        # Wrong input would only fail again; a full disk or a judge that is down can be mended.
        # But what an earlier training left is not for a mistyped command to lose.
        over = error is None or (isinstance(error, InputError) and not self._had)
        if over or (self.checkpoint() is None and not self._kept):
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._handle is not None:
            os.close(self._handle)


def _check_movable(out: Path) -> None:
    """See that an empty folder can be replaced: a mount point can't, and one learns it last."""
    if not out.is_dir():
        return
    fix = "give a folder inside it"
    if out == Path.cwd():
        # Whoever stands in a folder that is replaced sees nothing of the one that replaces it.
        raise InputError(Fault(str(out), "out", "is the folder this command runs in", fix))
    aside = out.with_name(f".{out.name}.aside")
    try:
        out.rename(aside)
        aside.rename(out)
    except OSError as error:
        what = f"cannot be replaced by the model's folder: {error.strerror}"
        raise InputError(Fault(str(out), "out", what, fix)) from error


def _step(checkpoint: Path) -> int | None:
    """The step of a whole checkpoint; its state is what the trainer writes last."""
    if checkpoint.is_dir() and not any(
        entry.name.startswith(_OPTIMIZERS) for entry in checkpoint.iterdir()
    ):
        return None
    step = _read(checkpoint / "trainer_state.json").get("global_step")
    return step if isinstance(step, int) else None


def _read(file: Path) -> dict[str, Any]:
    """What a file of JSON holds; nothing where it is not there or was not written to its end."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _shown(identity: Mapping[str, Any], name: str) -> str:
    if name not in identity:
        return "nothing of it"
    return json.dumps(identity[name], ensure_ascii=False)
