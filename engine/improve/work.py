"""The steps of a round as they are: two runs, two trainings, one evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from charter.errors import Fault, InputError
from charter.hub import HubOptions, Version, open_version
from charter.improve import halves
from charter.improve.evaluate import Evaluation
from charter.improve.half_run import run_half
from charter.improve.helpful import Helpful, Mixed, mixed, of_test
from charter.improve.state import Done, Facts, LoopFolder, Step
from charter.recipes import Loaded, read_prompts
from charter.run import RunResult
from charter.run.folder import write_whole
from charter.run.progress import Progress
from charter.trainers.settings import read_settings

__all__ = ["NO_RECOVERY", "RoundWork", "Shown", "whole"]

Shown = Callable[[], AbstractContextManager[Progress]]
"""Makes a watcher for one step."""

# What of a training the report over rounds shows.
_METRICS: Final = (
    *("rows", "steps", "seconds", "first_loss", "last_loss", "test_loss", "truncated_rows"),
    *("dropped_rows", "test_accuracy", "test_margin", "recovery_rows", "last_kl"),
)


NO_RECOVERY: Final = (
    "no safety recovery: no row has a revision that declines and an unrevised answer that does not"
)
"""What is noted of a round that was to have recovery rows, and has no row to make them of."""


class RoundWork:
    """Does the steps of the rounds of a recipe.

    Every step can be cut off at any time and asked for again: runs go on from their own cache and
    publish the same version, a trained model that is whole is kept, answers and verdicts are in
    the call cache.

    Args:
        loaded: the recipe, checked.
        out: gets `runs/` and `versions/`, as `charter run` has them.
        folder: of the loop, entered; gets `models/` and the answers of each round.
        evaluation: measures a model.
        helpful: what is mixed into SFT, or None.
        shown: makes a watcher for one step.
        hub: how versions go to a Hub.
    """

    def __init__(
        self,
        loaded: Loaded,
        out: Path,
        folder: LoopFolder,
        evaluation: Evaluation,
        helpful: Helpful | None,
        shown: Shown,
        hub: HubOptions | None = None,
    ) -> None:
        self.loaded, self.out, self.folder = loaded, out, folder
        self.evaluation, self.helpful, self.shown = evaluation, helpful, shown
        self.hub = hub

    def do(self, number: int, step: Step, done: Done) -> Facts:
        """Do one step; see `charter.improve.loop.Work`."""
        match step:
            case Step.GENERATE:
                half = halves.sft_half(self.loaded, number, self._whole(number - 1))
                return self._run(half, "sft")
            case Step.SFT:
                return self._sft(number, done)
            case Step.JUDGE:
                model = whole(self._folder(number, Step.SFT), self.folder.path)
                half = halves.preference_half(self.loaded, number, model)
                return self._run(half, "preference")
            case Step.DPO:
                return self._dpo(number, done)
            case Step.EVALUATE:
                with self.shown() as progress:
                    return self.evaluation.measure(number, self._whole(number), progress)

    def model(self, number: int) -> Path | None:
        """The model of a round's end; of round 0 the recipe's generator, None if embedded."""
        if number == 0:
            return halves.base_model(self.loaded)
        return self._folder(number, Step.DPO)

    def _whole(self, number: int) -> Path | None:
        """The model of a round's end, which a step needs."""
        model = self.model(number)
        return model if number == 0 or model is None else whole(model, self.folder.path)

    def _folder(self, number: int, step: Step) -> Path:
        # The folder's name becomes the model's in rows and cards: it says which round.
        name = f"{self.loaded.recipe.name}-round-{number}-{step}"
        return (self.folder.path / "models" / name).absolute()

    def _run(self, half: Loaded, config: str) -> Facts:
        with self.shown() as progress:
            result = run_half(half, self.out, self.folder, progress, self.hub)
        version = open_version(result.published.path)
        has = "train" in version.splits(config)
        return {
            "version": f"{version.repo}@{version.tag}",
            "path": str(result.published.path.absolute()),
            "counts": result.counts,
            "train_rows": version.rows(config, "train").height if has else 0,
            "cost": _cost(result),
        }

    def _sft(self, number: int, done: Done) -> Facts:
        version = open_version(done[number, Step.GENERATE]["path"])
        start = self._whole(0 if self.loaded.recipe.improve.start == "base" else number - 1)
        added: Facts = {}
        if self.helpful is not None:
            wanted = self.loaded.recipe.improve.helpful
            assert wanted is not None
            held = self.evaluation.texts | of_test(version, read_prompts(self.loaded).prompts)
            both = mixed(version, self.helpful, wanted.share, self.loaded.recipe.seed, held)
            version, added = both, self._mix(both)
        facts = self._train(Step.SFT, number, version, start, {})
        if added:
            _name_mix(self._folder(number, Step.SFT), added)
            facts["helpful"] = added
        return facts

    def _mix(self, both: Mixed) -> Facts:
        assert self.helpful is not None
        own = both.rows("sft", "train").height
        count = len(both.added)
        return {
            "source": self.helpful.source,
            "sha256": self.helpful.sha256,
            "rows": count,
            "share": round(count / (count + own), 4),
        }

    def _dpo(self, number: int, done: Done) -> Facts:
        version = open_version(done[number, Step.JUDGE]["path"])
        beta = self.loaded.recipe.improve.beta
        more = {} if beta is None else {"beta": beta}
        start = whole(self._folder(number, Step.SFT), self.folder.path)
        return self._train(Step.DPO, number, version, start, more)

    def _train(
        self,
        step: Step,
        number: int,
        version: Version,
        start: Path | None,
        more: Mapping[str, Any],
    ) -> Facts:
        folder = self._folder(number, step)
        # A folder of a model appears whole, by one rename; what is here is of this loop.
        if not (folder / "charter.json").is_file():
            self._train_anew(number, step, version, start, more)
        lineage = json.loads((folder / "charter.json").read_text("utf-8"))
        metrics = {k: lineage["metrics"][k] for k in _METRICS if k in lineage["metrics"]}
        notes = list(lineage["notes"])
        if step is Step.SFT and self._recovers and "recovery_rows" not in metrics:
            notes.append(NO_RECOVERY)
        return {
            "model": str(folder),
            "dataset": f"{lineage['dataset']['repo']}@{lineage['dataset']['tag']}",
            "metrics": metrics,
            "fields": lineage["fields"],
            "notes": notes,
        }

    @property
    def _recovers(self) -> bool:
        """Whether the recipe asks for safety recovery."""
        return (self.loaded.recipe.train.sft or {}).get("recovery") is not None

    def _train_anew(
        self,
        number: int,
        step: Step,
        version: Version,
        start: Path | None,
        more: Mapping[str, Any],
    ) -> None:
        from charter.evals.refuses import refuses
        from charter.models.checkpoint import EMBEDDED_NAME
        from charter.models.local import unload_local
        from charter.trainers.recovery import recoverable
        from charter.trainers.train import train

        values = {**(getattr(self.loaded.recipe.train, step) or {}), **more}
        # A model that declines by itself leaves no unsafe answer to recover from: no reason to
        # end the rounds.
        wanted = step is Step.SFT and self._recovers
        if wanted and not recoverable(version.dataset("sft", "train"), refuses):
            del values["recovery"]
        model = EMBEDDED_NAME if start is None else str(start)
        folder = self._folder(number, step)
        settings = read_settings(step, version, folder, model=model, values=values)
        # Models that answered in steps before would stay in memory beside the one in training,
        # and one more with each round. The base is among them only where it is this round's.
        for answered in {start, self.model(number - 1)}:
            unload_local(answered)
        with self.shown() as progress:
            show = _counted(progress, f"train {step}")
            train(settings, lambda at, total, logs: show(at, total), refuses)


