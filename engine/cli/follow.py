"""What follows a run by its recipe: training from the published version, then measuring."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charter.cli.output import Output

if TYPE_CHECKING:
    from charter.recipes import Loaded, Recipe
    from charter.trainers.settings import TrainSettings
    from charter.trainers.train import Trained

__all__ = ["evaluate_models", "train_model", "train_models"]

METHODS = ("sft", "dpo")


def train_models(output: Output, recipe: Recipe, version_path: Path, out: Path) -> dict[str, Path]:
    """Train what the recipe's `train` block says; a model that is there already is kept.

    DPO starts from the SFT model where both are trained (Bai et al. 2022, section 4).

    Returns:
        The folder of each model, by method.
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
        # The recipe's text is part of the version, so a folder of this tag is of these settings.
        if (folder / "charter.json").is_file():
            output.line(f"{method}: trained from this version already, in {trained.model}")
        else:
            values = dict(getattr(recipe.train, method))
            start = str(models["sft"]) if method == "dpo" and "sft" in models else None
            model = None if "model" in values else start
            train_model(output, read_settings(method, version, folder, model=model, values=values))
        models[method] = folder
    return models


def train_model(output: Output, settings: TrainSettings) -> Trained:
    """Train one model, with progress, and say what came of it."""
    from charter.trainers.train import train

    method = settings.method
    with output.progress() as progress:
        progress.say(f"training {method}")
        shown = 0

        def step(done: int, total: int, logs: Mapping[str, float]) -> None:
            nonlocal shown
            if not shown:
                progress.begin(method, total)
            progress.advance(method, done - shown)
            shown = done

        trained = train(settings, step)
    metrics = trained.metrics
    output.line(
        f"{method}: {metrics['steps']:.0f} steps on {metrics['rows']:.0f} rows, "
        f"loss {metrics['first_loss']:.3f} -> {metrics['last_loss']:.3f}, "
        f"{metrics['seconds']:.0f} s, in {trained.model}"
    )
    for note in trained.notes:
        output.line(f"  note: {note}")
    return trained


def evaluate_models(
    output: Output, loaded: Loaded, version_path: Path, models: Mapping[str, Path], out: Path
) -> dict[str, Any]:
    """Refusals of the generator and of each trained model, on prompts not in the version."""
    raise NotImplementedError
