"""What is kept of walked rows beside what is published: counts, and one example of each kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from charter.rows import Row

__all__ = ["Summary"]


@dataclass(slots=True)
class Summary:
    """Counts over the rows of a run.

    Attributes:
        verdicts: votes by verdict.
        pairs: pairs by outcome: `kept`, or the reason why not.
        pairs_judged: pairs that have a vote.
        pairs_formed: pairs that count for the ledger.
        faults: rows that lost a call, by step and reason.
        trace: the first row that went through all its revisions.
        pair: the first row with a kept label, and that label.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    pairs: Counter[str] = field(default_factory=Counter)
    pairs_judged: int = 0
    pairs_formed: int = 0
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    trace: Row | None = None
    pair: tuple[Row, Row] | None = None

    def see(self, row: Row, formed: int) -> None:
        """Count a labelled row, of which so many pairs were formed."""
        self.pairs_formed += formed
        if row["votes"]:
            self.verdicts.update(vote["verdict"] for vote in row["votes"])
            self.pairs_judged += len({vote["comparison_id"] for vote in row["votes"]})
        for label in row["labels"]:
            self.pairs[label["reason"] or "kept"] += 1
            if self.pair is None and not label["reason"]:
                self.pair = (row, label)
        for fault in row["faults"]:
            self.faults[fault["stage"], fault["reason"]] += 1
        if self.trace is None and row["revisions"] and not row["faults"]:
            self.trace = row
