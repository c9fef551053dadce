"""From a recipe's steps to stages: each with its model loaded, and the lane to its server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from charter.models.ask import BatchAnswering
from charter.models.build import identity, load_llm
from charter.models.keys import Keys
from charter.models.lane import Lane, Patience
from charter.pipeline import compile_pipeline
from charter.recipes import Loaded
from charter.recipes.schema import ModelSettings, Price, RunSettings
from charter.run.tally import Stage
from charter.steps.asking import Asking

__all__ = ["stages_for", "stages_of"]

# A local model costs the electricity, which nobody counts by the token.
_FREE = Price(prompt=0.0, completion=0.0)


def stages_of(loaded: Loaded, tell: Callable[..., None] | None = None) -> list[Stage]:
    """The steps that ask, from the tasks of the recipe's pipeline, their models loaded."""
    pipeline = compile_pipeline(loaded)
    steps = [pipeline.dag.get_step(name)["step"] for name in pipeline.dag]
    asked = [(step.asking(), step.llm) for step in steps if hasattr(step, "asking")]
    return stages_for(asked, loaded.recipe.role, loaded.recipe.run, tell)


def stages_for(
    asked: Iterable[tuple[Asking, Any]],
    role: Callable[[str], ModelSettings],
    run: RunSettings,
    tell: Callable[..., None] | None = None,
) -> list[Stage]:
    """Stages from steps and their LLMs, which are loaded.

    Args:
        asked: each step with its LLM.
        role: the settings of a role's model.
        run: how servers are asked.
        tell: told of changes at a server.
    """
    lanes: dict[str, Lane] = {}
    stages = []
    for asking, llm in asked:
        settings = role(asking.role)
        load_llm(llm, settings.llm)
        lane = None
        if not isinstance(llm, BatchAnswering) and hasattr(llm, "agenerate"):
            lane = _lane(run, settings, llm, lanes, tell)
        keys = Keys(identity(settings))
        price = settings.price or (_FREE if settings.llm == "local" else None)
        stages.append(Stage(asking, llm, keys, lane, price, settings.max_tokens))
    return stages


def _lane(
    run: RunSettings,
    settings: ModelSettings,
    llm: Any,
    lanes: dict[str, Lane],
    tell: Callable[..., None] | None,
) -> Lane:
    """The lane of a model, shared by all steps that ask it."""
    name = f"{getattr(llm, 'address', settings.llm)} {settings.model}"
    if name not in lanes:
        patience = Patience(run.retries, run.retry_budget)
        lanes[name] = Lane(name, run.in_flight, patience, tell)
    return lanes[name]
