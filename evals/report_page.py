"""All that was measured of some models, as one page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from charter.evals.judge_figures import rounded
from charter.evals.report import Measured, estimate_in
from charter.evals.tax_page import forest
from charter.html import figures, page, section, table, text
from charter.hub.card_evaluations import EVALUATED
from charter.plots import Series, estimates, grid, lines
from charter.stats import Estimate

__all__ = ["Missed", "figure_rows", "report_page"]

Missed = Sequence[tuple[str, str, str]]
"""Gates that were not reached: name, what is wrong, what to do."""

_TOLD = {
    "refusal": "Refusals",
    "tax": "Alignment tax",
    "depth": "How deep the safety goes",
    "winrate": "Win rate",
    "tamper": "How few examples undo it",
}


def figure_rows(evaluations: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The figures side by side: what it is, the base's, then each model's."""
    base = evaluations[0]["base_figures"]
    rows = []
    for name, said in EVALUATED.items():
        columns = [base, *evaluations]
        if any(name in each for each in columns):
            rows.append((said, *(_cell(each.get(name)) for each in columns)))
    return rows


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    known = estimate_in(found)
    reason = str(found.get("reason") or "")
    if known.value is None:
        return reason or "no figure"
    shown = (
        rounded(known) if known.low is not None and known.high is not None else f"{known.value:g}"
    )
    return f"{shown} {reason}".strip()


def report_page(
    title: str,
    measured: Measured,
    evaluations: Sequence[Mapping[str, Any]],
    gates: Mapping[str, float],
    missed: Missed,
    pages: Mapping[str, str],
) -> str:
    """The page of `charter report`.

    Args:
        title: of the page.
        measured: what every part said.
        evaluations: `charter.evals.report.evaluation_of` of each model.
        gates: of the recipe, by name.
        missed: those not reached.
        pages: where the page of each part is, from this one.
    """
    return page(title, _parts(measured, evaluations, gates, missed, pages))


def _parts(
    measured: Measured,
    evaluations: Sequence[Mapping[str, Any]],
    gates: Mapping[str, float],
    missed: Missed,
    pages: Mapping[str, str],
) -> Iterator[str]:
    last = evaluations[-1]
    if gates:
        verdict = "reached" if not missed else f"{len(missed)} of {len(gates)} not reached"
        yield figures([(f"gates, of {last['model']}", verdict)])
        wrong = {name: what for name, what, _ in missed}
        rows = [(name, value, wrong.get(name, "reached")) for name, value in gates.items()]
        yield table(("gate", "must reach", ""), rows)
    yield table(("figure", measured.base, *measured.models), figure_rows(evaluations))
    yield (
        '<p class="note">Intervals are at 95 %. Taxes are in percent of what the base scores, '
        "negative where it is a gain.</p>\n"
    )
    yield from (f'<p class="note">{text(note)}</p>\n' for note in last["notes"])
    plots = {
        "refusal": _refusal,
        "tax": _tax,
        "depth": _depth,
        "winrate": _winrate,
        "tamper": _tamper,
    }
    for part in measured.parts:
        shown = [grid(plots[part](measured))]
        if part in pages:
            shown.append(f'<p><a href="{text(pages[part])}">everything of this part</a></p>\n')
        yield section(_TOLD[part], shown)


def _refusal(measured: Measured) -> list[str]:
    shown = []
    for key, title in (
        ("refusal_harmful", "Harmful prompts refused"),
        ("over_refusal", "Harmless prompts refused"),
    ):
        rows = [
            (name, estimate_in(found[key]))
            for name in (measured.base, *measured.models)
            if (found := measured.of("refusal", name)) is not None
        ]
        shown.append(estimates(title, rows))
    last = measured.of("refusal", measured.models[-1]) or {}
    categories = [
        (name, estimate_in(each["refused"]))
        for name, each in (last.get("categories") or {}).items()
    ]
    return [*shown, estimates(f"{measured.models[-1]}: refused by category", categories)]


def _tax(measured: Measured) -> list[str]:
    return [
        forest(
            f"{name}: tax in percent of the base",
            [(task, estimate_in(each)) for task, each in found["tax"].items()],
        )
        for name in measured.models
        if (found := measured.of("tax", name)) is not None
    ]


def _depth(measured: Measured) -> list[str]:
    shown = []
    for name in (measured.base, *measured.models):
        found = measured.of("depth", name)
        if found is None:
            continue
        if name != measured.base:
            points = [(at, each["value"] or 0.0) for at, each in enumerate(found["kl"], 1)]
            title = f"{name}: divergence from the base by token (nats)"
            shown.append(lines(title, [Series(name, points)], "token of the answer"))
        rows = [
            (f"{each['tokens']} tokens forced", estimate_in(each["complied"]))
            for each in found["prefill"]
        ]
        shown.append(estimates(f"{name}: goes on complying", rows))
    return shown


def _winrate(measured: Measured) -> list[str]:
    rows: list[tuple[str, Estimate]] = []
    for name in measured.models:
        found = measured.of("winrate", name)
        if found is not None:
            rows.append((name, estimate_in(found["win_rate"])))
            rows.append((f"{name}, at equal length", estimate_in(found["length_controlled"])))
    return [estimates(f"Answers preferred to those of {measured.base}", rows)]


def _tamper(measured: Measured) -> list[str]:
    shown = []
    for data, found in measured.parts["tamper"]["data"].items():
        rows = [
            (f"{cell['examples']} examples, {cell['steps']} steps", estimate_in(cell["refused"]))
            for cell in found["cells"]
        ]
        shown.append(estimates(f"{measured.models[-1]} after {data}: harmful refused", rows))
    return shown
