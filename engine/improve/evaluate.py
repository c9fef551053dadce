"""Measure the model of a round on prompts that no round is trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import fmean
from typing import Any

from charter.errors import Fault, InputError
from charter.evals.held_out import HeldOut, held_out, text_of
from charter.evals.measure import JudgedAnswer, measure_refusals
from charter.evals.winrate import WinRates
from charter.improve.contest import contest
from charter.improve.depth import RoundDepth, depth_prompts, round_depth
from charter.improve.figures import RoundFigures, categories_of, distinct
from charter.improve.metered import Metered
from charter.improve.state import Facts, LoopFolder
from charter.improve.tax import round_tax
from charter.models.cache import CallCache, default_cache_path
from charter.models.cached import CachedLocal
from charter.recipes import Loaded, read_prompts
from charter.recipes.load import resolve
from charter.run.progress import Progress
from charter.run.tally import Tally

__all__ = ["Evaluation", "answers_file", "asked_prompts"]


def asked_prompts(loaded: Loaded) -> list[HeldOut]:
    """The prompts of every round's evaluation.

    None of the recipe's own is among them, those of its `test` split neither: which round is kept
    is chosen by these, and `test` stays for a last word.

    Raises:
        InputError: there is no such file, a category has no prompt left, or those to refuse have
            too few for the depth that is asked for.
    """
    settings = loaded.recipe.improve.evaluate
    files = resolve(settings.path, loaded.path.parent)
    if not files:
        what = f'no such file "{settings.path}"'
        raise InputError(Fault(str(loaded.path), "improve.evaluate.path", what, "check the path"))
    own = {text_of(prompt.messages) for prompt in read_prompts(loaded).prompts}
    found = held_out(files[0], settings.categories, settings.per_category, own)
    depth_prompts(loaded, found)
    return found


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

        Raises:
            InputError: it could answer none of them, as they are too long for it.
            Failure: a server is down.
        """
        answers, meter = self._answers(number, model, progress)
        texts = {each.prompt_id: each.text for each in answers if each.outcome is not None}
        if not texts:
            what = f"the model could answer none of these prompts ({answers[0].error})"
            fix = "give prompts that it can answer"
            raise InputError(Fault(str(self.loaded.path), "improve.evaluate.path", what, fix))
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
        forced = depth_prompts(self.loaded, self.prompts)
        depth = round_depth(self.loaded, self.folder, forced, number, model, progress)
        figures = RoundFigures(
            number=number,
            categories=categories_of(answers),
            refuse=self.loaded.recipe.improve.evaluate.refuse,
            length=fmean(map(len, said)) if said else None,
            diversity=distinct(said),
            cut=meter.cut / len(answers),
            **estimates,
            depth=depth.figures,
            depth_notes=depth.notes,
            **round_tax(self.loaded, self.folder.path, number, model, progress),
        )
        cost = _cost(meter, depth, tallies)
        return {"figures": figures.as_json(), "cost": cost, "judge_warnings": warnings}

    def _answers(
        self, number: int, model: Path | None, progress: Progress
    ) -> tuple[tuple[JudgedAnswer, ...], Metered]:
        name = "evaluation of the base" if number == 0 else f"evaluation of round {number}"
        progress.begin(name, len(self.prompts), "prompts")
        shown = 0

        def show(done: int, total: int) -> None:
            nonlocal shown
            progress.advance(name, done - shown)
            shown = done

        with closing(CallCache(default_cache_path())) as cache:
            metered = Metered(CachedLocal(model, cache))
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
        self.folder.write(answers_file(number), "\n".join(lines) + "\n")

    def _kept(self, number: int) -> dict[str, str]:
        """The answers of a round before."""
        path = self.folder.path / answers_file(number)
        try:
            text = path.read_text("utf-8")
            rows = [json.loads(line) for line in text.split("\n") if line]
            if {row["id"] for row in rows} != {prompt.id for prompt in self.prompts}:
                raise ValueError("other prompts")
            return {row["id"]: row["completion"] for row in rows if row["outcome"] is not None}
        except (OSError, ValueError, KeyError, TypeError):
            what = "the answers of an earlier round are gone or damaged"
            fix = "move the folder away to begin anew; the calls are cached"
            raise InputError(Fault(str(path), "", what, fix)) from None

    def _against(
        self, number: int, other: int, texts: dict[str, str], progress: Progress
    ) -> tuple[WinRates, Tally]:
        names = (f"round {number}", f"round {other}")
        progress.say(f"round {number} against {'the base' if other == 0 else f'round {other}'}")
        both = (texts, self._kept(other))
        return contest(self.loaded, names, self.prompts, both, self.folder.path, progress)


def answers_file(number: int) -> str:
    """The file in a loop's folder with the answers of a round's model."""
    return f"answers-{number}.jsonl"


def _cost(meter: Metered, depth: RoundDepth, tallies: Sequence[Tally]) -> Facts:
    judged = [tally for tally in tallies if not tally.unpriced]
    return {
        "calls": meter.calls + depth.calls + sum(tally.calls.total() for tally in tallies),
        "cached_calls": sum(tally.cached.total() for tally in tallies),
        "tokens": meter.tokens
        + depth.tokens
        + sum(read + written for t in tallies for read, written in t.tokens.values()),
        "money": sum(tally.cost for tally in judged) if len(judged) == len(tallies) else None,
    }
