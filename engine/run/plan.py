"""Plan: what a run would ask, what the cache holds of it, and what it may cost. Calls nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from charter.models.build import identity
from charter.models.cache import CallCache, call_key
from charter.models.call import Call
from charter.pipeline import asking_steps, prompt_row
from charter.recipes import Loaded, read_prompts
from charter.recipes.schema import ModelSettings
from charter.rows import Row
from charter.steps.asking import Asking

__all__ = ["Plan", "StepPlan", "plan_run"]

# Latin text is about four characters a token; what a plan says of tokens is an estimate.
CHARS_A_TOKEN = 4


@dataclass(slots=True)
class StepPlan:
    """One step of a plan; calls are exact while the cache answers, and the most after that.

    Attributes:
        step: name of the step.
        model: the model's name.
        calls: answers it needs.
        cached_calls: those that the cache holds.
        prompt_tokens: estimate of tokens to be read, of the calls that are to be made.
        completion_tokens: the most that they may write.
        cost: None where no price is given and the model is not local.
    """

    step: str
    model: str
    calls: int = 0
    cached_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None


@dataclass(slots=True)
class Plan:
    """The plan of a recipe."""

    rows: int
    rejects: int
    steps: list[StepPlan] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The object that `charter plan --json` prints."""
        costs = [step.cost for step in self.steps]
        return {
            "rows": self.rows,
            "calls": sum(step.calls for step in self.steps),
            "cached_calls": sum(step.cached_calls for step in self.steps),
            "tokens": sum(step.prompt_tokens + step.completion_tokens for step in self.steps),
            "cost": None if None in costs else sum(cost for cost in costs if cost is not None),
            "steps": [
                {name: getattr(step, name) for name in StepPlan.__slots__} for step in self.steps
            ],
        }


def plan_run(loaded: Loaded, cache: CallCache) -> Plan:
    """Walk every row through the steps as far as the cache answers; the rest is counted.

    Linear in rows; loads no model and no distilabel.
    """
    prompts = read_prompts(loaded)
    steps = asking_steps(loaded)
    models = [loaded.recipe.models.role(step.role) for step in steps]
    identities = [identity(settings) for settings in models]
    plan = Plan(len(prompts.prompts), len(prompts.rejects))
    plan.steps = [
        StepPlan(step.name, str(found["model"]))
        for step, found in zip(steps, identities, strict=True)
    ]
    for prompt in prompts.prompts:
        _plan_row(prompt_row(prompt), steps, identities, models, plan.steps, cache)
    for entry, settings in zip(plan.steps, models, strict=True):
        entry.cost = _cost(entry, settings)
    return plan


def _plan_row(
    row: Row,
    steps: Sequence[Asking],
    identities: Sequence[Mapping[str, Any]],
    models: Sequence[ModelSettings],
    entries: Sequence[StepPlan],
    cache: CallCache,
) -> None:
    known_so_far = True
    length = sum(len(message["content"]) for message in row["prompt"])
    for step, found, settings, entry in zip(steps, identities, models, entries, strict=True):
        longest = 1 if step.one_token else settings.max_tokens
        if not known_so_far and not step.independent:
            count = step.most_calls()
            entry.calls += count
            # A step reads the prompt and about what the models before it wrote.
            _add_tokens(entry, count, length * count, longest)
            length += longest * CHARS_A_TOKEN
            continue
        calls = step.calls(row)
        keys = [call_key(found, call) for call in calls]
        known = cache.get(keys)
        entry.calls += len(calls)
        entry.cached_calls += sum(key in known for key in keys)
        missing = [call for call, key in zip(calls, keys, strict=True) if key not in known]
        _add_tokens(entry, len(missing), sum(map(_length, missing)), longest)
        if missing:
            known_so_far = False
            length = max([length, *map(_length, missing)]) + longest * CHARS_A_TOKEN
        else:
            row = step.fold(row, [known[key] for key in keys])


def _length(call: Call) -> int:
    return sum(len(message["content"]) for message in call.messages)


def _add_tokens(entry: StepPlan, calls: int, characters: int, longest: int) -> None:
    entry.prompt_tokens += characters // CHARS_A_TOKEN
    entry.completion_tokens += calls * longest


def _cost(entry: StepPlan, settings: ModelSettings) -> float | None:
    if settings.price is not None:
        read = entry.prompt_tokens * settings.price.prompt
        written = entry.completion_tokens * settings.price.completion
        return (read + written) / 1e6
    return 0.0 if settings.llm == "local" else None
