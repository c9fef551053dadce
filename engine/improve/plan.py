"""What rounds would do: their steps, the calls of each at most, and what is done already."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from charter.improve import halves
from charter.improve.depth import depth_prompts, most_calls
from charter.improve.evaluate import asked_prompts
from charter.improve.needs import check
from charter.improve.run import open_loop
from charter.improve.state import STEPS, Step, read_done
from charter.models.cache import CallCache, default_cache_path
from charter.pipeline import asking_steps
from charter.recipes import Loaded, read_prompts
from charter.run.settle import settled_by_cache

__all__ = ["plan"]


def plan(loaded: Loaded, out: Path) -> dict[str, Any]:
    """Every step of every round; no model is called and nothing is written.

    Raises:
        InputError: the recipe lacks what rounds need.
    """
    check(loaded)
    folder = open_loop(loaded, out)
    done = read_done(folder.path / "state.json")
    evaluated = asked_prompts(loaded)
    prompts, asked = len(read_prompts(loaded).prompts), len(evaluated)
    forced = len(depth_prompts(loaded, evaluated))
    # Which model answers changes no count, so the base stands for those that are not there yet.
    base = halves.base_model(loaded)
    generate = halves.sft_half(loaded, 1, base)
    judge = halves.preference_half(loaded, 1, base)
    games = _most(halves.judge_alone(loaded))
    calls = {
        Step.GENERATE: prompts * _most(generate),
        Step.SFT: 0,
        Step.JUDGE: prompts * _most(judge),
        Step.DPO: 0,
    }
    steps = [_step(0, Step.EVALUATE, asked + most_calls(loaded, forced, 0), done)]
    for number in range(1, loaded.recipe.improve.rounds + 1):
        against = 1 if number == 1 else 2
        measuring = asked * (1 + against * games) + most_calls(loaded, forced, number)
        counts = {**calls, Step.EVALUATE: measuring}
        steps += [_step(number, step, counts[step], done) for step in STEPS]
    return {
        "path": str(folder.path),
        "prompts": prompts,
        "evaluated": asked,
        "rounds": loaded.recipe.improve.rounds,
        "steps": steps,
    }


def _most(loaded: Loaded) -> int:
    """The most calls that a row of a recipe takes; of a judge that votes instead, its votes."""
    with closing(CallCache(default_cache_path())) as cache:
        loaded = settled_by_cache(loaded, cache)
    return sum(step.most_calls() for step in asking_steps(loaded))


def _step(number: int, step: Step, calls: int, done: Any) -> dict[str, Any]:
    return {"round": number, "step": str(step), "calls": calls, "done": (number, step) in done}
