"""Figures that are counted from the rows of a version: for its manifest and its card."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from charter.hub.judge_figures import JudgeFigures
from charter.hub.part import Part
from charter.hub.tally import Tally, together
from charter.rows import Verdict

__all__ = ["Figures"]

_QUANTILES: Final = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1.0}
_TEXTS: Final = (
    ("sft", "prompt"),
    ("sft", "completion"),
    ("preference", "chosen"),
    ("preference", "rejected"),
)


class Figures:
    """Counts and distributions over batches of rows."""

    def __init__(self) -> None:
        self._verdicts: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._rejects: Counter[tuple[str, str]] = Counter()
        self._consistent = 0
        self._rows = self._longer = 0
        self._p_chosen = _Spread(np.float64)
        self._lengths: dict[str, _Spread] = {}
        self._judge = JudgeFigures()

    def see(self, part: Part) -> None:
        """Count one batch."""
        self._judge.see(part)
        if part.config == "judgments":
            self._verdicts.update(part.column("verdict").to_list())
        if part.config == "preference":
            self._sources.update(part.column("label_source").to_list())
            self._consistent += int(part.column("order_consistent").sum())
            self._p_chosen.add(part.column("p_chosen").to_numpy())
            self._rows += len(part)
        if part.config == "rejects":
            self._rejects.update(part.frame("ledger", "reason").rows())
        lengths = {
            column: part.lengths(column) for config, column in _TEXTS if config == part.config
        }
        for column, each in lengths.items():
            self._lengths.setdefault(f"{part.config}.{column}", _Spread(np.int64)).add(each)
        if part.config == "preference":
            self._longer += int((lengths["chosen"] > lengths["rejected"]).sum())

    def result(self) -> dict[str, Any]:
        """The figures; names without rows behind them are left out.

        Returns:
            `verdicts`: verdict -> votes.
            `order_consistent`: `consistent` of `rows` labels have one winner in both orders.
            `label_sources`: source -> rows.
            `p_chosen`: quantiles.
            `chosen_longer`: in `longer` of `rows` pairs the chosen text has more characters.
            `rejects`: ledger -> reason -> rejects.
            `lengths`: `config.column` -> quantiles of its length in characters.
            And those of `charter.hub.judge_figures`.
        """
        result: dict[str, Any] = self._judge.result()
        if self._verdicts:
            result["verdicts"] = {each.value: self._verdicts[each.value] for each in Verdict}
        if self._rows:
            result |= self._pairs()
        if self._rejects:
            by_ledger: dict[str, dict[str, int]] = {}
            for (ledger, reason), n in sorted(self._rejects.items()):
                by_ledger.setdefault(ledger, {})[reason] = n
            result["rejects"] = by_ledger
        if self._lengths:
            names = [f"{config}.{column}" for config, column in _TEXTS]
            result["lengths"] = {
                name: self._lengths[name].quantiles() for name in names if name in self._lengths
            }
        return result

    def _pairs(self) -> dict[str, Any]:
        return {
            "order_consistent": {"consistent": self._consistent, "rows": self._rows},
            "label_sources": dict(sorted(self._sources.items())),
            "p_chosen": self._p_chosen.quantiles(),
            "chosen_longer": {"longer": self._longer, "rows": self._rows},
        }


class _Spread:
    """How some numbers are spread: of 64 bits each, none negative.

    As bits they are in the same order as by value.
    """

    def __init__(self, kind: type[np.generic]) -> None:
        self._kind = kind
        self._tally = Tally()
        self._total = 0

    def add(self, values: npt.NDArray[Any]) -> None:
        """Take some."""
        self._tally.add(np.ascontiguousarray(values, self._kind).view(np.uint64))
        self._total += len(values)

    def quantiles(self) -> dict[str, Any]:
        """Nearest-rank quantiles: each is a value that occurs."""
        ranks = {name: round(share * (self._total - 1)) for name, share in _QUANTILES.items()}
        found: dict[str, Any] = {}
        before = 0
        for keys, (counts,) in together(self._tally):
            ends = before + np.cumsum(counts)
            for name, rank in ranks.items():
                if before <= rank < ends[-1]:
                    at = np.searchsorted(ends, rank, "right")
                    found[name] = keys[at : at + 1].view(self._kind)[0].item()
            before = int(ends[-1])
        return {name: found[name] for name in _QUANTILES}
