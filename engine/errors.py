"""Faults a user can mend: where, what is wrong, how to put it right; and the exit codes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["CharterError", "Failure", "Fault", "InputError", "Interrupted", "nearest"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in three parts, printed as `place  path: what; fix`.

    Attributes:
        place: `file:line:col`, `file:line`, a folder, an address, or empty.
        path: the dotted path of the value at fault (`models.judge`), or empty.
        what: what is wrong, without advice.
        fix: what the user can do about it.
    """

    place: str
    path: str
    what: str
    fix: str

    def __str__(self) -> str:
        head = "  ".join(part for part in (self.place, self.path) if part)
        tail = f"{self.what}; {self.fix}" if self.fix else self.what
        return f"{head}: {tail}" if head else tail


class CharterError(Exception):
    """An error with all its faults at once. Never shown as a traceback to a user.

    Attributes:
        faults: every fault found, in the order of the file.
        exit_code: what the command line exits with.
    """

    exit_code = 1

    def __init__(self, faults: Fault | Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class InputError(CharterError):
    """What the user gave is wrong: a file, a key, a value, a version. Exit code 2."""

    exit_code = 2


class Failure(CharterError):
    """The work could not be done although the input was right. Exit code 1."""


class Interrupted(CharterError):
    """Stopped by the user; the same command takes it up again. Exit code 130."""

    exit_code = 130


def nearest(word: str, known: Iterable[str]) -> str:
    """A suggestion for a mistyped word: `did you mean "judge"?`, else the known words."""
    names = sorted(set(known))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"use one of: {', '.join(names)}" if names else "remove it"
