"""Measure the model of a round on prompts that no round is trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from charter.errors import Fault, InputError
from charter.evals.held_out import HeldOut, held_out, text_of
from charter.evals.measure import JudgedAnswer, measure_refusals
from charter.evals.tax import Average, tax_report
from charter.evals.tax_figures import Tax
from charter.evals.tax_names import SHIPPED
from charter.evals.tax_plan import TaxPlan, model_plan
from charter.evals.tax_run import evaluate_plan
from charter.evals.winrate import WinRates
from charter.improve.contest import contest
from charter.improve.figures import RoundFigures, categories_of, distinct
from charter.improve.halves import base_model
from charter.improve.state import Facts, LoopFolder
from charter.models.cache import CallCache, default_cache_path
from charter.models.cached import CachedLocal
from charter.models.call import Answer, Call
from charter.recipes import Loaded, read_prompts
from charter.recipes.load import resolve
from charter.run.progress import Progress
from charter.run.tally import Tally
from charter.stats import Estimate

__all__ = ["Evaluation", "asked_prompts"]


def asked_prompts(loaded: Loaded) -> list[HeldOut]:
    """The prompts of every round's evaluation.

    None of the recipe's own is among them, those of its `test` split neither: which round is kept
    is chosen by these, and `test` stays for a last word.

    Raises:
        InputError: there is no such file, or a category has no prompt left.
    """
    settings = loaded.recipe.improve.evaluate
    files = resolve(settings.path, loaded.path.parent)
    if not files:
        what = f'no such file "{settings.path}"'
        raise InputError(Fault(str(loaded.path), "improve.evaluate.path", what, "check the path"))
    own = {text_of(prompt.messages) for prompt in read_prompts(loaded).prompts}
    return held_out(files[0], settings.categories, settings.per_category, own)


class Evaluation:
    """Measures one model after the other on the same prompts.

    Args:
        loaded: the recipe.
        folder: of the loop; gets each round's answers, which later rounds are compared with.
        prompts: as `asked_prompts` gives them.
    """

    def __init__(self, loaded: Loaded, folder: LoopFolder, prompts: Sequence[HeldOut]) -> None:
        self.loaded, self.folder, self.prompts = loaded, folder, tuple(prompts)

    @property
    def texts(self) -> frozenset[str]:
        """The normalised texts of the prompts."""
        return frozenset(text_of(prompt.messages) for prompt in self.prompts)

    def measure(self, number: int, model: Path | None, progress: Progress) -> Facts:
        """Ask a round's model, and have its answers compared with those of rounds before.

        Args:
            number: of the round; 0 is the model before any.
            model: its folder; None is the embedded one.
            progress: who is told.
        """
        answers, meter = self._answers(number, model, progress)
        texts = {each.prompt_id: each.text for each in answers if each.outcome is not None}
        said = [text for text in texts.values() if text.strip()]
        estimates: dict[str, Any] = {}
        tallies: list[Tally] = []
        warnings: dict[str, list[str]] = {}
        # Of the first round, the base is the round before as well.
        for other in sorted({0, number - 1} if number else ()):
            found, tally = self._against(number, other, texts, progress)
            pair = found.pairs[0]
            if other == 0:
                estimates = {"win_base": pair.rate, "controlled": pair.controlled}
            estimates["win_before"] = pair.rate
            tallies.append(tally)
            warnings["base" if other == 0 else f"round {other}"] = found.warnings
        figures = RoundFigures(
            number=number,
            categories=categories_of(answers),
            refuse=self.loaded.recipe.improve.evaluate.refuse,
            length=fmean(map(len, said)) if said else None,
            diversity=distinct(said),
            cut=meter.cut / len(answers),
            **estimates,
            **self._taxes(number, model, progress),
        )
        cost = _cost(meter, tallies)
        return {"figures": figures.as_json(), "cost": cost, "judge_warnings": warnings}

    def _answers(
        self, number: int, model: Path | None, progress: Progress
    ) -> tuple[tuple[JudgedAnswer, ...], _Metered]:
        name = "evaluation of the base" if number == 0 else f"evaluation of round {number}"
        progress.begin(name, len(self.prompts), "prompts")
        shown = 0

        def show(done: int, total: int) -> None:
            nonlocal shown
            progress.advance(name, done - shown)
            shown = done

        with closing(CallCache(default_cache_path())) as cache:
            metered = _Metered(CachedLocal(model, cache))
            report = measure_refusals(
                metered,
                [(p.id, p.messages, p.category) for p in self.prompts],
                max_tokens=self.loaded.recipe.improve.evaluate.max_tokens,
                progress=show,
            )
        self._keep(number, report.answers)
        return report.answers, metered

    def _keep(self, number: int, answers: Sequence[JudgedAnswer]) -> None:
        lines = [
            json.dumps(
                {
                    "id": each.prompt_id,
                    "category": each.category,
                    "completion": each.text,
                    "outcome": each.outcome,
                    "error": each.error,
                },
                ensure_ascii=False,
            )
            for each in answers
        ]
        self.folder.write(_file(number), "\n".join(lines) + "\n")

    def _kept(self, number: int) -> dict[str, str]:
        """The answers of a round before."""
        path = self.folder.path / _file(number)
        try:
            text = path.read_text("utf-8")
            rows = [json.loads(line) for line in text.split("\n") if line]
        except (OSError, ValueError):
            what = "the answers of an earlier round are gone or damaged"
            fix = "move the folder away to begin anew; the calls are cached"
            raise InputError(Fault(str(path), "", what, fix)) from None
        return {row["id"]: row["completion"] for row in rows if row["outcome"] is not None}

    def _taxes(self, number: int, model: Path | None, progress: Progress) -> dict[str, Any]:
        """The alignment tax of a round's model; the base is measured once for all rounds."""
        settings = self.loaded.recipe.improve.evaluate.tax
        if settings is None or number == 0:
            return {}
        base = base_model(self.loaded)
        plans = {
            name: model_plan(name, "local" if folder is None else str(folder))
            for name, folder in (("base", base), (f"round {number}", model))
        }
        plan = TaxPlan(
            models=tuple(plans.values()),
            tasks=settings.tasks or tuple(SHIPPED),
            limit=settings.limit,
            results=str((self.folder.path / "tax").resolve()),
        )
        found = evaluate_plan(plan, lambda who, task, *_: progress.say(f"{who}: {task}"))
        before, after = found.items()
        report = tax_report(before, [after], seed=self.loaded.recipe.seed).models[0]
        return {
            "tax": _estimate(report.average),
            "taxes": {name: _estimate(each) for name, each in report.taxes.items()},
        }

    def _against(
        self, number: int, other: int, texts: dict[str, str], progress: Progress
    ) -> tuple[WinRates, Tally]:
        names = (f"round {number}", f"round {other}")
        progress.say(f"round {number} against {'the base' if other == 0 else f'round {other}'}")
        both = (texts, self._kept(other))
        return contest(self.loaded, names, self.prompts, both, self.folder.path, progress)


