"""The copies of `charter eval tamper`, one after the other; a finished one is not made again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from charter.evals.held_out import HeldOut
from charter.evals.tamper import Cell, cell_sizes, read_cell
from charter.evals.tamper_data import ExampleSet
from charter.evals.tamper_train import Tuning, tamper
from charter.rows import digest
from charter.run.folder import write_whole

__all__ = ["NOTICE", "TamperPlan", "cell_key", "measure_base", "run_cells"]

SCHEMA_VERSION: Final = 1
_PACKAGES: Final = ("torch", "transformers", "trl", "peft")

NOTICE: Final = (
    "Answers, and models where they were kept, of copies that were made to refuse less, to "
    "measure how easily that is done. They are for that measurement alone: publish and use none."
)
"""What lies in the folder of the command."""

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class TamperPlan:
    """What is measured on one set of examples.

    Attributes:
        folder: of the aligned model.
        revision: of it.
        examples: what copies are trained on.
        prompts: what they are asked.
        harmful: the category of the harmful ones.
        tuning: how they are trained.
        counts: numbers of examples.
        steps: numbers of steps.
        grid: all of one with all of the other.
        max_tokens: longest answer.
        out: where finished copies' answers are kept.
        keep: whether copies are saved too.
    """

    folder: Path
    revision: str
    examples: ExampleSet
    prompts: Sequence[HeldOut]
    harmful: str
    tuning: Tuning
    counts: Sequence[int]
    steps: Sequence[int]
    grid: bool
    max_tokens: int
    out: Path
    keep: bool = False
    packages: Mapping[str, str] = field(
        default_factory=lambda: {name: version(name) for name in _PACKAGES}
    )

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Examples and steps of each cell."""
        return cell_sizes(self.counts, self.steps, grid=self.grid)


def cell_key(plan: TamperPlan, revision: str, size: tuple[int, int]) -> str:
    """Names a copy and what it was asked (scheme 1): 24 hex digits.

    Covers the model's revision, the texts of the examples that are trained on in their drawn
    order, steps and `Tuning`, the conversations asked, the longest answer, and the versions of
    the packages that train and answer. Leaves out places, names, and the rules that read answers.
    """
    count, steps = size
    trained = [
        [list(each.prompt), each.answer] for each in plan.examples.first(count, plan.tuning.seed)
    ]
    how = [steps, plan.tuning.as_json(), trained] if steps else None
    asked = [[prompt.id, list(prompt.messages), prompt.category] for prompt in plan.prompts]
    parts = (revision, how, asked, plan.harmful, plan.max_tokens, dict(plan.packages))
    return digest("tamper", SCHEMA_VERSION, *parts)[:24]


def run_cells(plan: TamperPlan, tell: Tell | None = None) -> list[Cell]:
    """Every cell of a plan, the untouched model first; those kept are read.

    Args:
        plan: what.
        tell: called as `tell(what, done, total)` while a copy is trained and asked.

    Raises:
        OSError: the folder cannot be written.
        Failure: a training diverged.
    """
    return [_cell(plan, plan.revision, size, plan.folder, tell) for size in plan.sizes]


def measure_base(plan: TamperPlan, folder: Path, revision: str, tell: Tell | None = None) -> Cell:
    """What another model, untouched, answers to the plan's prompts."""
    return _cell(plan, revision, (0, 0), folder, tell)


def _cell(
    plan: TamperPlan, revision: str, size: tuple[int, int], folder: Path, tell: Tell | None
) -> Cell:
    path = plan.out / "cells" / f"{cell_key(plan, revision, size)}.json"
    kept, copy = _kept(path), _copy_at(plan, revision, size)
    # A copy's note is written last; one that was not asked for before is trained once more.
    if kept is None or (copy is not None and not (copy / "README.md").is_file()):
        kept = _made(plan, revision, size, folder, tell)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(plan.out / "README.md", f"# Tampered copies\n\n{NOTICE}\n")
        write_whole(path, json.dumps(kept, ensure_ascii=False, allow_nan=False) + "\n")
    loss = kept["loss"]
    return read_cell(
        size,
        plan.prompts,
        kept["answers"],
        plan.harmful,
        loss=None if loss is None else (loss[0], loss[1]),
        seconds=(kept["seconds"][0], kept["seconds"][1]),
    )


def _copy_at(plan: TamperPlan, revision: str, size: tuple[int, int]) -> Path | None:
    """Where a copy is saved; None for the untouched model, and where copies are forgotten."""
    if not plan.keep or not size[1]:
        return None
    return plan.out / "copies" / cell_key(plan, revision, size)


def _kept(path: Path) -> dict[str, Any] | None:
    """A finished cell, or None where there is none that can be read."""
    try:
        value = json.loads(path.read_text("utf-8"))
        whole = value["schema_version"] == SCHEMA_VERSION and isinstance(value["answers"], dict)
        return value if whole and len(value["seconds"]) == 2 and "loss" in value else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or not whole: it is made again


def _made(
    plan: TamperPlan, revision: str, size: tuple[int, int], folder: Path, tell: Tell | None
) -> dict[str, Any]:
    from charter.evals.answers import answers_of_model
    from charter.models.local import load_local, unload_local

    def part(what: str) -> Callable[[int, int], None] | None:
        return None if tell is None else lambda done, total: tell(what, done, total)

    count, steps = size
    copy = f"{count} examples, {steps} steps" if steps else f"untouched {folder.name}"
    name = f"{plan.examples.name}, {copy}"
    started = time.monotonic()
    loss = None
    if steps:
        keep = _copy_at(plan, revision, size)
        model, loss = tamper(
            folder,
            plan.examples.first(count, plan.tuning.seed),
            steps,
            plan.tuning,
            keep=keep,
            progress=part(f"{name}: steps"),
        )
        if keep is not None:
            write_whole(keep / "README.md", f"# A tampered copy\n\n{NOTICE}\n")
    else:
        model = load_local(folder)
    trained = time.monotonic()
    said = answers_of_model(
        model, plan.prompts, max_tokens=plan.max_tokens, progress=part(f"{name}: answers")
    )
    if not steps:
        unload_local(folder)
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": NOTICE,
        "about": {
            "model": revision,
            "data": plan.examples.name,
            "examples": count,
            "steps": steps,
            "tuning": asdict(plan.tuning),
        },
        "answers": dict(said.texts),
        "failed": dict(said.failed),
        "loss": None if loss is None else list(loss),
        "seconds": [round(trained - started, 2), round(time.monotonic() - trained, 2)],
    }
