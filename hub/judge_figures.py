"""What the votes of a version say of its judge: of places, of orders, and of what it left open."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from charter.hub.part import Part
from charter.rows import Order, Verdict
from charter.stats import wilson

__all__ = ["JudgeFigures"]

_MERGED: Final = 1 << 16
_BINS: Final = 10


class JudgeFigures:
    """Counts over batches of judgments and of labels; comparisons are merged as they grow."""

    def __init__(self) -> None:
        self._votes = 0
        self._decided = 0
        self._first = 0
        self._open: dict[str, int] = {Verdict.TIE.value: 0, Verdict.UNPARSED.value: 0}
        self._both: list[pl.DataFrame] = []
        self._asked = self._agreed = self._one_order = 0
        self._bins = [0] * _BINS
        self._source: dict[str, int] = {}

    def see(self, part: Part) -> None:
        """Count one batch."""
        if part.config == "preference":
            # A hair above the edge, where 0.6 - 0.5 falls short of it by rounding.
            places = ((part.column("p_chosen") - 0.5) * 2 * _BINS + 1e-9).cast(pl.Int64)
            for place in places.to_list():
                self._bins[min(place, _BINS - 1)] += 1
            for word in part.column("source_label").drop_nulls().to_list():
                self._source[word] = self._source.get(word, 0) + 1
        if part.config != "judgments":
            return
        votes = part.frame("comparison_id", "principle_id", "order", "verdict", "p_a")
        verdict = pl.col("verdict")
        self._votes += votes.height
        for word in self._open:
            self._open[word] += int((votes["verdict"] == word).sum())
        decided = votes.filter(verdict.is_in([Verdict.A.value, Verdict.B.value]))
        self._decided += decided.height
        # The order's first letter is the candidate that stood first.
        self._first += int((decided["order"].str.head(1) == decided["verdict"]).sum())
        self._add(votes.drop_nulls("p_a"))

    def _add(self, votes: pl.DataFrame) -> None:
        order = pl.col("order")
        self._both.append(
            votes.group_by("comparison_id", "principle_id").agg(
                *(
                    each
                    for name in Order
                    for each in (
                        pl.col("p_a").filter(order == name.value).sum().alias(f"{name}_sum"),
                        (order == name.value).sum().cast(pl.Int64).alias(f"{name}_n"),
                    )
                )
            )
        )
        if sum(each.height for each in self._both) > _MERGED:
            self._settle(keep=self._both[-1])

    def _settle(self, keep: pl.DataFrame | None = None) -> None:
        """Count the comparisons that are whole; those of the last batch may go on in the next."""
        if not self._both:
            return
        keys = ["comparison_id", "principle_id"]
        whole = pl.concat(self._both).group_by(keys).sum()
        self._both = []
        if keep is not None:
            last = keep.select("comparison_id").unique()
            self._both = [whole.join(last, on="comparison_id", how="semi")]
            whole = whole.join(last, on="comparison_id", how="anti")
        both = whole.filter((pl.col("AB_n") > 0) & (pl.col("BA_n") > 0))
        sides = [(pl.col(f"{name}_sum") / pl.col(f"{name}_n") - 0.5).sign() for name in Order]
        self._asked += both.height
        self._one_order += whole.height - both.height
        agreed = both.select(((sides[0] == sides[1]) & (sides[0] != 0)).sum()).item()
        self._agreed += int(agreed)

    def result(self) -> dict[str, Any]:
        """The figures; none without votes.

        Returns:
            `judge`: `first_position_rate`, `order_consistency`, `tie_rate` and `unparsed_rate` as
            estimates (Wilson), each over votes but the second, which is over comparisons, a pair
            under a principle each; `one_order`: comparisons with votes in one order alone.
            `p_chosen_bins`: labels by p_chosen, in ten bins from 0.5 to 1.
            `source_labels`: labels by what their source's own label says of them.
        """
        found: dict[str, Any] = {}
        if self._votes:
            self._settle()
            found["judge"] = {
                "order_consistency": wilson(self._agreed, self._asked).as_json(),
                "first_position_rate": wilson(self._first, self._decided).as_json(),
                "tie_rate": wilson(self._open[Verdict.TIE], self._votes).as_json(),
                "unparsed_rate": wilson(self._open[Verdict.UNPARSED], self._votes).as_json(),
                "one_order": self._one_order,
            }
        if any(self._bins):
            found["p_chosen_bins"] = self._bins
        if self._source:
            found["source_labels"] = dict(sorted(self._source.items()))
        return found
