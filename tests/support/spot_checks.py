"""Spot-checks made up for tests."""

from __future__ import annotations

from charter.review.spot_check import Human, Share, SpotCheck


def spot_check(row=0, reviewer="ann", verdict="CHOSEN", **changes):
    """A blind answer on a row of a version; keywords replace fields of it."""
    fields = {
        "id": f"{row}-{reviewer}",
        "kind": "preference",
        "row_id": f"p{row}#a~b",
        "prompt_id": f"p{row}",
        "principle_id": "kind",
        "category": "made up",
        "reviewer": reviewer,
        "verdict": Human(verdict),
        "sure": None,
        "critique_right": None,
        "still_harmful": None,
        "over_refusing": None,
        "comment": None,
        "first": ("chosen", "rejected")[row % 2] if isinstance(row, int) else "chosen",
        "saw_ai": False,
        "share": Share.UNIFORM,
        "stratum": "kind/made up/0.6",
        "inclusion": 1.0,
        "gold": None,
        "p_chosen": 0.8,
        "texts": "same",
        "version": "v0.1.0",
        "submitted": "2026-01-01T00:00:00Z",
    }
    return SpotCheck(**(fields | changes))


def revision_check(row=0, reviewer="ann", verdict="BETTER", **changes):
    """A blind answer on an `sft` row."""
    fields = {"kind": "sft", "row_id": f"p{row}#sft", "first": None, "p_chosen": None}
    return spot_check(row, reviewer, verdict, **(fields | changes))