def whole(model: Path, loop: Path) -> Path:
    """The folder of a round's model, seen to be there.

    It is not trained anew in silence: the figures of its round are those of the model that is gone.

    Raises:
        InputError: it is not.
    """
    if (model / "charter.json").is_file():
        return model
    what = "the model of a step that is done is gone or damaged"
    fix = f"put it back, or move {loop} away to begin anew; the calls are cached"
    raise InputError(Fault(str(model), "", what, fix))


def _counted(progress: Progress, name: str) -> Callable[[int, int], None]:
    shown: int | None = None

    def show(done: int, total: int) -> None:
        nonlocal shown
        if shown is None:
            progress.begin(name, total, "steps")
            shown = 0
        if done > shown:
            progress.advance(name, done - shown)
            shown = done

    return show


def _cost(result: RunResult) -> Facts:
    tally = result.tally
    return {
        "calls": tally.calls.total(),
        "cached_calls": tally.cached.total(),
        "tokens": sum(read + written for read, written in tally.tokens.values()),
        "money": result.cost,
    }


def _name_mix(folder: Path, added: Facts) -> None:
    """Say in a model's lineage and card what it was trained on beside its version."""
    lineage = json.loads((folder / "charter.json").read_text("utf-8"))
    card = folder / "README.md"
    text = card.read_text("utf-8")
    head = "## Mixed in"
    if head not in text:
        said = (
            f"{added['rows']} rows of helpful answers from `{added['source']}` (SHA-256 "
            f"`{added['sha256']}`) were among the rows trained on, {added['share']:.0%} of all."
        )
        write_whole(card, f"{text.rstrip()}\n\n{head}\n\n{said}\n")
    if lineage.get("mixed") != added:
        text = json.dumps({**lineage, "mixed": added}, ensure_ascii=False, indent=2)
        write_whole(folder / "charter.json", text + "\n")
