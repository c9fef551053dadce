"""What came of the rounds: as JSON, as rows of a table, and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from charter.evals.tax_page import forest
from charter.html import figures, page, section, table, text
from charter.improve.beside import Beside
from charter.improve.cells import shown, shown_tax
from charter.improve.depth_report import depth_section, recovery_row
from charter.improve.effects import effects
from charter.improve.figures import RoundFigures, quality_of
from charter.improve.loop import Outcome
from charter.improve.state import Done, Facts, Step
from charter.plots import Series, bars, estimates, grid, lines
from charter.recipes import Loaded
from charter.stats import Estimate

__all__ = ["as_json", "report_page", "round_table", "settings_rows"]

_HEAD = (
    *("round", "quality", "win rate against base", "against the round before"),
    *("harmful refused", "harmless refused", "tax, %", "length", "distinct-2"),
    *("calls", "tokens", "seconds"),
)


def cost_of(done: Done, number: int) -> Facts:
    """Calls, tokens, money and seconds of a round, over its steps."""
    steps = [facts for (at, _), facts in done.items() if at == number]
    costs = [facts["cost"] for facts in steps if "cost" in facts]
    priced = all(cost["money"] is not None for cost in costs)
    return {
        "calls": sum(cost["calls"] for cost in costs),
        "cached_calls": sum(cost["cached_calls"] for cost in costs),
        "tokens": sum(cost["tokens"] for cost in costs),
        "money": sum(cost["money"] for cost in costs) if priced else None,
        "seconds": round(sum(facts["seconds"] for facts in steps), 2),
    }


def round_table(outcome: Outcome, loaded: Loaded) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Names of figures, and one row a round; the one that is kept has a star.

    A figure that was asked of no round, the tax, is left out. A last round that was not measured
    has its cost alone.
    """
    rows: list[tuple[Any, ...]] = []
    for each in outcome.rounds:
        cost = cost_of(outcome.done, each.number)
        rows.append(
            (
                _title(each, outcome.best),
                shown(quality_of(each, loaded.recipe.improve.quality)),
                shown(each.win_base),
                shown(each.win_before),
                shown(each.refused_harmful),
                shown(each.over_refusal),
                shown_tax(each),
                "none" if each.length is None else f"{each.length:,.0f}",
                "none" if each.diversity is None else f"{each.diversity:.3f}",
                cost["calls"],
                cost["tokens"],
                round(cost["seconds"]),
            )
        )
    for number in _unmeasured(outcome):
        cost = cost_of(outcome.done, number)
        none = [""] * (len(_HEAD) - 5)
        spent = (cost["calls"], cost["tokens"], round(cost["seconds"]))
        rows.append((str(number), "not measured", *none, *spent))
    there = [at for at in range(len(_HEAD)) if any(row[at] != "" for row in rows)]
    return tuple(_HEAD[at] for at in there), [tuple(row[at] for at in there) for row in rows]


def _unmeasured(outcome: Outcome) -> list[int]:
    """The round that ended before it was measured, if one did."""
    return sorted({number for number, _ in outcome.done} - {e.number for e in outcome.rounds})


def _title(each: RoundFigures, best: int) -> str:
    name = "base" if each.number == 0 else str(each.number)
    return f"{name} *" if each.number == best else name


def settings_rows(loaded: Loaded, done: Done) -> list[tuple[str, str]]:
    """What was set of the KL penalty, the mix of data and the rest, in words."""
    improve, dpo = loaded.recipe.improve, loaded.recipe.train.dpo or {}
    beta = improve.beta if improve.beta is not None else dpo.get("beta")
    mixes = [facts["helpful"] for (_, step), facts in done.items() if "helpful" in facts]
    mix = "none"
    if mixes:
        mix = f"{mixes[-1]['share']:.0%} of the rows of SFT, from {mixes[-1]['source']}"
    return [
        ("beta of DPO (KL penalty)", f"{beta:g}" if beta is not None else "TRL's default, 0.1"),
        ("helpful data", mix),
        recovery_row(loaded.recipe.train.sft),
        ("judge of the pairs", improve.judge),
        ("SFT starts from", improve.start),
        (
            "quality",
            f"{improve.quality.behaviour:g} x behaviour + {improve.quality.preference:g} x "
            "win rate against the base, over the sum of the weights",
        ),
    ]