@dataclass(slots=True)
class _Metered:
    """A model whose answers are counted.

    Attributes:
        model: who answers.
        calls: answers given.
        tokens: read and written, also where the cache had the answer.
        cut: answers that ended at the limit.
    """

    model: CachedLocal
    calls: int = 0
    tokens: int = 0
    cut: int = 0

    def generate(
        self, calls: Sequence[Call], *, temperature: float, top_p: float, max_tokens: int
    ) -> list[Answer]:
        """As the model does."""
        given = self.model.generate(
            calls, temperature=temperature, top_p=top_p, max_tokens=max_tokens
        )
        self.calls += len(given)
        self.tokens += sum(each.prompt_tokens + each.completion_tokens for each in given)
        self.cut += sum(each.finish_reason == "length" for each in given)
        return given


def _estimate(found: Tax | Average) -> Estimate:
    return Estimate(found.value, found.low, found.high, found.n or 0)


def _file(number: int) -> str:
    return f"answers-{number}.jsonl"


def _cost(meter: _Metered, tallies: Sequence[Tally]) -> Facts:
    judged = [tally for tally in tallies if not tally.unpriced]
    return {
        "calls": meter.calls + sum(tally.calls.total() for tally in tallies),
        "cached_calls": sum(tally.cached.total() for tally in tallies),
        "tokens": meter.tokens
        + sum(read + written for t in tallies for read, written in t.tokens.values()),
        "money": sum(tally.cost for tally in judged) if len(judged) == len(tallies) else None,
    }
