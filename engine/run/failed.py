"""Calls that failed for good in a run: outcomes of that run, never results in the cache."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

from charter.errors import Failure, Fault
from charter.models.call import Answer
from charter.run.journal import end_a_line

__all__ = ["FailedCalls"]


class FailedCalls:
    """What failed, by key, in a file of the run's folder.

    The same command does not ask again for what failed (`--retry-rejects` does), so a run that
    goes on ends with the rows of one that was never interrupted. A failure is written when a call
    that went out after it was answered: those at the end of a run whose server went down are the
    server's, and are asked again.

    Args:
        path: the file; None keeps nothing (a preview).
        retry: forget what is in it.
    """

    def __init__(self, path: Path | None, retry: bool = False) -> None:
        self._path = path
        self._known: dict[bytes, Answer] = {}
        self._pending: list[tuple[float, bytes, Answer]] = []
        if path is None:
            return
        if retry:
            path.unlink(missing_ok=True)
        elif path.is_file():
            self._read(path)

    def __len__(self) -> int:
        return len(self._known)

    def _read(self, path: Path) -> None:
        for line in path.read_bytes().split(b"\n"):
            try:
                found = json.loads(line)
                key = bytes.fromhex(found.pop("key"))
                self._known[key] = Answer(**found)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # the last line of a run that was killed; that call is made again
        end_a_line(path)

    @property
    def pending(self) -> bool:
        """Whether failures wait to be settled."""
        return bool(self._pending)

    def get(self, key: bytes) -> Answer | None:
        """How a call failed before, or None."""
        return self._known.get(key)

    def known(self) -> dict[bytes, Answer]:
        """All that failed before, by key."""
        return dict(self._known)

    def note(self, key: bytes, answer: Answer) -> None:
        """Remember that a call failed just now."""
        self._pending.append((time.monotonic(), key, answer))

    def settle(self, seconds: float | None = None) -> list[tuple[bytes, Answer]]:
        """The server answers: what failed before is the calls' own failure.

        Args:
            seconds: how long ago the answered call went out; None is the end of the run.

        Returns:
            What is settled by this.

        Raises:
            Failure: the file cannot be written.
        """
        if not self._pending:
            return []
        then = math.inf if seconds is None else time.monotonic() - seconds
        settled = [(key, answer) for at, key, answer in self._pending if at < then]
        self._pending = [entry for entry in self._pending if entry[0] >= then]
        self._known.update(settled)
        if settled and self._path is not None:
            self._write(self._path, "".join(_line(key, answer) for key, answer in settled))
        return settled

    def _write(self, path: Path, lines: str) -> None:
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(lines)
        except OSError as error:
            what = f"cannot be written ({error.strerror})"
            raise Failure(Fault(str(path), "", what, "make room for it")) from None


def _line(key: bytes, answer: Answer) -> str:
    found = {
        "key": key.hex(),
        "text": answer.text,  # white space, which a vote's row quotes as any other text
        "error": answer.error,
        "overflow": answer.overflow,
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
    }
    return json.dumps(found, ensure_ascii=False) + "\n"
