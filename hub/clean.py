"""Texts that a check has found clean, so that the next version reads only what is new.

Kept is a 64-bit hash a text. The hash is polars' own, for speed: it is good for one release of
polars on one kind of processor, so the file says what it made of known texts, and where that is
something else now the file counts for nothing. It is a cache: whatever is wrong with it, all that
is lost is time. What is more than a few million texts is looked up on disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from charter.hub.mapped import Mapped
from charter.hub.tally import scratch, written
from charter.hub.twice import Hash

__all__ = ["Clean"]

_SCHEME: Final = 1
_PROBES: Final = ("", "charter", "Grüße, 世界", "a longer text than fits into a few words " * 9)
# Arrays of hashes are merged when the one before is not this many times as long.
_STEP: Final = 4
# Hashes that are held; more of them go to a file.
_HELD: Final = 1 << 20
# Hashes that are written at once.
_PIECE: Final = 1 << 18
_BYTES: Final = 8
_LINE: Final = 1 << 12

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
        self._files: list[Mapped] = []
        self._sorted: list[Hash] = []
        self.known = 0
        """Texts that `news` left out."""
        if path is not None:
            self._load(path)
        self._loaded = len(self)

    def __len__(self) -> int:
        return sum(map(len, self._files)) + sum(map(len, self._sorted))

    def news(self, texts: pl.Series) -> tuple[Ints, Hash]:
        """Which texts were not seen yet, each once, and their hashes; nulls are none."""
        there = np.flatnonzero(~texts.is_null().to_numpy())
        hashes = _hashes(texts)[there]
        order = np.argsort(hashes, kind="stable")
        at, hashes = there[order], hashes[order]
        fresh = np.ones(len(hashes), np.bool_)
        fresh[1:] = hashes[1:] != hashes[:-1]
        for known in self._sorted:
            places = np.searchsorted(known, hashes)
            places[places == len(known)] = 0
            fresh &= known[places] != hashes
        for file in self._files:
            fresh &= ~file.has(hashes)
        at, hashes = at[fresh], hashes[fresh]
        self.known += len(there) - len(at)
        order = np.argsort(at)
        return at[order], hashes[order]

    def add(self, hashes: Hash) -> None:
        """Take texts that were found clean; `hashes` as `news` gave them.

        Raises:
            Failure: there is no room on the disk for temporary files.
        """
        if not len(hashes):
            return
        self._sorted.append(np.sort(hashes))
        while len(self._sorted) > 1 and len(self._sorted[-2]) < _STEP * len(self._sorted[-1]):
            last = self._sorted.pop()
            # No text is news twice, so they have nothing in common.
            self._sorted[-1] = np.concatenate([self._sorted[-1], last])
            self._sorted[-1].sort()
        if sum(map(len, self._sorted)) > _HELD:
            hashes = np.sort(np.concatenate(self._sorted))
            with scratch() as file:
                written(file, hashes)
                self._files.append(Mapped(file, 0, len(hashes)))
            self._sorted = []

    def save(self) -> None:
        """Write the file anew, whole or not at all.

        Raises:
            OSError: it can't be written.
        """
        if self._path is None or (len(self) == self._loaded and self._loaded):
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{self._path.name}-", dir=self._path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self._head(len(self)))
                for hashes in self._pieces():
                    file.write(hashes.astype("<u8").tobytes())
            Path(name).replace(self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def _pieces(self) -> Iterator[Hash]:
        """Every hash, ascending, some at a time: hashes are spread evenly."""
        pieces = 1 + len(self) // _PIECE
        edges = [(number << 64) // pieces for number in range(1, pieces)]
        for low, high in zip([0, *edges], [*edges, None], strict=True):
            found = [file.between(low, high) for file in self._files]
            for held in self._sorted:
                ends = len(held) if high is None else np.searchsorted(held, np.uint64(high))
                found.append(held[np.searchsorted(held, np.uint64(low)) : ends])
            yield np.sort(np.concatenate([np.empty(0, np.uint64), *found]))

    def _head(self, count: int) -> bytes:
        """What the file begins with: a line, as long as the numbers after it want."""
        probes = [f"{value:016x}" for value in _hashes(pl.Series(_PROBES)).tolist()]
        head = {
            "scheme": _SCHEME,
            "rules": self._rules,
            "made_by": f"polars {pl.__version__}",
            "probes": probes,
            "count": count,
        }
        line = json.dumps(head).encode()
        return line + b" " * (-(len(line) + 1) % _BYTES) + b"\n"

    def _load(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                line = file.readline(_LINE)
                count, rest = divmod(os.fstat(file.fileno()).st_size - len(line), _BYTES)
                if rest or line != self._head(count):
                    return
                found = Mapped(file, len(line), count)
        except OSError:
            return
        if found.ascends() and len(found):
            self._files = [found]