def judge_warnings(outcome: Outcome) -> list[str]:
    """What a reader must know of the judge before believing a win rate, each with its games."""
    return [
        f"round {each.number} against {'the base' if other == 'base' else other}: {warning}"
        for each in outcome.rounds
        for other, found in outcome.done[each.number, Step.EVALUATE]
        .get("judge_warnings", {})
        .items()
        for warning in found
    ]


def as_json(outcome: Outcome, loaded: Loaded, model: str | None) -> dict[str, Any]:
    """The object of `charter improve --json`.

    Args:
        outcome: of the rounds.
        loaded: the recipe.
        model: folder of the best round's model; None is the embedded one.
    """
    improve = loaded.recipe.improve
    rounds = [
        {
            **each.as_json(),
            "quality": quality_of(each, improve.quality).as_json(),
            "refused_harmful": each.refused_harmful.as_json(),
            "answered_harmless": each.answered_harmless.as_json(),
            "over_refusal": each.over_refusal.as_json(),
            **_made_in(outcome.done, each.number),
        }
        for each in outcome.rounds
    ]
    return {
        "best": {"round": outcome.best, "model": model},
        "end": outcome.ends[0],
        "ends": list(outcome.ends),
        "said": list(outcome.said),
        "effects": effects(outcome.rounds, improve),
        "judge_warnings": judge_warnings(outcome),
        "settings": dict(settings_rows(loaded, outcome.done)),
        "rounds": rounds,
        "unmeasured": [
            {"round": number, **_made_in(outcome.done, number)} for number in _unmeasured(outcome)
        ],
    }


def _made_in(done: Done, number: int) -> dict[str, Any]:
    return {
        "cost": cost_of(done, number),
        "versions": _named(done, number, "version"),
        "models": _named(done, number, "model"),
        "last_kl": done.get((number, Step.DPO), {}).get("metrics", {}).get("last_kl"),
        "helpful": done.get((number, Step.SFT), {}).get("helpful"),
    }


def _named(done: Done, number: int, key: str) -> dict[str, str]:
    found = {str(step): facts.get(key) for (at, step), facts in done.items() if at == number}
    return {step: value for step, value in found.items() if value is not None}


def report_page(outcome: Outcome, loaded: Loaded, beside: Beside | None = None) -> str:
    """The page over all rounds.

    Args:
        outcome: of the rounds.
        loaded: the recipe.
        beside: other loops to be compared with.
    """
    improve, rounds = loaded.recipe.improve, outcome.rounds
    best = next(each for each in rounds if each.number == outcome.best)
    quality = [(_title(each, -1), quality_of(each, improve.quality)) for each in rounds]
    found = effects(rounds, improve)
    notes = found or ["none of those that are looked for"]
    parts = [
        figures(
            [
                ("kept", "the base" if outcome.best == 0 else f"round {outcome.best}"),
                ("its quality", shown(quality_of(best, improve.quality))),
                ("its win rate against the base", shown(best.win_base)),
                ("ended by", ", ".join(outcome.ends)),
            ]
        ),
        "".join(f"<p>{text(said)}.</p>\n" for said in outcome.said),
        table(*round_table(outcome, loaded)),
        '<p class="note">95 % intervals. The round with a star is kept. Length in characters; '
        "distinct-2 is the share of different word pairs in the first 40 words of all answers; "
        "calls count whether a cache had them or not, tokens of judges and runs only where a call "
        "was made; trainings are in the seconds alone.</p>\n",
        section("Ill effects that showed", [_list(notes)]),
        section("Of the judge", [_list(judge_warnings(outcome) or ["nothing odd"])]),
        grid([*_plots(rounds, quality), *_cost_plots(outcome)]),
        depth_section(rounds, outcome.best),
        section("Refused, by category", [_categories(rounds, improve.evaluate.refuse)]),
        section("Penalty, mix and what went with them", [_penalty(outcome, loaded)]),
        beside.section() if beside else "",
        section("Data and training", [_steps(outcome.done)]),
        section("Set", [table(("what", "value"), settings_rows(loaded, outcome.done))]),
    ]
    return page(f"Rounds of {loaded.recipe.name}", parts)


