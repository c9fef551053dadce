"""The audit of a judge as a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from charter.evals.judge_audit import GROUPS, JudgeAudit, Recorded
from charter.evals.judge_figures import FIGURES, Figures, rounded
from charter.html import details, figures, page, section, table, text
from charter.plots import bars, estimates, grid, reliability
from charter.stats import Estimate

__all__ = ["audit_page"]

_FIRST = (
    "accuracy",
    "accuracy_both",
    "order_consistency",
    "first_position_rate",
    "cohen_kappa",
    "ece",
)
_BY_PART = ("accuracy", "order_consistency", "first_position_rate", "ece")
_TITLES = {
    "by_principle": "By principle",
    "by_category": "By category",
    "by_length": "By how many times as long the longer response is",
    "by_judge": "By judge",
}


def audit_page(title: str, audits: Mapping[str, JudgeAudit]) -> str:
    """The page of one audit, or of several passes, the one that counts last.

    Args:
        title: of the page.
        audits: by pass; the name is empty where there are none.
    """
    parts: list[str] = []
    for name, audit in reversed(list(audits.items())):
        if name:
            parts.append(section(f"Pass {name}", []))
        parts += _audit(audit)
    return page(title, parts)


def _audit(audit: JudgeAudit) -> Iterator[str]:
    found = audit.figures
    yield figures((name.replace("_", " "), _short(found, name)) for name in _FIRST)
    yield "".join(f'<p class="note">{text(each)}</p>\n' for each in audit.warnings)
    yield table(("figure", "value [95 %]", "n", "what it is"), _rows(found))
    counted = [(name.replace("_", " "), float(n)) for name, n in found.counts.items()]
    shares = [name for name in FIGURES if name not in ("cohen_kappa", "krippendorff_alpha")]
    yield grid(
        [
            estimates(
                "Shares", [(n.replace("_", " "), found[n]) for n in shares if n != "votes_alpha"]
            ),
            _reliability("How right labels are against how sure", found),
            bars("What was counted", counted),
        ]
    )
    if audit.partly_seen:
        yield section(
            "What people's labels on a part say of all labels",
            [estimates("Prediction-powered, and from people's labels alone", _powered(audit))],
        )
    for group in GROUPS:
        yield from _group(_TITLES[group], audit.groups[group])
    if audit.recorded is not None:
        yield _recorded(audit.recorded)


def _short(found: Figures, name: str) -> str:
    value = found[name].value
    return "–" if value is None else f"{value:.2f}"


def _rows(found: Figures) -> Iterator[tuple[str, str, int, str]]:
    for name, what in FIGURES.items():
        yield name, rounded(found[name]), found[name].n, what


def _reliability(title: str, found: Figures) -> str:
    return reliability(title, [(each.sure, each.right) for each in found.reliability.bins])


def _powered(audit: JudgeAudit) -> list[tuple[str, Estimate]]:
    return [(name.replace("_", " "), each) for name, each in audit.powered.items().items()]


def _group(title: str, groups: Mapping[str, Figures]) -> Iterator[str]:
    if not groups:
        return
    plots = [
        estimates(name.replace("_", " "), [(key, found[name]) for key, found in groups.items()])
        for name in _BY_PART
    ]
    curves = [_reliability(key, found) for key, found in groups.items()]
    head = ("", "comparisons", *(name.replace("_", " ") for name in FIGURES))
    rows = [
        (key, found.counts["comparisons"], *(rounded(found[name]) for name in FIGURES))
        for key, found in groups.items()
    ]
    yield section(
        title,
        [
            grid(plots),
            details("Reliability of each", [grid(curves)]),
            details("All figures", [table(head, rows)]),
        ],
    )


def _recorded(recorded: Recorded) -> str:
    rows: Iterable[tuple[str, ...]] = (
        (each.comparison_id, each.order.value, each.judge, each.parsed.value, each.recorded.value)
        for each in recorded.disagreements
    )
    return section(
        "The winners that the source recorded",
        [
            f"<p>Read the same way: {text(rounded(recorded.agreement))}</p>",
            details(
                "Figures by the recorded winners",
                [table(("figure", "value", "n", "what"), _rows(recorded.figures))],
            ),
            details(
                "Votes read differently",
                [table(("comparison", "order", "judge", "read here", "recorded"), rows)],
            ),
        ],
    )
