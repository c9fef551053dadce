"""The report of a review as a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from charter.html import details, figures, page, quote, section, table, text
from charter.plots import bars, estimates, grid, reliability
from charter.review.report import Table, notes, tables
from charter.stats import Estimate

__all__ = ["review_page"]

_FIRST = ("agreement", "prediction_powered", "kappa", "people_agreement", "krippendorff")
_SHARES = (
    *("agreement", "agreement_decided", "prediction_powered", "people_agreement"),
    *("gold_accuracy", "first_position_rate", "critique_right", "still_harmful", "over_refusing"),
)
_PLOTTED = {"by_principle": "By principle", "by_category": "By category"}


def review_page(report: Mapping[str, Any]) -> str:
    """The page of a report (`charter.review.report.review_report`)."""
    parts = [*_config(report)]
    if "sft" in report:
        parts.append(section("Revisions (sft)", _config(report["sft"])))
    parts.append(section("Rows of strongest disagreement", _apart(report["disagreements"])))
    parts.append(section("How the figures are made", _method()))
    return page(f"Review of {report['repo']}@{report['version']}", parts)


def _config(found: Mapping[str, Any]) -> Iterator[str]:
    counts = [("rows", f"{found['n']:,}"), ("answers", f"{found['answers']:,}")]
    counts.append(("reviewers", f"{found['reviewers']:,}"))
    named = [
        (name.replace("_", " "), f"{value:.2f}")
        for name in _FIRST
        if (value := found[name]["value"]) is not None
    ]
    yield figures([*counts, *named])
    yield "".join(f'<p class="note">{text(note)}</p>\n' for note in notes(found))
    if found["n"]:
        yield grid(_plots(found))
    for each in tables(found):
        yield _shown(each)


def _shown(found: Table) -> str:
    return f"<h3>{text(found.title)}</h3>\n{table(found.head, found.rows)}"


def _plots(found: Mapping[str, Any]) -> Iterator[str]:
    shares = [
        (name.replace("_", " "), _estimate(found[name]))
        for name in _SHARES
        if name in found and found[name]["value"] is not None
    ]
    yield estimates("Shares", shares)
    if found["by_confidence"]:
        sure = found["confidence"]
        yield reliability(
            "How often people agree, against how sure the AI was",
            [
                (sure[key], _estimate(each))
                for key, each in found["by_confidence"].items()
                if each["low"] is not None
            ],
        )
    yield estimates(
        "What people say", [(name, _estimate(each)) for name, each in found["verdicts"].items()]
    )
    for key, title in _PLOTTED.items():
        yield estimates(title, [(name, _estimate(each)) for name, each in found[key].items()])
    if found.get("gold"):
        right = [(who, _estimate(each)) for who, each in found["gold"].items()]
        yield estimates("Reviewers on gold rows", right)
    said_by = [(who, float(each["answers"])) for who, each in found["by_reviewer"].items()]
    yield bars("Answers by reviewer", said_by)


def _estimate(found: Mapping[str, Any]) -> Estimate:
    return Estimate(found["value"], found["low"], found["high"], found["n"])


def _apart(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    empty = True
    for row in rows:
        empty = False
        sure = "" if row["p_chosen"] is None else f", p_chosen {row['p_chosen']:.2f}"
        principle = row["principle_id"] or "no principle"
        quotes = [
            quote(name.replace("_", " "), value) for name, value in row["texts"].items() if value
        ]
        answers = [
            (each["reviewer"], each["verdict"], each["sure"] or "", each["comment"] or "")
            for each in row["answers"]
        ]
        yield details(
            f"{row['row_id']}: {row['verdict']}{sure}, {principle}",
            [*quotes, table(("reviewer", "says", "how sure", "comment"), answers)],
        )
    if empty:
        yield "<p>None: people agree with every label that they checked.</p>\n"


def _method() -> Iterator[str]:
    for line in (
        "Only blind answers on the texts of this version count. A row's verdict is that of most of "
        "its reviewers; without one it is a tie. A tie, or both bad, counts half in the agreement.",
        "Shares over rows weigh each row by one over the probability with which it was drawn "
        "(Horvitz and Thompson 1952, Hajek 1971); their intervals are Wilson's for the effective "
        "number of prompts. Gold rows are in none of them.",
        "The prediction-powered estimate (Angelopoulos et al. 2023) takes p_chosen as a prediction "
        "for every row of the version, and people's answers to mend it.",
        "Kappa and alpha compare places on the screen, with bootstrap intervals over prompts; they "
        "have no value where everybody says one thing. Single reviewers and pairs of them have "
        "exact intervals (Clopper and Pearson 1934).",
    ):
        yield f'<p class="note">{text(line)}</p>\n'
