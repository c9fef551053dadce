"""The account of a run, for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from charter.cli.lines import duration, money, rate
from charter.cli.output import Output
from charter.cli.rejects import print_rows, rows_by_reason
from charter.cli.trace import print_pair, print_prompt, print_revisions
from charter.run.report_account import HUMAN_COMPARISON, account_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from charter.run.execute import RunResult

__all__ = ["print_account"]


def print_account(output: Output, result: RunResult, *, dry_run: bool = False) -> None:
    """Print what a run made, what it used and what failed, with an example of each kind."""
    output.line()
    _print_version(output, result, dry_run)
    _print_outcomes(output, result)
    _print_examples(output, result)
    _print_calls(output, result)
    _print_cost(output, result)
    _print_faults(output, result)


def _print_version(output: Output, result: RunResult, dry_run: bool) -> None:
    published = result.published
    named = f"{published.repo}@{published.tag}"
    if published.new and dry_run:
        output.line(f"{named} would be published (--dry-run); its files: {published.path}")
    elif published.new:
        output.line(f"{named} is published in {published.path}")
    else:
        output.line(f"nothing changed: {named} in {published.path}")
    output.table(("config", "rows"), list(result.counts.items()))
    if result.counts.get("rejects"):
        from charter.hub import open_version

        print_rows(output, rows_by_reason(open_version(published.path)))
    files = sorted(path for path in published.path.rglob("*") if path.is_file())
    output.table(
        ("file", "bytes"),
        [(str(file.relative_to(published.path)), file.stat().st_size) for file in files],
    )


def _print_outcomes(output: Output, result: RunResult) -> None:
    summary = result.summary
    if summary.verdicts:
        output.line(f"votes: {_counted(summary.verdicts)}")
    if summary.pairs:
        output.line(f"pairs: {_counted(summary.pairs)}")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))


def _print_examples(output: Output, result: RunResult) -> None:
    trace, pair = result.summary.trace, result.summary.pair
    if trace is not None:
        output.line("\nOne revision trace")
        print_prompt(output, trace["prompt"])
        print_revisions(output, trace["initial_response"], trace["revisions"])
    if pair is not None:
        output.line("\nOne judged pair")
        print_prompt(output, pair[0]["prompt"][-1:])
        print_pair(output, *pair)


def _print_calls(output: Output, result: RunResult) -> None:
    tally = result.tally
    output.line()
    output.table(
        ("step", "calls", "cached", "failed", "cut"),
        [
            (step, n, tally.cached[step], tally.failed[step], tally.cut[step])
            for step, n in tally.calls.items()
        ],
    )
    failed = f", {tally.failed.total()} failed for good" if tally.failed.total() else ""
    output.line(f"{tally.calls.total()} calls, {tally.cached.total()} of them cached{failed}")
    if tally.cut.total():
        output.line(f"{tally.cut.total()} answers were cut at max_tokens")


def _print_cost(output: Output, result: RunResult) -> None:
    found = account_of(result)
    tokens = found["tokens"]
    parts = [f"{tokens['read']:,} tokens read", f"{tokens['written']:,} written"]
    parts.append("cost not known" if result.cost is None else money(result.cost))
    parts.append(duration(result.seconds))
    if found["calls_per_second"] is not None:
        parts.append(f"{rate(found['calls_per_second'])} calls/s")
    output.line(", ".join(parts))
    if result.cost is None:
        roles = ", ".join(sorted(result.tally.unpriced))
        output.line(f"no price is given for {roles}: models.ROLE.price, money per million tokens")
    each = found["cost_per_comparison"]
    if each is not None:
        low, high = HUMAN_COMPARISON
        human = f"{low:.2f}-{high:.2f} dollars of a human one"
        output.line(f"cost per comparison: ${each:.4f} ({human})")


def _print_faults(output: Output, result: RunResult) -> None:
    faults = result.summary.faults
    if not faults and not result.tally.failed:
        return
    if faults:
        output.line("\nWhat failed")
        output.table(
            ("step", "reason", "rows"),
            [(stage, reason, n) for (stage, reason), n in faults.most_common()],
        )
    # A vote that failed is no fault of its row, but a call to ask again all the same.
    output.line("To ask again for these: the same command with --retry-rejects")
