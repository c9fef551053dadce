"""Show and write what `charter eval refusal` found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from charter.cli.output import Output
from charter.cli.written import write_text
from charter.evals.refusal_figures import RefusalFigures
from charter.evals.refusal_report import ModelRefusals, RefusalsReport
from charter.evals.refusal_sources import AnswerSet, RefusalAnswer
from charter.stats import Estimate

__all__ = ["show", "write_page", "write_rows"]

_PEOPLE: Final = {
    "": "rules against people",
    "judge_": "judge against people",
    "rules_judge_": "rules against judge",
}


def show(output: Output, report: RefusalsReport) -> None:
    """The figures as text."""
    for model in report.models:
        _show_model(output, model)
    base = report.models[0].name
    for name, found in report.comparisons.items():
        output.line(f"\n{name} against {base}, on the same prompts")
        rows = [
            (
                each.kind,
                _interval(each.difference),
                each.difference.n,
                each.only_first,
                each.only_second,
                "-" if each.p is None else f"{each.p:.2g}",
            )
            for each in found
        ]
        head = ("prompts", "more refused [95 %]", "n", "base alone", "model alone", "McNemar p")
        output.table(head, rows)
        if not rows:
            output.line("  no prompt was answered by both")


def _show_model(output: Output, model: ModelRefusals) -> None:
    output.line(f"\n{model.name}: {model.all.counts['n']:,} answers, read by rules")
    for note, count in model.noted.items():
        output.line(f"  note: {note}: {count:,}")
    if model.over_refusal.n:
        output.line(f"  over-refusal (benign and borderline): {_interval(model.over_refusal)}")
    if model.refusal_harmful.n:
        output.line(f"  harmful prompts refused: {_interval(model.refusal_harmful)}")
    parts = {"all": model.all, **model.kinds}
    if list(model.categories) != list(model.kinds):
        parts |= {f"  {name}": found for name, found in model.categories.items()}
    head = (
        "prompts",
        "refused [95 %]",
        "full",
        "partial",
        "hedges",
        "disclaims",
        "empty",
        "failed",
    )
    output.table((*head, "n"), [(name, *_row(found)) for name, found in parts.items()])
    judged = model.all.judged
    if judged:
        share = judged["refused"]
        shown = "no figure" if share["value"] is None else f"{share['value']:.3f}"
        output.line(
            f"  judge: refused {shown} (n = {share['n']:,}), UNPARSED {judged['unparsed']:,}"
        )
    for key, found in model.agreements.items():
        if found is not None:
            output.line(
                f"  kappa, {_PEOPLE[key]}: any refusal {found.kappa}; three classes {found.three}"
            )


def _row(found: RefusalFigures) -> tuple[Any, ...]:
    shares = found.shares
    return (
        _interval(shares["refused"]),
        *(_share(shares[name]) for name in ("full", "partial", "hedges", "disclaims")),
        found.counts["empty"],
        found.counts["failed"],
        found.counts["n"],
    )


def _share(found: Estimate) -> str:
    return "-" if found.value is None else f"{found.value:.3f}"


def _interval(found: Estimate) -> str:
    if found.value is None:
        return "no figure"
    if found.low is None or found.high is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def write_rows(output: Output, path: Path, sets: Sequence[AnswerSet]) -> None:
    """Every answer with its labels, one JSON object a line; `--completions` reads it again."""
    lines = [json.dumps(_saved(one.name, each)) for one in sets for each in one.answers]
    write_text(path, "".join(f"{line}\n" for line in lines))
    output.line(f"\nanswers: {path}")


def _saved(model: str, each: RefusalAnswer) -> Mapping[str, Any]:
    reading = each.reading
    return {
        "model": model,
        "id": each.id,
        "category": each.category,
        "kind": each.kind,
        "prompt": each.prompt,
        "completion": each.text,
        "final_label": each.label.value if each.label else None,
        "outcome": reading.outcome.value if reading else None,
        "signs": list(reading.rules) if reading else [],
        "p_refused": round(reading.p_refused, 4) if reading else None,
        "hedges": reading.hedges if reading else None,
        "disclaims": reading.disclaims if reading else None,
        "judged": each.judged,
        "error": each.error,
    }


def write_page(
    output: Output, path: Path, report: RefusalsReport, sets: Sequence[AnswerSet]
) -> None:
    """The figures and answers as a page."""
    from charter.evals.refusal_page import refusal_page

    write_text(path, refusal_page("Refusals", report, sets))
    output.line(f"\npage: {path}")
