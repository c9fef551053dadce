"""Plan: what a run would ask, what the cache holds of it, and what it may cost. Calls nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, repeat
from typing import Any

from charter.models.build import identity
from charter.models.cache import CallCache
from charter.models.call import Answer, Call
from charter.models.keys import Keys
from charter.pipeline import asking_steps, candidate_slots, prompt_row
from charter.recipes import Loaded, read_prompts
from charter.recipes.schema import ModelSettings
from charter.rows import Row
from charter.run.plan_principles import CHARS_A_TOKEN, Unknown, drawn_for
from charter.run.plan_time import Rates, minutes_of
from charter.run.settle import settled_by_cache
from charter.steps.asking import Asking
from charter.steps.judge import Judging

__all__ = ["Plan", "PrinciplePlan", "StepPlan", "plan_run"]

# Rows planned at once: one query of the cache serves a step of all of them.
CHUNK = 100


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
        cost: None where calls are to be made, no price is given and the model is not local.
    """

    step: str
    model: str
    calls: int = 0
    cached_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None


@dataclass(slots=True)
class PrinciplePlan:
    """The critiques, revisions and votes that stand under one principle.

    Attributes:
        principle: its id.
        calls: answers needed under it.
        cached_calls: those that the cache holds.
    """

    principle: str
    calls: int = 0
    cached_calls: int = 0


@dataclass(slots=True)
class Plan:
    """The plan of a recipe.

    Attributes:
        rows: prompts.
        rejects: records that are no prompt.
        steps: by step, in order.
        principles: by principle, in the constitution's order.
        minutes: how long the calls will take; None where nothing like them was measured.
        rates: what `minutes` is made from.
    """

    rows: int
    rejects: int
    steps: list[StepPlan] = field(default_factory=list)
    principles: list[PrinciplePlan] = field(default_factory=list)
    minutes: float | None = None
    rates: Rates = field(default_factory=Rates)

    @property
    def missing(self) -> int:
        """The most calls that a run will make."""
        return sum(step.calls - step.cached_calls for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        """The object that `charter plan --json` prints."""
        costs = [step.cost for step in self.steps]
        return {
            "rows": self.rows,
            "calls": sum(step.calls for step in self.steps),
            "cached_calls": sum(step.cached_calls for step in self.steps),
            "tokens": sum(step.prompt_tokens + step.completion_tokens for step in self.steps),
            "cost": None if None in costs else sum(cost for cost in costs if cost is not None),
            "minutes": self.minutes,
            "measured": self.rates.as_json(),
            "steps": [_fields(step) for step in self.steps],
            "principles": [_fields(entry) for entry in self.principles],
        }


def _fields(entry: StepPlan | PrinciplePlan) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__slots__}


def plan_run(loaded: Loaded, cache: CallCache) -> Plan:
    """Walk every row through the steps as far as the cache answers; the rest is counted.

    What follows an answer that the cache lacks is counted as to be made: should the new answer
    be the text that was there before, its calls turn out to be cached. Calls that do not depend
    on that answer (another candidate, a pair of two known candidates) are looked up all the same.
    The principles are drawn by prompt, not by answer, so calls stand under theirs exactly.

    Linear in rows; loads no model and no distilabel.
    """
    loaded = settled_by_cache(loaded, cache)
    prompts = read_prompts(loaded)
    loaded = replace(loaded, most_given=prompts.most_given)
    steps = [_Step(loaded, step) for step in asking_steps(loaded)]
    rates = Rates()
    by_principle = {p.id: PrinciplePlan(p.id) for p in loaded.constitution.principles}
    walk = _Walk(loaded, steps, cache, rates, by_principle)
    rows = (prompt_row(prompt) for prompt in prompts.prompts)
    while chunk := [_Open(row) for row in islice(rows, CHUNK)]:
        walk.plan(chunk)
    entries = [step.entry for step in steps]
    for step in steps:
        step.entry.cost = _cost(step.entry, step.settings)
    missing = {e.step: (e.model, e.calls - e.cached_calls) for e in entries}
    rates.fill(missing, cache.path)
    plan = Plan(len(prompts.prompts), len(prompts.rejects), entries, list(by_principle.values()))
    plan.rates = rates
    plan.minutes = minutes_of(loaded, [(s.asking, missing[s.name][1]) for s in steps], rates)
    return plan


