"""What a run used, in figures: tokens, time, money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charter.run.execute import RunResult

__all__ = ["HUMAN_COMPARISON", "account_of", "cost_per_comparison"]

HUMAN_COMPARISON = (0.50, 5.00)
"""What one comparison by a person costs, in dollars: from a crowd's to an expert's."""


def cost_per_comparison(result: RunResult) -> float | None:
    """Money for one compared pair, with all that was written for it.

    What the cache answered cost nothing now, so only the share of the judge's calls that were
    made stands for comparisons that were paid for. None where that is none, or a price is
    not known.
    """
    judged, cached = (
        # `judge`, or `judge-1` and on where pairs are adaptive.
        sum(n for step, n in counts.items() if step.partition("-")[0] == "judge")
        for counts in (result.tally.calls, result.tally.cached)
    )
    if result.cost is None or not result.summary.pairs_judged or judged <= cached:
        return None
    paid = result.summary.pairs_judged * (judged - cached) / judged
    return float(result.cost / paid)


def account_of(result: RunResult) -> dict[str, Any]:
    """The account of a run as JSON values; null where a figure is not known."""
    tally = result.tally
    made = tally.calls.total() - tally.cached.total()
    read, written = (sum(pair[i] for pair in tally.tokens.values()) for i in (0, 1))
    rate = made / result.seconds if made and result.seconds > 0 else None
    return {
        "tokens": {"read": read, "written": written},
        "hours": result.seconds / 3600,
        "cost_per_comparison": cost_per_comparison(result),
        "calls_per_second": rate,
        "failed_calls": tally.failed.total(),
        "cut_answers": tally.cut.total(),
    }
