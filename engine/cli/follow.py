"""What follows a run by its recipe: training from the published version, then measuring."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charter.cli.output import Output
from charter.documents import expanded
from charter.errors import Fault, InputError
from charter.recipes.load import resolve
from charter.recipes.train import METHODS
from charter.run.progress import Progress

if TYPE_CHECKING:
    from charter.evals.held_out import HeldOut
    from charter.evals.measure import RefusalReport
    from charter.hub import Version
    from charter.models.cache import CallCache
    from charter.recipes import Loaded, Recipe
    from charter.recipes.schema import RefusalSettings
    from charter.trainers.settings import TrainSettings
    from charter.trainers.train import Trained

__all__ = ["evaluate_models", "measure_models", "train_model", "train_models"]


def train_models(output: Output, recipe: Recipe, version_path: Path, out: Path) -> dict[str, Path]:
    """Train what the recipe's `train` block says; a model that is there already is kept.

    All else starts from the SFT model where that is trained too (Bai et al. 2022, section 4).

    Returns:
        The folder of each model, by method.

    Raises:
        InputError: a folder holds something else, or a model of another version of that name.
    """
    from charter.hub import open_version
    from charter.trainers.settings import read_settings

    wanted = [method for method in METHODS if getattr(recipe.train, method) is not None]
    if not wanted:
        return {}
    version = open_version(version_path)
    models: dict[str, Path] = {}
    for method in wanted:
        folder = out / "models" / version.repo / version.tag / method
        # The recipe's text is part of the version, so a model of it is of these settings.
        if _trained_from(folder, version):
            output.line(f"{method}: trained from this version already, in {folder}")
        else:
            values = dict(getattr(recipe.train, method))
            start = str(models["sft"]) if "sft" in models else None
            model = None if "model" in values else start
            train_model(output, read_settings(method, version, folder, model=model, values=values))
        models[method] = folder
    return models


def _trained_from(folder: Path, version: Version) -> bool:
    """Whether a model of the version is there; a folder without a model is for the training.

    Raises:
        InputError: the model is of another version, published as this one is where its own is gone.
    """
    if not (folder / "charter.json").is_file():
        return False
    manifest = sha256((version.path / "charter.json").read_bytes()).hexdigest()
    try:
        facts = json.loads((folder / "charter.json").read_text(encoding="utf-8"))
        if facts["dataset"]["manifest_sha256"] == manifest:
            return True
    except (OSError, ValueError, KeyError, TypeError):
        pass  # what cannot be read was not written by a training of this version
    what = f"holds a model of another {version.repo}@{version.tag}"
    raise InputError(Fault(str(folder), "", what, "move it away, or give another --out"))


def train_model(output: Output, settings: TrainSettings) -> Trained:
    """Train one model, with progress, and say what came of it."""
    from charter.evals.refuses import refuses
    from charter.trainers.train import train

    method = settings.method
    with output.progress() as progress:
        progress.say(f"training {method}")
        show = counted(progress, f"train {method}", "steps")
        trained = train(settings, lambda done, total, logs: show(done, total), refuses)
    metrics = trained.metrics
    # Single steps are noise; passes over all rows can be compared, where there were two.
    spans = ("reward", "epoch_loss", "loss")
    span = next((name for name in spans if f"first_{name}" in metrics), None)
    moved = ""
    if span is not None:  # nothing is logged with `logging_strategy: no`
        first, last = metrics[f"first_{span}"], metrics[f"last_{span}"]
        moved = f"{span.replace('_', ' ')} {first:.3f} -> {last:.3f}, "
    output.line(
        f"{method}: {metrics['steps']:.0f} steps on {metrics['rows']:.0f} rows, {moved}"
        f"{metrics['seconds']:.0f} s, in {trained.model}"
    )
    if "recovery_rows" in metrics:
        output.line(
            f"  with {metrics['recovery_rows']:.0f} rows of safety recovery from "
            f"{metrics['recovery_prompts']:.0f} prompts: {metrics['recovery_prefixed']:.0f} after "
            "the start of the unrevised answer"
        )
    if trained.resumed_at:
        output.line(f"  went on from the checkpoint of step {trained.resumed_at}")
    elif settings.resume:
        output.line("  no checkpoint was there to resume: it began at the first step")
    for note in trained.notes:
        output.line(f"  note: {note}")
    if (trained.model / "runs").is_dir():
        output.line(f"  curves: tensorboard --logdir {trained.model / 'runs'}")
    output.line(f"  report: {trained.model / 'report.html'}")
    return trained


def counted(progress: Progress, name: str, unit: str = "prompts") -> Callable[[int, int], None]:
    """A `(done, total)` callback that moves a progress bar."""
    shown: int | None = None

    def show(done: int, total: int) -> None:
        nonlocal shown
        if shown is None:
            progress.begin(name, total, unit)
            shown = 0
        if done > shown:
            progress.advance(name, done - shown)
            shown = done

    return show


def evaluate_models(
    output: Output, loaded: Loaded, version_path: Path, models: Mapping[str, Path]
) -> dict[str, Any]:
    """Refusals of the generator and of each trained model, on prompts not trained on."""
    from charter.evals.held_out import trained_texts
    from charter.hub import open_version

    settings = loaded.recipe.evaluate.refusal
    generator = loaded.recipe.models.generator
    assert settings is not None
    named: dict[str, Path | None] = {}
    if generator is not None and generator.llm == "local":
        named["before"] = expanded(generator.model) if generator.model else None
    # A reward model writes nothing that could be a refusal.
    named |= {method: folder for method, folder in models.items() if method != "reward"}
    if not named:
        output.line("no refusals measured: the generator is no local model, and none was trained")
        return {}
    version = open_version(version_path)
    seen = trained_texts(version)
    return measure_models(output, settings, named, loaded.path.parent, seen)


def measure_models(
    output: Output,
    settings: RefusalSettings,
    models: Mapping[str, Path | None],
    beside: Path,
    trained_on: Collection[str],
) -> dict[str, Any]:
    """Measure refusals of local models and print them side by side.

    Args:
        output: where to.
        settings: which prompts.
        models: folder of each model by its name; None is the embedded one.
        beside: where a relative path of the prompts is also looked up.
        trained_on: texts that the models have seen.
    """
    from charter.evals.held_out import held_out
    from charter.models.cache import CallCache, default_cache_path

    files = resolve(settings.path, beside)
    if not files:
        raise InputError(Fault(settings.path, "", "no such file", "check the path"))
    prompts = held_out(files[0], settings.categories, settings.per_category, trained_on)
    cache = CallCache(default_cache_path())
    try:
        reports = {
            name: _measure(output, name, folder, prompts, settings.max_tokens, cache)
            for name, folder in models.items()
        }
    finally:
        cache.close()
    found = {name: report.as_json() for name, report in reports.items()}
    rows = []
    for name, report in reports.items():
        for category, figures in report.categories.items():
            share = figures.refused
            refused = round((share.value or 0) * (share.n or 0))
            interval = "" if share.low is None else f"{share.low:.2f} to {share.high:.2f}"
            rows.append((name, category, f"{refused} of {share.n}", interval))
    unseen = ", of prompts that were not trained on" if trained_on else ""
    output.line(f"\nRefused{unseen} (by rules; 95 % Wilson interval)")
    output.table(("model", "category", "refused", "interval"), rows)
    if len(found) > 1 and all(_overlap(found, category) for category in settings.categories):
        output.line("All intervals overlap: these figures show no difference between the models.")
    return found


def _measure(
    output: Output,
    name: str,
    folder: Path | None,
    prompts: Sequence[HeldOut],
    max_tokens: int,
    cache: CallCache,
) -> RefusalReport:
    """One model's refusals; answers that the cache has are not written again."""
    from charter.evals.measure import measure_refusals
    from charter.models.cached import CachedLocal

    with output.progress() as progress:
        return measure_refusals(
            CachedLocal(folder, cache),
            [(p.id, p.messages, p.category) for p in prompts],
            max_tokens=max_tokens,
            progress=counted(progress, f"refusals {name}"),
        )


def _overlap(found: Mapping[str, Any], category: str) -> bool:
    """Whether one share lies in the intervals of all models."""
    shares = [figures[category]["refused"] for figures in found.values()]
    lows = [share["low"] or 0.0 for share in shares]
    highs = [1.0 if share["high"] is None else share["high"] for share in shares]
    return max(lows) <= min(highs)
