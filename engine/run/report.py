"""The report of a run, as one HTML page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from charter.html import page, quote, section, table
from charter.recipes import Loaded
from charter.rows import Row
from charter.run.folder import write_whole

if TYPE_CHECKING:
    from charter.run.execute import RunResult

__all__ = ["example_labels", "example_trace", "label_mix", "write_report"]


def label_mix(rows: list[Row]) -> Counter[str]:
    """How many pairs were kept, and the rest by the reason why not."""
    return Counter(label["reason"] or "kept" for row in rows for label in row["labels"])


def example_trace(rows: list[Row]) -> Row | None:
    """The first row that went through all its revisions."""
    done = (row for row in rows if row["revisions"] and not row["faults"])
    return next(done, None)


def example_labels(rows: list[Row]) -> tuple[Row, Row] | None:
    """The first row with a labelled pair, and that label."""
    for row in rows:
        for label in row["labels"]:
            if not label["reason"]:
                return row, label
    return None


def write_report(path: Path, loaded: Loaded, result: RunResult) -> None:
    """Write `report.html` of a run."""
    published, tally = result.published, result.tally
    parts = [
        f"<p>{'New version' if published.new else 'Nothing changed: the version is still'} ",
        f"<b>{published.repo}@{published.tag}</b></p>",
        section("Rows", [table(("config", "rows"), result.counts.items())]),
        section("Pairs", [table(("outcome", "pairs"), sorted(label_mix(result.rows).items()))]),
        section(
            "Calls",
            [
                table(
                    ("step", "calls", "from the cache", "failed"),
                    [
                        (step, calls, tally.cached[step], tally.failed[step])
                        for step, calls in tally.calls.items()
                    ],
                )
            ],
        ),
    ]
    trace = example_trace(result.rows)
    if trace:
        texts = [quote(m["role"], m["content"]) for m in trace["prompt"]]
        texts.append(quote("initial response", trace["initial_response"]))
        for entry in trace["revisions"]:
            texts.append(quote(f"critique ({entry['principle_id']})", entry["critique"]))
            texts.append(quote("revision", entry["revision"]))
        parts.append(section("One revision trace", texts))
    pair = example_labels(result.rows)
    if pair:
        parts.append(section("One judged pair", _pair(*pair)))
    write_whole(path, page(f"{loaded.recipe.name}: {result.run}", parts))


def _pair(row: Row, label: Row) -> list[str]:
    texts = {c["slot"]: c["text"] for c in row["candidates"]}
    votes = [v for v in row["votes"] if v["comparison_id"] == label["pair_id"]]
    return [
        quote(row["prompt"][-1]["role"], row["prompt"][-1]["content"]),
        quote(f"A ({label['a']})", texts[label["a"]]),
        quote(f"B ({label['b']})", texts[label["b"]]),
        table(
            ("principle", "order", "verdict", "p(A)"),
            [(v["principle_id"], v["order"], v["verdict"], _rounded(v["p_a"])) for v in votes],
        ),
        f"<p>winner {label['winner']}, p(A) {label['p_a']:.4f}</p>",
    ]


def _rounded(p: float | None) -> float | str:
    return "" if p is None else round(p, 4)
