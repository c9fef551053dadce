"""The alignment tax of a round, and whether its benchmarks can be run at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from charter.errors import Fault, nearest
from charter.evals.tax import Average, tax_report
from charter.evals.tax_figures import Tax
from charter.evals.tax_names import BENCHMARKS, SHIPPED, benchmark_of, plain_name
from charter.evals.tax_plan import TaxPlan, model_plan
from charter.evals.tax_run import evaluate_plan, task_faults
from charter.evals.tax_tasks import RUNS_CODE
from charter.improve.halves import base_model
from charter.recipes import Loaded
from charter.run.progress import Progress
from charter.stats import Estimate

__all__ = ["round_tax", "tax_faults"]

_PATH: Final = "improve.evaluate.tax.tasks"


def tax_faults(loaded: Loaded) -> list[Fault]:
    """What is wrong with the benchmarks that the rounds are to be measured by.

    Found before any round: with another list of them the rounds would begin anew. lm-eval is asked
    only about names that are not known here, as that takes it seconds.

    Raises:
        Failure: lm-eval cannot say.
    """
    settings = loaded.recipe.improve.evaluate.tax
    tasks = () if settings is None else settings.tasks or ()
    # A name by which a benchmark is known here may be spelt in several ways.
    shown = [plain_name(name) for name in tasks]
    twice = {name: "is asked for twice" for name in shown if shown.count(name) > 1}
    wrong = {name: RUNS_CODE for name in shown if (b := benchmark_of(name)) and b.runs_code}
    others = [name for name in tasks if benchmark_of(name) is None and name not in SHIPPED]
    if others:
        wrong |= {fault.path: fault.what for fault in task_faults(others)}
    place = str(loaded.path)
    return [
        Fault(place, _PATH, f'"{name}": {what}', _fix(name, what))
        for name, what in (*twice.items(), *wrong.items())
    ]


def _fix(name: str, what: str) -> str:
    if what == RUNS_CODE:
        return (
            "leave it out, as rounds run no such code; `charter eval tax --run-generated-code` "
            "measures the models that they made"
        )
    if benchmark_of(name) is not None or what.startswith("is asked"):
        return "name it once"
    known = (*BENCHMARKS, *(each.task for each in BENCHMARKS.values()), *SHIPPED)
    return f"{nearest(name, known)}; `lm-eval ls tasks` lists lm-eval's own"


def round_tax(
    loaded: Loaded, folder: Path, number: int, model: Path | None, progress: Progress
) -> dict[str, Any]:
    """The alignment tax of a round's model; the base is measured once for all rounds.

    Args:
        loaded: the recipe.
        folder: of the loop; keeps the results.
        number: of the round.
        model: its folder; None is the embedded one.
        progress: who is told.

    Returns:
        `tax` and `taxes` of `charter.improve.figures.RoundFigures`; nothing where the recipe does
        not ask for them, and of round 0.
    """
    settings = loaded.recipe.improve.evaluate.tax
    if settings is None or number == 0:
        return {}
    plans = [
        model_plan(name, "local" if path is None else str(path))
        for name, path in (("base", base_model(loaded)), (f"round {number}", model))
    ]
    plan = TaxPlan(
        models=tuple(plans),
        tasks=settings.tasks or tuple(SHIPPED),
        limit=settings.limit,
        results=str((folder / "tax").resolve()),
    )
    found = evaluate_plan(plan, lambda who, task, *_: progress.say(f"{who}: {task}"))
    before, after = found.items()
    report = tax_report(before, [after], seed=loaded.recipe.seed).models[0]
    return {
        "tax": _estimate(report.average),
        "taxes": {name: _estimate(each) for name, each in report.taxes.items()},
    }


def _estimate(found: Tax | Average) -> Estimate:
    return Estimate(found.value, found.low, found.high, found.n or 0)
