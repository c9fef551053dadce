"""Loops side by side: what was set otherwise, and what came with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from charter.errors import Fault, InputError
from charter.evals.held_out import HeldOut
from charter.html import section, table, text
from charter.improve.cells import shown, shown_tax
from charter.improve.evaluate import answers_file
from charter.improve.figures import RoundFigures
from charter.improve.halves import base_model, other_models
from charter.improve.helpful import Helpful
from charter.improve.paired import Change, Refused, changes, read_refused
from charter.improve.rules import End
from charter.models.checkpoint import identify
from charter.recipes import Loaded, read_prompts
from charter.recipes.load import model_identity
from charter.rows import digest
from charter.stats import Estimate

__all__ = ["PAIRED_NOTE", "Beside", "Loop", "read_loop", "read_loops", "subject"]

# What changes no figure of a round.
_APART: Final = frozenset({"rounds", "stop", "models"})
_KNOWN: Final = ("seed", "prompts", "sft", "preference")
_HEAD: Final = (
    *("loop", "round", "KL, nats an answer", "helpful rows of SFT", "tax, %"),
    *("harmless refused", "harmful refused", "win rate against base", "quality"),
)
_PAIRED: Final = ("beside", "round", "category", "prompts", "refused more often here", "p")
PAIRED_NOTE: Final = (
    "Refusals prompt by prompt, of those that both models answered: the share refused here less "
    "the share refused there, and McNemar's exact p, each by itself."
)


def subject(
    loaded: Loaded, prompts: Sequence[HeldOut], helpful: Helpful | None = None
) -> dict[str, Any]:
    """What tells whether two loops can be compared, and in what they differ.

    Args:
        loaded: the recipe.
        prompts: of the evaluation.
        helpful: what is mixed into SFT, or None.

    Returns:
        `evaluated`, a digest of the prompts, the longest answer and the model before any round;
        `recipe`, each setting that can change a figure by its dotted name; what a path stands for
        may change behind it, so the contents of files and of local models are there as digests.
    """
    recipe = loaded.recipe
    asked = [[each.id, list(each.messages), each.category] for each in prompts]
    base = list(identify(base_model(loaded)))
    whole = recipe.model_dump(mode="json")
    improve = {name: value for name, value in whole["improve"].items() if name not in _APART}
    settings = {
        "constitution": f"{loaded.constitution_name} {loaded.constitution.fingerprint()[:12]}",
        **{name: whole[name] for name in _KNOWN},
        "models": {role: model_identity(recipe, role) for role in recipe.roles},
        "train": {name: whole["train"][name] for name in ("sft", "dpo")},
        "improve": improve,
        "contents": {
            "prompts": read_prompts(loaded).fingerprint()[:12],
            "helpful": None if helpful is None else helpful.sha256[:12],
            "models": [identify(path).revision for path in other_models(loaded)],
        },
    }
    evaluated = digest("evaluated", 1, asked, recipe.improve.evaluate.max_tokens, base)
    return {"evaluated": evaluated, "recipe": dict(_flat("", settings))}


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        return [(name, value)]
    return [pair for key, part in value.items() for pair in _flat(f"{name}.{key}".strip("."), part)]


@dataclass(frozen=True, slots=True)
class Loop:
    """What is shown of a loop beside others.

    Attributes:
        id: its name.
        evaluated: see `subject`.
        recipe: see `subject`.
        best: number of the round that it kept.
        rounds: the table's rows, from round 1 on.
        refused: by round, which prompts its model refused; None where its answers are gone.
        cut_off: where it was, in words; empty where it came to an end of its own.
    """

    id: str
    evaluated: str
    recipe: Mapping[str, Any]
    best: int
    rounds: Sequence[tuple[Any, ...]]
    refused: Mapping[int, Refused | None] = field(default_factory=dict)
    cut_off: str = ""

    @classmethod
    def from_json(cls, found: Mapping[str, Any], folder: Path) -> Self:
        """A loop from the object in its `report.json`, and from the answers in its folder.

        Raises:
            KeyError, TypeError: it is of another shape.
        """
        best = found["best"]["round"]
        rows = [_row(found["loop"], each, best) for each in found["rounds"] if each["round"]]
        numbers = [each["round"] for each in found["rounds"] if each["round"]]
        refused = {number: read_refused(folder / answers_file(number)) for number in numbers}
        cut = found["said"][0] if found.get("end") == End.CUT_OFF else ""
        recipe = dict(found["recipe"])
        return cls(found["loop"], found["evaluated"], recipe, best, rows, refused, cut)


def _row(loop: str, found: Mapping[str, Any], best: int) -> tuple[Any, ...]:
    figures = RoundFigures.from_json(found)
    divergence, mix = found["last_kl"], found["helpful"]
    return (
        loop,
        f"{figures.number} *" if figures.number == best else str(figures.number),
        "no figure" if divergence is None else f"{divergence:.3g}",
        f"{mix['share']:.0%}" if mix else "none",
        shown_tax(figures) or "not asked for",
        shown(figures.over_refusal),
        shown(figures.refused_harmful),
        shown(figures.win_base),
        shown(Estimate(**found["quality"])),
    )


def read_loops(folders: Sequence[Path], evaluated: str) -> list[Loop]:
    """Read loops that were made before; see `read_loop`.

    Raises:
        InputError: what is wrong with any of them, all at once.
    """
    loops: list[Loop] = []
    faults: list[Fault] = []
    for folder in folders:
        try:
            loops.append(read_loop(folder, evaluated))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)
    return loops


def read_loop(folder: Path, evaluated: str) -> Loop:
    """Read a loop that was made before.

    Args:
        folder: of the loop, with its `report.json`.
        evaluated: of the loop beside which it is to stand.

    Raises:
        InputError: it has no report, or was measured in another way.
    """
    path = folder / "report.json"
    try:
        loop = Loop.from_json(json.loads(path.read_text("utf-8")), folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        what = "is not there" if gone else "is no report of rounds, or one of an older charter"
        fix = "name a folder under out/improve; the loop's own command makes its report anew"
        raise InputError(Fault(str(path), "--beside", what, fix)) from None
    if loop.evaluated != evaluated:
        what = "was measured on other prompts, with longer or shorter answers, or from another base"
        fix = "compare loops whose improve.evaluate and generator's model are the same"
        raise InputError(Fault(str(path), "--beside", what, fix))
    return loop


@dataclass(frozen=True, slots=True)
class Beside:
    """Loops side by side, this one first."""

    loops: Sequence[Loop]

    def differing(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """A table of the settings in which they differ: a setting a row, a loop a column."""
        names = list(dict.fromkeys(name for loop in self.loops for name in loop.recipe))
        rows = []
        for name in names:
            values = [_said(loop.recipe.get(name)) for loop in self.loops]
            if len(set(values)) > 1:
                rows.append((name, *values))
        return ("set otherwise", *(loop.id for loop in self.loops)), rows

    def measured(self) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """A table of what was measured: a row a loop and round."""
        return _HEAD, [row for loop in self.loops for row in loop.rounds]

    def paired(self) -> list[Change]:
        """This loop's rounds beside the same rounds of each other loop, by category."""
        mine, *others = self.loops
        found: list[Change] = []
        for other in others:
            for number in sorted(mine.refused.keys() & other.refused.keys()):
                here, there = mine.refused[number], other.refused[number]
                if here is not None and there is not None:
                    found += changes(other.id, number, here, there)
        return found

    def missing(self) -> list[str]:
        """What the tables lack: rounds after a cut, and in `paired` those without answers."""
        cut = [f"{loop.id}: {loop.cut_off}" for loop in self.loops if loop.cut_off]
        return cut + [
            f"not compared prompt by prompt: the answers of round {number} of {loop.id} are gone"
            for loop in self.loops
            for number, each in loop.refused.items()
            if each is None
        ]

    def refusals(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """A table of `paired`."""
        return _PAIRED, [change.row() for change in self.paired()]

    def section(self) -> str:
        """The part of the page."""
        head, rows = self.differing()
        same = "<p>Nothing that can change a figure is set otherwise.</p>\n"
        note = (
            '<p class="note">All were measured from the same base on the same prompts. Where '
            "more than one setting differs, the figures do not say which of them did it; where "
            "intervals overlap, they may show chance alone.</p>\n"
        )
        parts = [table(head, rows) if rows else same, table(*self.measured()), note]
        head, changed = self.refusals()
        if changed:
            parts += [table(head, changed), f'<p class="note">{PAIRED_NOTE}</p>\n']
        parts += [f'<p class="note">{text(line)}</p>\n' for line in self.missing()]
        return section("Beside other loops", parts)

    def as_json(self) -> dict[str, Any]:
        """The loops' names, the settings in which they differ, and what changed with them."""
        head, rows = self.differing()
        return {
            "loops": list(head[1:]),
            "differing": {row[0]: list(row[1:]) for row in rows},
            "paired": [change.as_json() for change in self.paired()],
        }


def _said(value: Any) -> str:
    if value is None:
        return "not set"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
