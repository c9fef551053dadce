"""What was turned away: the reasons, how often each, and where to look first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charter.cli.output import Output
    from charter.hub import Version
    from charter.recipes import Reject

__all__ = ["counted_records", "print_records", "print_rows", "rows_by_reason"]


def counted_records(rejects: Sequence[Reject]) -> dict[str, Any]:
    """The object for machines: how many records, and how many by reason."""
    by_reason = Counter(str(each.reason) for each in rejects)
    return {"total": len(rejects), "by_reason": dict(by_reason.most_common())}


def print_records(output: Output, rejects: Sequence[Reject], kept: int) -> None:
    """Why records are no prompts, with the first of each reason; a warning where most are none."""
    if not rejects:
        return
    first: dict[str, str] = {}
    for each in rejects:
        first.setdefault(str(each.reason), each.detail)
    counts = counted_records(rejects)["by_reason"]
    output.table(
        ("rejected", "records", "the first"), [(r, n, first[r]) for r, n in counts.items()]
    )
    if len(rejects) > kept:
        every = len(rejects) + kept
        output.line(f"warning: {len(rejects)} of {every} records were turned away")


def rows_by_reason(version: Version) -> dict[str, dict[str, int]]:
    """The rejects of a version: by stage, then by reason, the most of them first."""
    if "rejects" not in version.configs():
        return {}
    counts = version.rows("rejects", None).group_by("stage", "reason", maintain_order=True).len()
    found: dict[str, dict[str, int]] = {}
    for stage, reason, n in counts.sort("len", descending=True, maintain_order=True).iter_rows():
        found.setdefault(stage, {})[reason] = n
    return found


def print_rows(output: Output, found: Mapping[str, Mapping[str, int]]) -> None:
    """A version's rejects, as `rows_by_reason` says."""
    rows = [(stage, reason, n) for stage, by in found.items() for reason, n in by.items()]
    if rows:
        output.table(("rejected at", "reason", "rows"), rows)
