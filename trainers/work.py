"""The hidden folder beside the model's own in which training works until all is there."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from charter.errors import Failure, Fault, InputError

__all__ = ["WorkFolder"]


class WorkFolder:
    """A place to train in: it becomes `out` by one rename, or nothing is seen of it.

    Left behind only by a training that ended after a checkpoint, by Ctrl-C or a failure; the same
    training finds it again and goes on, another one clears it.

    Args:
        out: the folder of the model; must not exist, or be empty.
        identity: a digest of what is trained on what; checkpoints of another are not used.
        owner: whether this process keeps the folder; of several that train together, one does.

    Raises:
        InputError: `out` is taken.
        Failure: another training writes to it right now.
    """

    def __init__(self, out: Path, identity: str, *, owner: bool = True) -> None:
        self.owner = owner
        self.out = out.absolute()
        self.identity = identity
        self.folder = self.out.with_name(f".{self.out.name}.training")
        self.checkpoints = self.folder / "checkpoints"
        self.model = self.folder / "model"
        self._handle: int | None = None

    def __enter__(self) -> Self:
        if not self.owner:
            return self
        if self.out.exists() and not (self.out.is_dir() and not any(self.out.iterdir())):
            fix = "give another --out, or move it away"
            raise InputError(Fault(str(self.out), "out", "is not empty", fix))
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
        self._clear_unless_ours()
        return self

    def _clear_unless_ours(self) -> None:
        record = self.folder / "identity"
        ours = record.is_file() and record.read_text("utf-8") == self.identity
        for entry in self.folder.iterdir():
            if not (ours and entry in (record, self.checkpoints)):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        record.write_text(self.identity, "utf-8")
        self.model.mkdir()

    def checkpoint(self) -> str | None:
        """The last whole checkpoint, or None. A folder without its last file is not whole."""
        found = []
        for state in self.checkpoints.glob("checkpoint-*/trainer_state.json"):
            try:
                found.append((int(json.loads(state.read_text("utf-8"))["global_step"]), state))
            except (OSError, ValueError, KeyError):
                continue
        return str(max(found)[1].parent) if found else None

    def publish(self) -> None:
        """Make the model's folder visible, whole."""
        if not self.owner:
            return
        mode = (self.model / "config.json").stat().st_mode & 0o777
        for file in self.model.glob("*.safetensors"):
            file.chmod(mode)  # safetensors writes them for their owner alone
        self.model.replace(self.out)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.owner:
            return
        # Wrong input would only fail again; a full disk or a judge that is down can be mended.
        over = error is None or isinstance(error, InputError)
        if over or self.checkpoint() is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._handle is not None:
            os.close(self._handle)
