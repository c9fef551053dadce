"""Compile a recipe: its asking steps in order, and the distilabel pipeline of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from charter.models.build import build_llm, identity, published_name
from charter.recipes import Loaded
from charter.rows import Row, canonical
from charter.steps.asking import Asking
from charter.steps.critique import REVISED, CritiqueAsk
from charter.steps.judge import JudgeAsk
from charter.steps.keep import KeepRule
from charter.steps.principles import rounds_of
from charter.steps.respond import INITIAL, RespondAsk
from charter.steps.revise import ReviseAsk

if TYPE_CHECKING:
    from distilabel.pipeline import Pipeline

__all__ = ["asking_steps", "candidate_slots", "compile_pipeline", "keep_rule", "prompt_row"]


def candidate_slots(loaded: Loaded) -> tuple[str, ...]:
    """The slots of a row's candidates, in the order in which they are made."""
    preference = loaded.recipe.preference
    if not preference:
        return ()
    fixed = [s for s in (INITIAL, REVISED) if s in preference.sources]
    sampled = preference.candidates - len(fixed)
    return (*fixed, *(f"sampled-{k + 1}" for k in range(sampled)))


def asking_steps(loaded: Loaded) -> list[Asking]:
    """The steps that ask a model, in order; no distilabel is imported."""
    recipe, constitution = loaded.recipe, loaded.constitution
    generator = published_name(recipe.models.role("generator"))
    reviser = published_name(recipe.models.role("reviser"))
    slots = candidate_slots(loaded)
    steps: list[Asking] = []
    if recipe.sft or INITIAL in slots:
        steps.append(RespondAsk(0, recipe.seed, generator, INITIAL in slots))
    if recipe.sft:
        sft = recipe.sft
        rounds = rounds_of(constitution, sft.rounds, sft.principles)
        for k in range(1, rounds + 1):
            last = k == rounds and REVISED in slots
            steps += [
                CritiqueAsk(constitution, k, sft.principles, recipe.seed, sft.few_shot),
                ReviseAsk(constitution, k, recipe.seed, reviser, last, sft.few_shot),
            ]
    for slot in slots:
        if slot.startswith("sampled-"):
            index = int(slot.removeprefix("sampled-"))
            steps.append(RespondAsk(index, recipe.seed, generator))
    if recipe.preference:
        p = recipe.preference
        judge = JudgeAsk(constitution, p.mode, p.pairs, p.principles, len(slots), recipe.seed)
        steps.append(judge)
    return steps


def keep_rule(loaded: Loaded) -> KeepRule | None:
    """What a label needs by this recipe; None when nothing is judged."""
    p = loaded.recipe.preference
    return KeepRule(p.keep, p.min_margin, p.tie_band, p.mode, p.pairs) if p else None


def prompt_row(prompt: Any) -> Row:
    """The row a prompt starts as."""
    return {
        "prompt_id": prompt.id,
        "prompt": [dict(message) for message in prompt.messages],
        "source": prompt.source,
    }


def compile_pipeline(
    loaded: Loaded, rows: Sequence[Row] = (), batch_size: int = 1000, *, cached: bool = False
) -> Pipeline:
    """The recipe as a distilabel pipeline: to look at, to serialise, and to `run()`.

    Args:
        loaded: the recipe.
        rows: the prompts' rows (`prompt_row`); without them the pipeline can be drawn, not run.
        batch_size: rows a batch under distilabel's own runner.
        cached: put the call cache around each LLM, for `run()`; the project's own runner keeps
            calls itself, in the same cache under the same keys.
    """
    from distilabel.pipeline import Pipeline

    from charter.steps import tasks

    recipe = loaded.recipe
    judge = published_name(recipe.models.role("judge"))
    slots = candidate_slots(loaded)
    # Roles with the same settings share one LLM: one copy of it, one limit, one set of connections.
    llms = _Llms(loaded, cached)
    with Pipeline(name=recipe.name) as pipeline:
        load = tasks.LoadPrompts(name="load", data=[dict(r) for r in rows], batch_size=batch_size)
        chain = [load, *(_task(loaded, step, llms, batch_size) for step in asking_steps(loaded))]
        rule = keep_rule(loaded)
        size = {"input_batch_size": batch_size}
        if rule is not None:
            chain.append(
                tasks.Keep(
                    name="keep",
                    constitution=loaded.constitution_name,
                    keep=rule.keep,
                    min_margin=rule.min_margin,
                    tie_band=rule.tie_band,
                    mode=rule.mode,
                    pairs=rule.pairs,
                    **size,
                )
            )
        leaves = [tasks.ToRejects(name="rejects", slots=list(slots), sft=bool(recipe.sft), **size)]
        if recipe.sft:
            leaves.append(tasks.ToSft(name="sft", **size))
        if rule is not None:
            leaves.append(tasks.ToPreference(name="preference", judge_model=judge, **size))
            leaves.append(tasks.ToJudgments(name="judgments", judge_model=judge, **size))
        reduce(lambda left, right: left >> right, chain) >> leaves
    return pipeline


class _Llms:
    """The LLMs of a pipeline; roles with the same settings share one."""

    def __init__(self, loaded: Loaded, cached: bool) -> None:
        self._recipe = loaded.recipe
        self._cached = cached
        self._made: dict[str, Any] = {}

    def of(self, role: str) -> Any:
        settings = self._recipe.models.role(role)
        key = canonical(settings.model_dump(mode="json"))
        if key not in self._made:
            llm = build_llm(settings, self._recipe.run)
            if self._cached:
                from charter.models.cached_llm import CachedLLM

                llm = CachedLLM(llm=llm, identity=identity(settings))
            self._made[key] = llm
        return self._made[key]


def _task(loaded: Loaded, step: Asking, llms: _Llms, batch_size: int) -> Any:
    """The distilabel task of an asking step."""
    from charter.steps import tasks

    recipe = loaded.recipe
    shared = {
        "name": step.name,
        "llm": llms.of(step.role),
        "seed": recipe.seed,
        "input_batch_size": batch_size,
    }
    shots = [shot.model_dump() for shot in recipe.sft.few_shot] if recipe.sft else []
    if isinstance(step, RespondAsk):
        return tasks.Respond(index=step.index, candidate=step.candidate, **shared)
    shared["constitution"] = loaded.constitution_name
    if isinstance(step, CritiqueAsk):
        choice = step.principles if isinstance(step.principles, str) else dict(step.principles)
        return tasks.Critique(round=step.round, principles=choice, few_shot=shots, **shared)
    if isinstance(step, ReviseAsk):
        return tasks.Revise(round=step.round, candidate=step.candidate, few_shot=shots, **shared)
    assert isinstance(step, JudgeAsk)
    return tasks.Judge(
        mode=step.mode,
        pairs=step.pairs,
        principles=step.principles,
        candidates=step.candidates,
        **shared,
    )
