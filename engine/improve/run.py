"""Improve by a recipe: everything that the rounds need, made ready and brought to its end."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from charter.errors import CharterError, Interrupted
from charter.hub import HubOptions
from charter.improve import halves
from charter.improve.beside import Beside, Loop, read_loops, subject
from charter.improve.evaluate import Evaluation, asked_prompts
from charter.improve.helpful import read_helpful
from charter.improve.loop import Outcome, cut_off, run_rounds
from charter.improve.needs import check
from charter.improve.report import as_json, report_page
from charter.improve.state import LoopFolder
from charter.improve.work import RoundWork, Shown, whole
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
        beside: this loop and others, where others were named.
    """

    outcome: Outcome
    folder: Path
    model: Path | None
    found: dict[str, Any]
    beside: Beside | None = None


def improve(
    loaded: Loaded,
    out: Path,
    say: Callable[[str], None],
    shown: Shown,
    others: Sequence[Path] = (),
    hub: HubOptions | None = None,
) -> Improved:
    """Go through the rounds of a recipe; the same call goes on where one was cut off.

    Where a step fails, the rounds that were measured before are reported, and the best of them is
    pointed to, all the same.

    Args:
        loaded: the recipe; how many rounds is its `improve.rounds`.
        out: gets `runs/`, `versions/` and `improve/`.
        say: told a line at each step.
        shown: makes a watcher for one step.
        others: folders of loops that the report is to put beside this one.
        hub: how versions go to a Hub, for `publish: {to: hub}`.

    Raises:
        InputError: the recipe lacks what rounds need; another loop cannot be compared.
        Failure: a server is down, a training fails, the disk is full.
        Interrupted: Ctrl-C; the same command goes on.
    """
    check(loaded)
    prompts = asked_prompts(loaded)
    settings = loaded.recipe.improve
    helpful = read_helpful(settings.helpful, loaded.path.parent) if settings.helpful else None
    about = subject(loaded, prompts, helpful)
    loops = read_loops(others, about["evaluated"])
    with open_loop(loaded, out) as folder:
        say(f"state in {folder.path}")
        evaluation = Evaluation(loaded, folder, prompts)
        work = RoundWork(loaded, out, folder, evaluation, helpful, shown, hub)
        try:
            outcome = run_rounds(folder, work, settings, say)
        except Exception as error:
            _so_far(loaded, folder, work, about, error, say)
            raise
        model = work.model(outcome.best)
        found = _found(loaded, folder, outcome, model, about)
        beside = Beside((Loop.from_json(found, folder.path), *loops)) if loops else None
        found |= {"beside": beside.as_json()} if beside else {}
        folder.write("report.html", report_page(outcome, loaded, beside))
        try:
            keep(folder, outcome.best, model)
            found |= _pushed(loaded, folder, work, outcome, say)
        finally:  # a Hub that is down takes nothing from what the rounds found
            _write_json(folder, found)
    return Improved(outcome, folder.path, model, found, beside)


def _found(
    loaded: Loaded,
    folder: LoopFolder,
    outcome: Outcome,
    model: Path | None,
    about: dict[str, Any],
) -> dict[str, Any]:
    said = as_json(outcome, loaded, _text(model))
    return {"loop": folder.id, "path": str(folder.path), **said, **about}


def _write_json(folder: LoopFolder, found: dict[str, Any]) -> None:
    folder.write("report.json", json.dumps(found, ensure_ascii=False, indent=1) + "\n")


def _so_far(
    loaded: Loaded,
    folder: LoopFolder,
    work: RoundWork,
    about: dict[str, Any],
    error: Exception,
    say: Callable[[str], None],
) -> None:
    """Report the rounds that were measured before a step ended by an error."""
    outcome = cut_off(folder, loaded.recipe.improve, error)
    if outcome is None:
        return
    # What ended the step is what has to be said, whatever else goes wrong now.
    with contextlib.suppress(CharterError, OSError):
        model = work.model(outcome.best)
        page = folder.write("report.html", report_page(outcome, loaded))
        _write_json(folder, _found(loaded, folder, outcome, model, about))
        keep(folder, outcome.best, model)
        if not isinstance(error, Interrupted):  # after Ctrl-C nothing more is begun
            say(f"report of the rounds before: {page}")


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
    of the prompts of the evaluation and of the helpful answers, the weights of the model before
    any round, and those of each other local model that a role has. A recipe without such a one
    has the identity that it had before these were covered.
    """
    settings = loaded.recipe.improve
    helpful = read_helpful(settings.helpful, loaded.path.parent).sha256 if settings.helpful else ""
    asked = [[each.id, list(each.messages), each.category] for each in asked_prompts(loaded)]
    base = identify(halves.base_model(loaded))
    made_of = [read_prompts(loaded).fingerprint(), asked, helpful, list(base)]
    if others := [list(identify(path)) for path in halves.other_models(loaded)]:
        made_of.append(others)
    return LoopFolder(out / "improve", loaded.recipe.name, halves.identity(loaded, *made_of))


def keep(folder: LoopFolder, number: int, model: Path | None) -> None:
    """Point to the model that is kept: `best.json`, and a link `best` where it has a folder.

    Raises:
        InputError: its folder is gone; no link points there then.
    """
    link, part = folder.path / "best", folder.path / ".best"
    part.unlink(missing_ok=True)
    if number == 0 or model is None or not (model / "charter.json").is_file():
        link.unlink(missing_ok=True)
    if number and model is not None:
        whole(model, folder.path)
    kept = {"round": number, "model": _text(model)}
    folder.write("best.json", json.dumps(kept) + "\n")
    if number == 0 or model is None:
        return
    part.symlink_to(os.path.relpath(model, folder.path.absolute()), target_is_directory=True)
    part.replace(link)


def _text(model: Path | None) -> str | None:
    return None if model is None else str(model)
