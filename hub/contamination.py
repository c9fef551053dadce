"""Whether the texts of a version overlap with sets that models are evaluated on.

As Brown et al. 2020 (GPT-3, arXiv 2005.14165, appendix C) and the harnesses after it do: a text
overlaps with a set when the two share 13 words in a row. A record of fewer words overlaps with a
text that says just that and nothing else; so does each message of a conversation, but for those of
fewer than four words (`Yes.`, `Go on.`). Words that more than ten records of a set share are the
frame it puts its questions in, and don't count.

What this can't see: a question in other words, or in another language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from charter.hub.clean import Clean
from charter.hub.columns import SHOWN, some
from charter.hub.evaluation_sets import EvaluationSet, load_sets
from charter.hub.ngrams import WORDS, grams
from charter.hub.part import Part
from charter.hub.schema import TRAINED
from charter.hub.secrets import masked
from charter.hub.texts import row_names, text_columns
from charter.hub.twice import Hash
from charter.rows import digest

__all__ = ["Action", "ContaminationCheck", "EvaluationSet", "Overlap", "load_sets"]

Action = Literal["report", "fail", "drop"]

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "sft": ("prompt.content", "completion.content"),
    "preference": ("prompt.content", "chosen.content", "rejected.content"),
}
"""What is compared: all that people train on."""

_SCHEME: Final = 1
# Bits of a hash that a first look goes by, and how many places there are for each hash of a set.
_MOST_BITS: Final = 27
_ROOM: Final = 16


class _Sieve:
    """Leaves out nearly all hashes that are in no set, by one look into a table."""

    def __init__(self, sets: Sequence[EvaluationSet]) -> None:
        total = sum(len(each.hashes) for each in sets)
        bits = min(max((_ROOM * total).bit_length(), 10), _MOST_BITS)
        self._shift = np.uint64(64 - bits)
        self._there = np.zeros(1 << bits, bool)
        for each in sets:
            self._there[each.hashes >> self._shift] = True

    def may_hit(self, hashes: Hash) -> npt.NDArray[np.int64]:
        """Which hashes may be in a set."""
        return np.flatnonzero(self._there[hashes >> self._shift])


@dataclass(slots=True)
class _Found:
    """What was found of one set."""

    rows: int = 0
    names: list[str] = field(default_factory=list)
    hashes: Hash = field(default_factory=lambda: np.empty(0, np.uint64))


class Overlap:
    """Compares texts with sets; made once, for many texts."""

    def __init__(self, sets: Sequence[EvaluationSet]) -> None:
        self.sets = tuple(sets)
        self._sieve = _Sieve(self.sets)

    def of(self, texts: pl.Series) -> list[tuple[npt.NDArray[np.int64], Hash]]:
        """For each set the texts that overlap with it, and the hashes that say so."""
        found = grams(texts)
        hashes = np.concatenate((found.grams, found.whole))
        text = np.concatenate((found.text, np.arange(len(texts))))
        may = self._sieve.may_hit(hashes)
        hashes, text = hashes[may], text[may]
        hits = [each.hit(hashes) for each in self.sets]
        return [(np.unique(text[hit]), np.unique(hashes[hit])) for hit in hits]

    def names(self, texts: Sequence[str]) -> list[str]:
        """The names of the sets that any of the texts overlaps with."""
        found = self.of(pl.Series(texts, dtype=pl.String))
        return [each.name for each, (hit, _) in zip(self.sets, found, strict=True) if len(hit)]


class ContaminationCheck:
    """Which rows that people train on overlap with evaluation sets.

    Args:
        sets: the sets.
        action: `report` tells; `fail` makes an overlap a problem; so does `drop`, for what was to
            be dropped should be gone.
        clean: texts that were found clean before are not compared again.
    """

    def __init__(
        self,
        sets: Sequence[EvaluationSet],
        action: Action = "report",
        clean: Clean | None = None,
    ) -> None:
        self._overlap = Overlap(sets)
        self._action = action
        self._clean = Clean() if clean is None else clean
        self._found = [_Found() for _ in sets]
        self._rows = 0

    @staticmethod
    def clean_rules(sets: Iterable[EvaluationSet]) -> str:
        """What a `Clean` for these sets must have been made by."""
        return digest("contamination", _SCHEME, WORDS, sorted(each.fingerprint for each in sets))

    def see(self, part: Part) -> None:
        """Compare the texts of one batch."""
        if part.config not in TRAINED or not self._overlap.sets:
            return
        self._rows += len(part)
        hit_rows: list[set[int]] = [set() for _ in self._found]
        for column in text_columns(part, COLUMNS[part.config]):
            fresh, hashes = self._clean.news(column.texts)
            if not len(fresh):
                continue
            texts = column.texts.gather(fresh)
            unclean: set[int] = set()
            for rows, found, (hit, grams_hit) in zip(
                hit_rows, self._found, self._overlap.of(texts), strict=True
            ):
                unclean.update(hit.tolist())
                found.hashes = np.union1d(found.hashes, grams_hit)
                again = column.texts.is_in(texts.gather(hit).implode()).arg_true().to_numpy()
                rows.update(column.rows[again].tolist())
            self._clean.add(np.delete(hashes, sorted(unclean)))
        for rows, found in zip(hit_rows, self._found, strict=True):
            self._note(part, sorted(rows), found)

    def problems(self) -> Iterator[str]:
        """Overlaps, where the recipe allows none."""
        if self._action != "report":
            yield from self._overlapping()

    def told(self) -> str:
        """What is said when there is no problem."""
        if not self._overlap.sets:
            return "no evaluation sets were named"
        found = list(self._overlapping())
        names = ", ".join(each.name for each in self._overlap.sets)
        return ". ".join(found) if found else f"no row of {self._rows} overlaps with {names}"

    def figures(self) -> dict[str, Any]:
        """Set -> `rows` that overlap, their `share`, `records`, `records_hit`, `framed`."""
        return {
            each.name: {
                "rows": found.rows,
                "share": found.rows / self._rows if self._rows else 0.0,
                "records": each.records,
                "records_hit": each.records_of(found.hashes),
                "framed": each.framed,
                "fingerprint": each.fingerprint,
            }
            for each, found in zip(self._overlap.sets, self._found, strict=True)
        }

    def _overlapping(self) -> Iterator[str]:
        for each, found in zip(self._overlap.sets, self._found, strict=True):
            if found.rows:
                named = some(found.names, found.rows - len(found.names))
                share = found.rows / self._rows
                hit = each.records_of(found.hashes)
                yield (
                    f"{found.rows} of {self._rows} rows ({share:.2%}) overlap with {hit} of "
                    f"{each.records} records of {each.name}: {named}"
                )

    def _note(self, part: Part, rows: list[int], found: _Found) -> None:
        room = SHOWN - len(found.names)
        found.rows += len(rows)
        if rows and room > 0:
            names = row_names(part, rows[:room])
            found.names += [f"{part.config} {masked(name)}" for name in names]
