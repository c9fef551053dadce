"""Improve by a recipe: everything that the rounds need, made ready and brought to its end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from charter.improve import halves
from charter.improve.evaluate import Evaluation, asked_prompts
from charter.improve.helpful import read_helpful
from charter.improve.loop import Outcome, run_rounds
from charter.improve.needs import check
from charter.improve.report import as_json, report_page
from charter.improve.state import LoopFolder
from charter.improve.work import RoundWork, Shown
from charter.models.checkpoint import identify
from charter.recipes import Loaded, read_prompts

__all__ = ["Improved", "improve", "open_loop"]


@dataclass(frozen=True, slots=True)
class Improved:
    """What `improve` ended with.

    Attributes:
        outcome: of the rounds.
        folder: of the loop, with `report.html`, `report.json` and `best.json`.
        model: folder of the model that is kept; None is the embedded one.
        found: the object for machines.
    """

    outcome: Outcome
    folder: Path
    model: Path | None
    found: dict[str, Any]


def improve(loaded: Loaded, out: Path, say: Callable[[str], None], shown: Shown) -> Improved:
    """Go through the rounds of a recipe; the same call goes on where one was cut off.

    Args:
        loaded: the recipe; how many rounds is its `improve.rounds`.
        out: gets `runs/`, `versions/` and `improve/`.
        say: told a line at each step.
        shown: makes a watcher for one step.

    Raises:
        InputError: the recipe lacks what rounds need.
        Failure: a server is down, a training fails, the disk is full.
        Interrupted: Ctrl-C; the same command goes on.
    """
    check(loaded)
    prompts = asked_prompts(loaded)
    settings = loaded.recipe.improve
    helpful = read_helpful(settings.helpful, loaded.path.parent) if settings.helpful else None
    with open_loop(loaded, out) as folder:
        say(f"state in {folder.path}")
        evaluation = Evaluation(loaded, folder, prompts)
        work = RoundWork(loaded, out, folder, evaluation, helpful, shown)
        outcome = run_rounds(folder, work, settings, say)
        model = work.model(outcome.best)
        found = {
            "loop": folder.id,
            "path": str(folder.path),
            **as_json(outcome, loaded, _text(model)),
        }
        folder.write("report.html", report_page(outcome, loaded))
        keep(folder, outcome.best, model)
        try:
            found |= _pushed(loaded, folder, work, outcome, say)
        finally:  # a Hub that is down takes nothing from what the rounds found
            folder.write("report.json", json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    return Improved(outcome, folder.path, model, found)


def _pushed(
    loaded: Loaded,
    folder: LoopFolder,
    work: RoundWork,
    outcome: Outcome,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The models on the Hub, by tag; nothing where the recipe names no repo for them."""
    from charter.trainers.push import push_rounds

    repo = loaded.recipe.improve.models
    rounds = [each.number for each in outcome.rounds if each.number]
    if repo is None or not rounds:
        return {}
    say(f"models of {len(rounds)} rounds to {repo}")
    models = {f"{folder.id}-round-{number}": work.model(number) for number in rounds}
    found = push_rounds(
        {tag: path for tag, path in models.items() if path is not None},
        work.model(outcome.best) if outcome.best else None,
        repo,
        private=loaded.recipe.publish.private,
    )
    return {"pushed": {name: asdict(each) for name, each in found.items()}}


def open_loop(loaded: Loaded, out: Path) -> LoopFolder:
    """The folder of the recipe's loop, not entered yet.

    Its identity covers beside the recipe's (`halves.identity`) the texts of the recipe's prompts,
    of the prompts of the evaluation and of the helpful answers, and the weights of the model
    before any round.
    """
    settings = loaded.recipe.improve
    helpful = read_helpful(settings.helpful, loaded.path.parent).sha256 if settings.helpful else ""
    asked = [[each.id, list(each.messages), each.category] for each in asked_prompts(loaded)]
    base = identify(halves.base_model(loaded))
    made_of = (read_prompts(loaded).fingerprint(), asked, helpful, list(base))
    return LoopFolder(out / "improve", loaded.recipe.name, halves.identity(loaded, *made_of))


def keep(folder: LoopFolder, number: int, model: Path | None) -> None:
    """Point to the model that is kept: `best.json`, and a link `best` where it has a folder."""
    kept = {"round": number, "model": _text(model)}
    folder.write("best.json", json.dumps(kept) + "\n")
    link, part = folder.path / "best", folder.path / ".best"
    part.unlink(missing_ok=True)
    if number == 0 or model is None:
        link.unlink(missing_ok=True)
        return
    part.symlink_to(os.path.relpath(model, folder.path.absolute()), target_is_directory=True)
    part.replace(link)


def _text(model: Path | None) -> str | None:
    return None if model is None else str(model)
