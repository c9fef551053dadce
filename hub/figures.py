"""Figures that are counted from the rows of a version: for its manifest and its card."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from charter.hub.judge_figures import JudgeFigures
from charter.hub.part import Part
from charter.rows import Verdict

__all__ = ["Figures"]

_QUANTILES: Final = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1.0}
_TEXTS: Final = (
    ("sft", "prompt"),
    ("sft", "completion"),
    ("preference", "chosen"),
    ("preference", "rejected"),
)

Numbers = npt.NDArray[Any]


class Figures:
    """Counts and distributions over batches of rows; eight bytes are kept of each text."""

    def __init__(self) -> None:
        self._verdicts: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._rejects: Counter[tuple[str, str]] = Counter()
        self._consistent = 0
        self._p_chosen: list[Numbers] = []
        self._lengths: dict[str, list[Numbers]] = {}
        self._judge = JudgeFigures()

    def see(self, part: Part) -> None:
        """Count one batch."""
        self._judge.see(part)
        if part.config == "judgments":
            self._verdicts.update(part.column("verdict").to_list())
        if part.config == "preference":
            self._sources.update(part.column("label_source").to_list())
            self._consistent += int(part.column("order_consistent").sum())
            self._p_chosen.append(part.column("p_chosen").to_numpy())
        if part.config == "rejects":
            self._rejects.update(part.frame("ledger", "reason").rows())
        for config, column in _TEXTS:
            if config == part.config:
                lengths = part.lengths(column)
                self._lengths.setdefault(f"{config}.{column}", []).append(lengths)

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
        lengths = {
            f"{config}.{column}": np.concatenate(self._lengths[f"{config}.{column}"])
            for config, column in _TEXTS
            if f"{config}.{column}" in self._lengths
        }
        if self._verdicts:
            result["verdicts"] = {each.value: self._verdicts[each.value] for each in Verdict}
        if self._p_chosen:
            result |= self._pairs(lengths["preference.chosen"], lengths["preference.rejected"])
        if self._rejects:
            by_ledger: dict[str, dict[str, int]] = {}
            for (ledger, reason), n in sorted(self._rejects.items()):
                by_ledger.setdefault(ledger, {})[reason] = n
            result["rejects"] = by_ledger
        if lengths:
            result["lengths"] = {name: _quantiles(each) for name, each in lengths.items()}
        return result

    def _pairs(self, chosen: Numbers, rejected: Numbers) -> dict[str, Any]:
        rows = len(chosen)
        return {
            "order_consistent": {"consistent": self._consistent, "rows": rows},
            "label_sources": dict(sorted(self._sources.items())),
            "p_chosen": _quantiles(np.concatenate(self._p_chosen)),
            "chosen_longer": {"longer": int((chosen > rejected).sum()), "rows": rows},
        }


def _quantiles(values: Numbers) -> dict[str, Any]:
    """Nearest-rank quantiles: each is a value that occurs."""
    ordered = np.sort(values)
    last = len(ordered) - 1
    return {name: ordered[round(share * last)].item() for name, share in _QUANTILES.items()}
