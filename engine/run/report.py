"""The report of a run, as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from charter.html import figures, page, section, table, text
from charter.plots import Series, bars, estimates, grid, histogram, lines
from charter.recipes import Loaded
from charter.run.folder import write_whole
from charter.run.report_account import HUMAN_COMPARISON, account_of
from charter.run.report_browse import SCRIPT, pair_browser, trace_browser
from charter.run.report_data import Shown, read_shown
from charter.run.report_events import History, read_history
from charter.stats import Estimate

if TYPE_CHECKING:
    from charter.hub import Version
    from charter.run.execute import RunResult

__all__ = ["write_report"]


def write_report(path: Path, loaded: Loaded, result: RunResult) -> None:
    """Write `report.html` of a run.

    The rows are read from the published version, and of them a sample; the load over time from
    the run's `events.jsonl`, all sessions one after the other.

    Raises:
        InputError: the version cannot be read.
    """
    from charter.hub import open_version

    version = open_version(result.published.path)
    shown = read_shown(version)
    history = read_history(result.folder / "events.jsonl")
    parts = [
        _head(loaded, result),
        section("Rows", _rows(result, shown)),
        section("Calls", _calls(result, history)),
        section("Cost", _cost(loaded, result, history)),
        section("Load", _load(history)),
    ]
    if loaded.recipe.sft:
        parts.append(section("Revisions", _revisions(version, loaded, shown)))
    if loaded.recipe.preference:
        parts.append(section("Judging", _judging(result, shown)))
        parts.append(section("Judged pairs", pair_browser(version, loaded)))
    title = f"{loaded.recipe.name}: {result.published.repo}@{result.published.tag}"
    write_whole(path, page(title, parts, SCRIPT))


def _head(loaded: Loaded, result: RunResult) -> str:
    published, tally = result.published, result.tally
    made = tally.calls.total() - tally.cached.total()
    new = "New version" if published.new else "Nothing changed: the version is still"
    constitution = loaded.constitution
    entries = [
        *((name, f"{count:,}") for name, count in result.counts.items()),
        ("calls made", f"{made:,}"),
        ("from the cache", f"{tally.cached.total():,}"),
        ("cost", _money(result.cost)),
        ("time", f"{result.seconds:,.0f} s"),
    ]
    return (
        f"<p>{new} <b>{text(published.repo)}@{text(published.tag)}</b>, "
        f"run {text(result.run)}, constitution {text(constitution.name)} "
        f"{text(constitution.version)} ({len(constitution.principles)} principles)</p>\n"
        + figures(entries)
    )


def _money(cost: float | None) -> str:
    return "not known" if cost is None else f"${cost:,.4f}"


def _rows(result: RunResult, shown: Shown) -> Iterator[str]:
    yield table(("config", "rows"), result.counts.items())
    reasons = [(f"{reason} ({ledger})", float(count)) for ledger, reason, count in shown.rejects]
    yield grid([bars("Rejects by reason", reasons)])
    faults = result.summary.faults.most_common()
    if faults:
        yield '<p class="note">Rows that lost a call, by step and reason:</p>'
        yield table(("step", "reason", "rows"), [(*key, count) for key, count in faults])


def _calls(result: RunResult, history: History) -> Iterator[str]:
    tally = result.tally
    yield table(
        ("step", "calls", "from the cache", "failed", "cut at max_tokens"),
        [
            (step, n, tally.cached[step], tally.failed[step], tally.cut[step])
            for step, n in tally.calls.items()
        ],
    )
    if history.errors:
        yield '<p class="note">What the servers said of calls that failed for good:</p>'
        said = [(step, error[:200], n) for (step, error), n in history.errors.most_common(10)]
        yield table(("step", "error", "calls"), said)


def _cost(loaded: Loaded, result: RunResult, history: History) -> Iterator[str]:
    tally, found = result.tally, account_of(result)
    rows = []
    for role, (read, written) in tally.tokens.items():
        settings = loaded.recipe.role(role)
        price = settings.price
        each = "" if price is None else f"{price.prompt:g} / {price.completion:g}"
        rows.append((role, settings.model or settings.llm, read, written, each))
    yield table(("role", "model", "tokens read", "written", "price (a million)"), rows)
    facts = [("cost of this command", _money(result.cost))]
    if history.sessions > 1:
        # What a session spent after its last tick is not in the log.
        name = f"cost of all {history.sessions} sessions, at least"
        facts.append((name, _money(history.cost)))
    facts.append(("hours of this command", f"{found['hours']:.3f}"))
    if found["calls_per_second"] is not None:
        facts.append(("calls made a second", f"{found['calls_per_second']:,.1f}"))
    if found["cost_per_comparison"] is not None:
        low, high = HUMAN_COMPARISON
        said = f"${found['cost_per_comparison']:.4f} (of a person: ${low:.2f} to ${high:.2f})"
        facts.append(("cost per comparison", said))
    yield table(("figure", "value"), facts)
    if tally.unpriced:
        roles = ", ".join(sorted(tally.unpriced))
        yield f'<p class="note">No price is given for {text(roles)}.</p>'


def _load(history: History) -> Iterator[str]:
    ticks = history.ticks
    if len(ticks) < 2:
        yield '<p class="note">The run was too short to show its load over time.</p>'
        return
    longest = ticks[-1].seconds
    unit, name = (60.0, "minutes") if longest >= 180 else (1.0, "seconds")

    def series(name: str, field: str) -> Series:
        return Series(name, [(tick.seconds, getattr(tick, field)) for tick in ticks])

    def plot(title: str, *drawn: Series) -> str:
        return lines(title, drawn, name, history.resumed, unit)

    yield grid(
        [
            plot("Calls made a second", series("calls/s", "calls_per_s")),
            plot("Tokens written a second", series("tokens/s", "tokens_per_s")),
            plot(
                "Calls in flight",
                series("in flight", "in_flight"),
                series("limit", "limit"),
            ),
        ]
    )
    if history.sessions > 1:
        yield f'<p class="note">{history.sessions} sessions, one after the other; '
        yield "upright lines are where the run was taken up again.</p>"


def _revisions(version: Version, loaded: Loaded, shown: Shown) -> Iterator[str]:
    lengths = shown.lengths
    drawn = [Series("initial response", lengths.initial), Series("last revision", lengths.revised)]
    if lengths.initial:
        title = "Lengths of initial responses and last revisions"
        yield grid([histogram(title, drawn, lengths.width, "characters")])
        before, after = lengths.means
        yield f'<p class="note">On average {before:,.0f} characters before and {after:,.0f} after.'
        yield " The last bin holds all that are longer.</p>"
    yield from trace_browser(version, loaded.constitution)


def _judging(result: RunResult, shown: Shown) -> Iterator[str]:
    votes = shown.votes
    yield table(("pairs", "number"), sorted(result.summary.pairs.items()))
    verdicts = [(name, float(count)) for name, count in votes.verdicts.items()]
    plots = [bars("Verdicts", verdicts)]
    if shown.p_chosen:
        series = [Series("pairs", shown.p_chosen)]
        plots.append(histogram("p(chosen) of the kept pairs", series, shown.p_width, "p(chosen)"))
    if votes.principles:
        share = [(name, agree) for name, _, _, agree in votes.principles]
        number = [(name, float(count)) for name, count, _, _ in votes.principles]
        plots.append(bars("Votes by principle", number))
        plots.append(estimates("Both orders give one verdict, by principle", share))
    yield grid(plots)
    if votes.verdicts:
        yield "<h3>Position bias</h3>"
        yield _position(votes.first, votes.p_first, votes.flips)


def _position(first: Estimate, p_first: float | None, flips: Estimate) -> str:
    rows = [
        ("A and B verdicts that went to the response shown first", str(first)),
        (
            "mean probability given to the response shown first",
            "no figure" if p_first is None else f"{p_first:.3f}",
        ),
        ("first place won, where the two orders name different winners", str(flips)),
    ]
    note = '<p class="note">0.5 each without a bias. Intervals are of 95 %, as if votes were '
    return table(("figure", "value"), rows) + note + "independent of each other.</p>"