class _Step:
    """A step with what it needs to be planned."""

    def __init__(self, loaded: Loaded, asking: Asking) -> None:
        self.asking = asking
        self.name = asking.name
        self.settings = loaded.recipe.role(asking.role)
        self.longest = 1 if asking.one_token else self.settings.max_tokens
        found = identity(self.settings)
        self.keys = Keys(found)
        self.entry = StepPlan(self.name, str(found["model"]))


@dataclass(slots=True)
class _Open:
    """A row on its way.

    Attributes:
        row: as far as answers are known.
        known: whether the chain of critiques and revisions is known so far.
        judged: whether what the judge said so far is known.
        lost: slots of candidates whose text is not known.
    """

    row: Row
    known: bool = True
    judged: bool = True
    lost: list[str] = field(default_factory=list)


class _Walk:
    """Plans rows, chunk by chunk."""

    def __init__(
        self,
        loaded: Loaded,
        steps: Sequence[_Step],
        cache: CallCache,
        rates: Rates,
        by_principle: dict[str, PrinciplePlan],
    ) -> None:
        self._steps = steps
        self._cache = cache
        self._rates = rates
        self._by_principle = by_principle
        self._unknown = Unknown(loaded, [step.asking for step in steps], candidate_slots(loaded))

    def plan(self, chunk: Sequence[_Open]) -> None:
        """Take a chunk of rows through all steps."""
        for step in self._steps:
            asked = [(each, *self._asked(step, each)) for each in chunk]
            found = self._cache.get([key for _, _, keys in asked for key in keys])
            for answer in found.values():
                self._rates.see(step.name, answer)
            for each, calls, keys in asked:
                self._enter(step, each, calls, keys, found)

    def _asked(self, step: _Step, each: _Open) -> tuple[Sequence[Call], Sequence[bytes]]:
        """The calls of a step that are known to the letter; of a judge, those of known pairs."""
        asking = step.asking
        if isinstance(asking, Judging):
            if asking.follows and not each.judged:
                return (), ()
        elif not each.known and not asking.independent:
            return (), ()
        calls = asking.calls(each.row)
        return calls, [step.keys.key(call) for call in calls]

    def _enter(
        self,
        step: _Step,
        each: _Open,
        calls: Sequence[Call],
        keys: Sequence[bytes],
        found: dict[bytes, Answer],
    ) -> None:
        asking, entry = step.asking, step.entry
        drawn = drawn_for(asking, each.row) if calls else []
        for principle, key in zip(drawn or repeat(None, len(keys)), keys, strict=True):
            self._count(entry, principle, key in found)
        missing = [call for call, key in zip(calls, keys, strict=True) if key not in found]
        for call in missing:
            _add_tokens(entry, sum(len(m["content"]) for m in call.messages), step.longest)
        guessed = list(
            self._votes(asking, each)
            if isinstance(asking, Judging)
            else self._unknown.calls(asking, each.row, each.known)
        )
        for principle, characters in guessed:
            self._count(entry, principle, False)
            _add_tokens(entry, characters, step.longest)
        if isinstance(asking, Judging) and asking.follows and not each.judged:
            return  # also where none were guessed: a round may be more than the row's pairs need
        if not missing and not guessed:
            each.row = asking.fold(each.row, [found[key] for key in keys])
            return
        if isinstance(asking, Judging):
            each.judged = False
            return
        slot = self._unknown.slot(asking)
        if slot is not None:
            each.lost.append(slot)
        each.known = each.known and slot is not None and slot.startswith("sampled-")

    def _votes(self, asking: Judging, each: _Open) -> Iterator[tuple[str | None, int]]:
        """Votes that cannot be looked up: on unknown texts, or after unknown votes."""
        if asking.follows and not each.judged:
            return self._unknown.after(asking, each.row, each.lost)
        return self._unknown.votes(asking, each.row, each.lost)

    def _count(self, entry: StepPlan, principle: str | None, cached: bool) -> None:
        entry.calls += 1
        entry.cached_calls += cached
        if principle is not None:
            under = self._by_principle[principle]
            under.calls += 1
            under.cached_calls += cached


def _add_tokens(entry: StepPlan, characters: int, longest: int) -> None:
    entry.prompt_tokens += characters // CHARS_A_TOKEN
    entry.completion_tokens += longest


def _cost(entry: StepPlan, settings: ModelSettings) -> float | None:
    if settings.price is not None:
        return settings.price.of(entry.prompt_tokens, entry.completion_tokens)
    free = settings.llm == "local" or entry.calls == entry.cached_calls
    return 0.0 if free else None
