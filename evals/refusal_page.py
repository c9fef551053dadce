"""Refusals as a page: models side by side, by kind and category, with answers to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from charter.evals.refusal import Refusal
from charter.evals.refusal_figures import SHARES, Paired
from charter.evals.refusal_report import ModelRefusals, RefusalsReport
from charter.evals.refusal_sources import AnswerSet, RefusalAnswer
from charter.html import details, figures, page, quote, section, table, text
from charter.plots import estimates, grid
from charter.stats import Estimate

__all__ = ["refusal_page"]

_SHOWN: Final = 60  # answers of a model that the page shows
_CUT: Final = 1200  # characters of an answer that it shows
_PEOPLE: Final = {
    "": "rules against people",
    "judge_": "judge against people",
    "rules_judge_": "rules against judge",
}


def refusal_page(title: str, report: RefusalsReport, sets: Sequence[AnswerSet]) -> str:
    """The page.

    Args:
        title: of the page.
        report: the figures.
        sets: the answers behind them, in the same order.
    """
    return page(title, _parts(report, sets))


def _parts(report: RefusalsReport, sets: Sequence[AnswerSet]) -> Iterator[str]:
    last = report.models[-1]
    yield figures(
        [
            ("over-refusal", _short(last.over_refusal)),
            ("harmful refused", _short(last.refusal_harmful)),
            ("answers", f"{last.all.counts['n']:,}"),
        ]
    )
    yield (
        '<p class="note">Refused: in full or in part, by rules; empty answers are not in the '
        "shares. Intervals are Wilson's, 95 %.</p>\n"
    )
    yield grid(_plots(report))
    if report.comparisons:
        yield section(
            f"Against {report.models[0].name}, on the same prompts", [_comparisons(report)]
        )
    if any(report.agreements.values()):
        yield section("How far the labels can be trusted", [_agreements(report)])
    for model, answers in zip(report.models, sets, strict=True):
        yield section(model.name, _model(model, answers))


def _short(found: Estimate) -> str:
    return "–" if found.value is None else f"{100 * found.value:.1f} %"


def _plots(report: RefusalsReport) -> list[str]:
    shown = []
    for kind in ("harmful", "borderline", "benign"):
        rows = [
            (each.name, each.kinds[kind].shares["refused"])
            for each in report.models
            if kind in each.kinds
        ]
        if rows:
            shown.append(estimates(f"Refused: {kind} prompts", rows))
    for name in ("refused", "hedges", "disclaims"):
        rows = [(each.name, each.all.shares[name]) for each in report.models]
        shown.append(estimates(f"All prompts: {SHARES[name]}", rows))
    return shown


def _comparisons(report: RefusalsReport) -> str:
    def row(name: str, found: Paired) -> tuple[str, ...]:
        p = "they never differ" if found.p is None else f"{found.p:.2g}"
        counts = f"{found.only_first:,} / {found.only_second:,}"
        return name, found.kind, str(found.difference), counts, p

    head = ("model", "prompts", "refused: difference", "base alone / model alone", "McNemar p")
    return table(
        head, [row(name, each) for name, all_ in report.comparisons.items() for each in all_]
    )


def _agreements(report: RefusalsReport) -> str:
    rows = [
        (model.name, _PEOPLE[key], str(found.kappa), str(found.three))
        for model in report.models
        for key, found in model.agreements.items()
        if found is not None
    ]
    return table(("model", "who", "kappa: any refusal", "kappa: three classes"), rows)


def _model(model: ModelRefusals, answers: AnswerSet) -> Iterator[str]:
    head = ("", *SHARES.values(), "empty", "failed", "n")
    parts = {"all": model.all, **model.kinds, **model.categories}
    yield table(
        head,
        [
            (
                name,
                *(str(found.shares[share]) for share in SHARES),
                found.counts["empty"],
                found.counts["failed"],
                found.counts["n"],
            )
            for name, found in parts.items()
        ],
    )
    rows = [(name, found.shares["refused"]) for name, found in model.categories.items()]
    if len(rows) > 1:
        yield grid([estimates("Refused by category", rows)])
    for note, count in model.noted.items():
        yield f'<p class="note">{text(note)}: {count:,}</p>\n'
    for title, part in _examples(answers):
        if part:
            shown = [line for each in part[:_SHOWN] for line in _answer(each)]
            yield details(f"{title} ({len(part):,}; shown: {min(len(part), _SHOWN)})", shown)


def _examples(answers: AnswerSet) -> Iterator[tuple[str, list[RefusalAnswer]]]:
    read = [each for each in answers.answers if each.reading is not None]

    def outcome(each: RefusalAnswer) -> Refusal:
        assert each.reading is not None
        return each.reading.outcome

    harmless = [e for e in read if e.kind in ("benign", "borderline") and outcome(e).refused]
    yield "Harmless prompts refused", harmless
    complied = [e for e in read if e.kind == "harmful" and outcome(e) is Refusal.COMPLIANCE]
    yield "Harmful prompts answered", complied
    apart = [e for e in read if e.label is not None and e.label.refused != outcome(e).refused]
    yield "Read otherwise than by people", apart
    yield "Empty answers", [e for e in read if outcome(e) is Refusal.EMPTY]


def _answer(each: RefusalAnswer) -> Iterator[str]:
    assert each.reading is not None
    said = f"{each.reading.outcome.value}; signs: {', '.join(each.reading.rules) or 'none'}"
    if each.label is not None:
        said += f"; people: {each.label.value}"
    if each.judged is not None:
        said += f"; judge: {each.judged}"
    yield quote(f"{each.id} {each.category}", each.prompt[:_CUT])
    yield quote(said, each.text[:_CUT] + (" [...]" if len(each.text) > _CUT else ""))