def _list(lines_: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{text(line)}</li>' for line in lines_)}</ul>\n"


def _plots(rounds: Sequence[RoundFigures], quality: Sequence[tuple[str, Estimate]]) -> list[str]:
    names = [f"round {name}" if name != "base" else name for name, _ in quality]
    pairs = list(zip(names, rounds, strict=True))
    base = rounds[0]
    relative = [
        Series(
            "length / base",
            [(e.number, e.length / base.length) for e in rounds if e.length and base.length],
        ),
        Series(
            "diversity / base",
            [
                (e.number, e.diversity / base.diversity)
                for e in rounds
                if e.diversity and base.diversity
            ],
        ),
    ]
    return [
        estimates(
            "Quality", [(name, found) for name, (_, found) in zip(names, quality, strict=True)]
        ),
        estimates("Win rate against the base", [(name, e.win_base) for name, e in pairs[1:]]),
        estimates("Harmful prompts refused", [(name, e.refused_harmful) for name, e in pairs]),
        estimates("Harmless prompts refused", [(name, e.over_refusal) for name, e in pairs]),
        lines("Length and diversity", relative, "round"),
        bars("Mean length, characters", [(name, round(e.length or 0, 1)) for name, e in pairs]),
        *(
            forest(f"Alignment tax of {name}, percent", [("average", e.tax), *e.taxes.items()])
            for name, e in pairs
            if e.taxes
        ),
    ]


def _cost_plots(outcome: Outcome) -> list[str]:
    """Calls, seconds and, where prices are known, money: of every round that was worked on."""
    numbers = [*(each.number for each in outcome.rounds), *_unmeasured(outcome)]
    costs = [("base" if at == 0 else f"round {at}", cost_of(outcome.done, at)) for at in numbers]
    plots = [
        bars("Calls, cached ones among them", [(name, cost["calls"]) for name, cost in costs]),
        bars("Seconds", [(name, cost["seconds"]) for name, cost in costs]),
    ]
    known = [(name, round(cost["money"], 4)) for name, cost in costs if cost["money"] is not None]
    if any(money for _, money in known):
        plots.append(bars("Money, where all prices are known", known))
    return plots


def _penalty(outcome: Outcome, loaded: Loaded) -> str:
    """How far DPO went under its penalty and how much helpful data there was, beside the tax."""
    beta = dict(settings_rows(loaded, outcome.done))["beta of DPO (KL penalty)"]
    rows = []
    for each in outcome.rounds[1:]:
        made = _made_in(outcome.done, each.number)
        divergence, mix = made["last_kl"], made["helpful"]
        rows.append(
            (
                each.number,
                beta,
                "no figure" if divergence is None else f"{divergence:.3g}",
                f"{mix['share']:.0%}" if mix else "none",
                shown_tax(each) or "not asked for",
                shown(each.over_refusal),
            )
        )
    head = ("round", "beta", "KL, nats an answer", "helpful rows of SFT", "tax, %")
    note = (
        '<p class="note">KL: of the model after DPO from the one before it, as its last step '
        "logged it. One loop shows what went together; to see what a setting does, run loops "
        "that differ in it alone and put them side by side (--beside).</p>\n"
    )
    return table((*head, "harmless refused"), rows) + note


def _categories(rounds: Sequence[RoundFigures], refuse: Sequence[str]) -> str:
    rows = [
        (
            "base" if each.number == 0 else each.number,
            name,
            "refuse" if name in refuse else "answer",
            f"{found.refused} of {found.n}",
            shown(found.refusals),
            found.empty,
            found.failed,
        )
        for each in rounds
        for name, found in each.categories.items()
    ]
    head = ("round", "category", "it should", "refused", "share [95 %]", "empty", "failed")
    return table(head, rows)


def _steps(done: Done) -> str:
    rows = [
        (number, str(step), _made(facts), round(facts["seconds"], 1))
        for (number, step), facts in sorted(done.items(), key=_in_order)
        if step is not Step.EVALUATE
    ]
    return table(("round", "step", "made", "seconds"), rows)


def _in_order(entry: tuple[tuple[int, Step], Facts]) -> tuple[int, int]:
    (number, step), _ = entry
    return number, list(Step).index(step)


def _made(facts: Mapping[str, Any]) -> str:
    if "version" in facts:
        return f"{facts['version']}, {facts['train_rows']} rows of train"
    metrics = facts["metrics"]
    loss = ""
    if "first_loss" in metrics:
        loss = f", loss {metrics['first_loss']:.3f} to {metrics['last_loss']:.3f}"
    margin = f", margin on test {metrics['test_margin']:.3f}" if "test_margin" in metrics else ""
    steps = f"{metrics['steps']:.0f} steps on {metrics['rows']:.0f} rows"
    recovery = ""
    if "recovery_rows" in metrics:
        recovery = f" and {metrics['recovery_rows']:.0f} of safety recovery"
    notes = "".join(f"; {note}" for note in facts.get("notes", ()))
    return f"model from {facts['dataset']}: {steps}{recovery}{loss}{margin}{notes}"
