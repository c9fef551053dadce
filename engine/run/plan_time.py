"""How long the calls of a plan will take, by how long such calls took before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charter.models.cache_files import read_cache
from charter.models.call import Answer
from charter.recipes import Loaded
from charter.steps.asking import Asking

__all__ = ["Rate", "Rates", "minutes_of"]

# The newest answers of a cache: enough to measure a model by, and read in no time.
_NEWEST = 20_000
# Kinds that answer in this process, a batch at a time.
_HERE = ("local", "transformers", "vllm", "llama-cpp")


@dataclass(frozen=True, slots=True)
class Rate:
    """How long a call takes.

    Attributes:
        seconds: mean model time of a call.
        calls: answers that it is the mean of.
        of: `step`: answers to this recipe's own step; `model`: any of that model's in the cache.
    """

    seconds: float
    calls: int
    of: str


@dataclass(slots=True)
class Rates:
    """The rate of each step, as far as something was measured.

    Attributes:
        steps: by step.
    """

    steps: dict[str, Rate] = field(default_factory=dict)
    _seen: dict[str, list[float]] = field(default_factory=dict)

    def see(self, step: str, answer: Answer) -> None:
        """Count an answer that the cache has for a step; one without a time counts nothing."""
        if answer.seconds > 0:
            sums = self._seen.setdefault(step, [0.0, 0])
            sums[0] += answer.seconds
            sums[1] += 1

    def fill(self, missing: Mapping[str, tuple[str, int]], path: Path) -> None:
        """Settle the rates of the steps that have calls to make.

        Args:
            missing: step -> (its model's name, calls to make).
            path: the cache's file; asked about models where no answer of a step was seen.
        """
        wanted = {step: model for step, (model, calls) in missing.items() if calls}
        for step in wanted:
            if step in self._seen:
                seconds, calls = self._seen[step]
                self.steps[step] = Rate(seconds / calls, int(calls), "step")
        if wanted.keys() <= self.steps.keys():
            return
        of_models = _newest(path)
        for step, model in wanted.items():
            if step not in self.steps and model in of_models:
                self.steps[step] = of_models[model]

    def as_json(self) -> dict[str, Any]:
        """Step -> `{"seconds", "calls", "of"}`; steps of which nothing was measured are absent."""
        return {
            step: {"seconds": round(rate.seconds, 6), "calls": rate.calls, "of": rate.of}
            for step, rate in self.steps.items()
        }


def _newest(path: Path) -> dict[str, Rate]:
    """The mean by model over the newest answers of a cache."""
    query = (
        "SELECT model, avg(seconds), count(*) FROM calls "
        "WHERE id > (SELECT max(id) FROM calls) - ? "
        "AND seconds > 0 AND seconds < 1e9 GROUP BY model"
    )
    with read_cache(path) as db:
        return {
            model: Rate(mean, count, "model")
            for model, mean, count in db.execute(query, (_NEWEST,))
        }


def minutes_of(loaded: Loaded, asked: Sequence[tuple[Asking, int]], rates: Rates) -> float | None:
    """How long the missing calls take, or None where a step that has some was never measured.

    By Little's law: calls x seconds / calls in flight, at the server that has most to do; at
    least the time of one row's own chain, in which calls wait for each other.

    Args:
        loaded: the recipe.
        asked: each step with the calls that it has to make.
        rates: of those steps.
    """
    busy: dict[tuple[str, str], float] = {}
    chain = 0.0
    for asking, calls in asked:
        if not calls:
            continue
        rate = rates.steps.get(asking.name)
        if rate is None:
            return None
        settings = loaded.recipe.role(asking.role)
        at_once = 1 if settings.llm in _HERE else loaded.recipe.run.in_flight
        where = (settings.address or settings.llm, str(settings.model))
        busy[where] = busy.get(where, 0.0) + calls * rate.seconds / at_once
        chain += rate.seconds
    return round(max([chain, *busy.values()]) / 60, 4)
