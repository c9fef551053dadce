"""Texts that a check has found clean, so that the next version reads only what is new.

Kept is a 64-bit hash a text. The hash is polars' own, for speed: it is good for one release of
polars on one kind of processor, so the file says what it made of known texts, and where that is
something else now the file counts for nothing. It is a cache: whatever is wrong with it, all that
is lost is time.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from charter.hub.twice import Hash

__all__ = ["Clean"]

_SCHEME: Final = 1
_PROBES: Final = ("", "charter", "Grüße, 世界", "a longer text than fits into a few words " * 9)
# Arrays of hashes are merged when the one before is not this many times as long.
_STEP: Final = 4

Ints = npt.NDArray[np.int64]


def _hashes(texts: pl.Series) -> Hash:
    return texts.hash(seed=_SCHEME).to_numpy()


class Clean:
    """The hashes of clean texts, of this version and of those before.

    Args:
        path: where they are kept; None keeps them for this pass only.
        rules: names the rules that the texts were found clean by (a digest). Of other rules
            nothing is taken over.
    """

    def __init__(self, path: Path | None = None, rules: str = "") -> None:
        self._path = path
        self._rules = rules
        self._sorted: list[Hash] = []
        self.known = 0
        """Texts that `news` left out."""
        if path is not None:
            self._load(path)

    def __len__(self) -> int:
        return sum(map(len, self._sorted))

    def news(self, texts: pl.Series) -> tuple[Ints, Hash]:
        """Which texts were not seen yet, each once, and their hashes; nulls are none."""
        hashes = _hashes(texts)
        fresh = ~texts.is_null().to_numpy()
        there = int(np.count_nonzero(fresh))
        for known in self._sorted:
            places = np.searchsorted(known, hashes)
            places[places == len(known)] = 0
            fresh &= known[places] != hashes
        at = np.flatnonzero(fresh)
        found, first = np.unique(hashes[at], return_index=True)
        self.known += there - len(found)
        order = np.argsort(first)
        return at[first[order]], found[order]

    def add(self, hashes: Hash) -> None:
        """Take texts that were found clean; `hashes` as `news` gave them."""
        if not len(hashes):
            return
        self._sorted.append(np.sort(hashes))
        while len(self._sorted) > 1 and len(self._sorted[-2]) < _STEP * len(self._sorted[-1]):
            last = self._sorted.pop()
            # No text is news twice, so they have nothing in common; sorted in place, since what
            # is held of a million texts should be held once.
            self._sorted[-1] = np.concatenate([self._sorted[-1], last])
            self._sorted[-1].sort()

    def save(self) -> None:
        """Write the file anew, whole or not at all.

        Raises:
            OSError: it can't be written.
        """
        if self._path is None:
            return
        hashes = np.unique(np.concatenate([np.empty(0, np.uint64), *self._sorted]))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{self._path.name}-", dir=self._path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(self._head(len(hashes))).encode() + b"\n")
                file.write(hashes.astype("<u8").tobytes())
            Path(name).replace(self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def _head(self, count: int) -> dict[str, Any]:
        probes = [f"{value:016x}" for value in _hashes(pl.Series(_PROBES)).tolist()]
        made_by = f"polars {pl.__version__}"
        return {
            "scheme": _SCHEME,
            "rules": self._rules,
            "made_by": made_by,
            "probes": probes,
            "count": count,
        }

    def _load(self, path: Path) -> None:
        try:
            head, _, body = path.read_bytes().partition(b"\n")
        except OSError:
            return
        hashes = np.frombuffer(body[: len(body) // 8 * 8], "<u8").astype(np.uint64)
        try:
            fits = json.loads(head) == self._head(len(hashes))
        except ValueError:
            return
        if fits and len(body) == 8 * len(hashes) and bool(np.all(hashes[1:] > hashes[:-1])):
            self._sorted = [hashes] if len(hashes) else []
