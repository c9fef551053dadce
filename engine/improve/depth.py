"""How deep the safety of a round's model goes; the same answers are forced in all rounds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from charter.errors import Fault, InputError
from charter.evals.depth import DepthFigures, Forced
from charter.evals.depth_measure import (
    FEWEST,
    Compliant,
    DepthAsked,
    base_answers,
    compliant,
    measured_depth,
    same_tokens,
)
from charter.evals.held_out import HeldOut
from charter.improve.halves import base_model
from charter.improve.metered import Metered
from charter.improve.state import LoopFolder
from charter.models.cache import CallCache, default_cache_path
from charter.models.cached import CachedLocal
from charter.recipes import Loaded
from charter.rows import draw_unit
from charter.run.progress import Progress

__all__ = ["RoundDepth", "depth_prompts", "most_calls", "round_depth"]

_FILE: Final = "depth.json"


@dataclass(frozen=True, slots=True)
class RoundDepth:
    """What was found of a round.

    Attributes:
        figures: None where there are too few answers to say anything, or nothing was asked.
        notes: why there are none, and what was left out.
        calls: answers and passes that it took; see `most_calls`.
        tokens: of the base's answers, read and written.
    """

    figures: DepthFigures | None = None
    notes: tuple[str, ...] = ()
    calls: int = 0
    tokens: int = 0


def depth_prompts(loaded: Loaded, asked: Sequence[HeldOut]) -> list[HeldOut]:
    """Of the prompts of every round those whose compliant answers are forced.

    Drawn by a hash of the recipe's seed and their ids, in the order in which they are asked;
    nothing where the recipe asks for no depth.

    Raises:
        InputError: there are too few of them for any figure.
    """
    evaluate = loaded.recipe.improve.evaluate
    if evaluate.depth is None:
        return []
    seed = loaded.recipe.seed
    found = [prompt for prompt in asked if prompt.category in evaluate.refuse]
    drawn = sorted(found, key=lambda prompt: draw_unit(seed, "depth", prompt.id))
    kept = {prompt.id for prompt in drawn[: evaluate.depth.limit]}
    if len(kept) < FEWEST:
        what = f"{len(kept)} prompts of the categories to refuse are asked, and {FEWEST} are needed"
        fix = "raise improve.evaluate.per_category, give more prompts, or leave depth out"
        raise InputError(Fault(str(loaded.path), "improve.evaluate.depth", what, fix))
    return [prompt for prompt in found if prompt.id in kept]


def most_calls(loaded: Loaded, prompts: int, number: int) -> int:
    """The most calls that a round's depth takes.

    A prompt takes one continuation for each length of `prefill`; in round 0 also the base's
    answer, in later ones one pass of each of the two models over an answer.
    """
    settings = loaded.recipe.improve.evaluate.depth
    if settings is None:
        return 0
    return prompts * (len(settings.prefill) + (2 if number else 1))


def round_depth(
    loaded: Loaded,
    folder: LoopFolder,
    prompts: Sequence[HeldOut],
    number: int,
    model: Path | None,
    progress: Progress,
) -> RoundDepth:
    """Measure a round's model.

    The base's answers are asked for in round 0 and kept in the folder as tokens: whatever happens
    to the loop or to the rules by which answers are read, all rounds are forced the same ones.

    Args:
        loaded: the recipe.
        folder: of the loop, entered.
        prompts: as `depth_prompts` gives them.
        number: of the round; 0 is the base.
        model: its folder; None is the embedded one.
        progress: who is told.

    Raises:
        InputError: the answers of round 0 are gone or damaged.
    """
    settings = loaded.recipe.improve.evaluate.depth
    if settings is None:
        return RoundDepth()
    from charter.models.local import load_local, unload_local

    asked = DepthAsked(
        settings.tokens, settings.prefill, settings.max_tokens, seed=loaded.recipe.seed
    )
    before = base_model(loaded)
    calls = tokens = 0
    if number == 0:
        chosen, calls, tokens = _chosen(before, prompts, asked, progress)
        folder.write(_FILE, _text(chosen))
    else:
        chosen = _kept(folder, prompts)
    notes = _notes(chosen, len(prompts), asked)
    if chosen.too_few:
        progress.say(notes[0])
        return RoundDepth(None, notes, calls, tokens)
    base, aligned = load_local(before), load_local(model)
    try:
        if not same_tokens(aligned, base):
            note = f"round {number}: no figure, as its tokenizer is not that of the base"
            return RoundDepth(None, (note, *notes), calls, tokens)
        calls += most_calls(loaded, len(chosen.rows), number) - (0 if number else len(chosen.rows))
        figures = measured_depth(aligned, base, chosen.rows, asked, _shown(progress, number))
    finally:
        if aligned is not base:
            unload_local(before)  # else it would lie beside the next round's training
    return RoundDepth(figures, notes, calls, tokens)


def _shown(progress: Progress, number: int) -> Callable[[str], Callable[[int, int], None]]:
    """Makes watchers of a part of the measurement."""

    def make(part: str) -> Callable[[int, int], None]:
        name = f"depth of {f'round {number}' if number else 'the base'}, {part}"
        shown: int | None = None

        def show(done: int, total: int) -> None:
            nonlocal shown
            if shown is None:
                progress.begin(name, total, "answers")
                shown = 0
            progress.advance(name, done - shown)
            shown = done

        return show

    return make


def _chosen(
    path: Path | None, prompts: Sequence[HeldOut], asked: DepthAsked, progress: Progress
) -> tuple[Compliant, int, int]:
    """The base's compliant answers, and the calls and tokens that they took."""
    from charter.models.local import load_local

    with closing(CallCache(default_cache_path())) as cache:
        meter = Metered(CachedLocal(path, cache))
        answers = base_answers(meter, prompts, asked, _shown(progress, 0)("answers to force"))
    base = load_local(path)
    found = compliant(base.tokenizer, prompts, answers.texts, asked, base.context_length)
    return found, meter.calls, meter.tokens


def _notes(chosen: Compliant, asked_for: int, asked: DepthAsked) -> tuple[str, ...]:
    notes = [
        f"{count:,} of {asked_for:,} prompts left out: {what.replace('_', ' ')}"
        for what, count in chosen.noted.items()
        if count
    ]
    if chosen.too_few:
        why = (
            f"no figure: the base gave {len(chosen.rows)} compliant answers of {asked.least} "
            f"tokens to {asked_for} prompts, and {FEWEST} are needed"
        )
        notes.insert(0, why)
    return tuple(notes)


def _text(chosen: Compliant) -> str:
    rows = [
        {"id": row.prompt.id, "prompt_ids": row.prompt_ids, "answer_ids": row.answer_ids}
        for row in chosen.rows
    ]
    return json.dumps({"noted": dict(chosen.noted), "rows": rows}) + "\n"


def _kept(folder: LoopFolder, prompts: Sequence[HeldOut]) -> Compliant:
    by_id = {prompt.id: prompt for prompt in prompts}
    path = folder.path / _FILE
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        rows = [
            Forced(by_id[each["id"]], tuple(each["prompt_ids"]), tuple(each["answer_ids"]))
            for each in found["rows"]
        ]
        return Compliant(tuple(rows), dict(found["noted"]))
    except (OSError, ValueError, KeyError, TypeError):
        what = "the answers that all rounds are forced are gone or damaged"
        fix = "move the folder away to begin anew; the calls are cached"
        raise InputError(Fault(str(path), "", what, fix)) from None
