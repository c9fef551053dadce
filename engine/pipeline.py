"""Compile a recipe: its asking steps in order, and the distilabel pipeline of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from charter.constitutions import Constitution
from charter.models.build import build_llm, identity, published_name
from charter.recipes import Loaded, Prompt
from charter.recipes.preference import PreferenceSettings
from charter.rows import Row, canonical
from charter.steps.asking import Asking
from charter.steps.critique import REVISED, CritiqueAsk
from charter.steps.judge import JudgeAsk, ReasonAsk
from charter.steps.label import KeepRule
from charter.steps.principles import rounds_of
from charter.steps.rank import most_rounds
from charter.steps.respond import INITIAL, RespondAsk
from charter.steps.revise import ReviseAsk

if TYPE_CHECKING:
    from distilabel.pipeline import Pipeline

__all__ = [
    "asking_steps",
    "candidate_slots",
    "compile_pipeline",
    "judge_steps",
    "keep_rule",
    "paired_slots",
    "prompt_row",
]


def candidate_slots(loaded: Loaded) -> tuple[str, ...]:
    """The slots of a row's candidates, in the order in which they are made; none where given."""
    preference = loaded.recipe.preference
    if not preference or preference.candidates == "given":
        return ()
    fixed = [s for s in (INITIAL, REVISED) if s in preference.sources]
    sampled = preference.candidates - len(fixed)
    return (*fixed, *(f"sampled-{k + 1}" for k in range(sampled)))


def paired_slots(loaded: Loaded) -> tuple[str, ...]:
    """The slots of which each pair is to become a row; none where the judgments decide that."""
    preference = loaded.recipe.preference
    known = preference and preference.pairs in ("all", "revised-vs-initial")
    return candidate_slots(loaded) if known else ()


def asking_steps(loaded: Loaded) -> list[Asking]:
    """The steps that ask a model, in order; no distilabel is imported."""
    recipe, constitution = loaded.recipe, loaded.constitution
    slots = candidate_slots(loaded)
    steps: list[Asking] = []
    if recipe.sft or slots:
        generator = published_name(recipe.role("generator"))
        if recipe.sft or INITIAL in slots:
            steps.append(RespondAsk(0, recipe.seed, generator, INITIAL in slots))
        steps += _revising(loaded, REVISED in slots)
        for slot in slots:
            if slot.startswith("sampled-"):
                index = int(slot.removeprefix("sampled-"))
                steps.append(RespondAsk(index, recipe.seed, generator))
    if recipe.preference:
        logprobs, most = loaded.judge_logprobs, loaded.most_given
        steps += judge_steps(constitution, recipe.preference, recipe.seed, logprobs, most)
    return steps


def _revising(loaded: Loaded, candidate: bool) -> list[Asking]:
    """Critique and revision, round by round."""
    recipe, constitution = loaded.recipe, loaded.constitution
    if not recipe.sft:
        return []
    sft = recipe.sft
    reviser = published_name(recipe.role("reviser"))
    rounds = rounds_of(constitution, sft.rounds, sft.principles)
    steps: list[Asking] = []
    for k in range(1, rounds + 1):
        last = k == rounds and candidate
        steps += [
            CritiqueAsk(constitution, k, sft.principles, recipe.seed, sft.few_shot),
            ReviseAsk(constitution, k, recipe.seed, reviser, last, sft.few_shot),
        ]
    return steps


def judge_steps(
    constitution: Constitution,
    settings: PreferenceSettings,
    seed: int,
    logprobs: bool,
    most_given: int,
) -> list[Asking]:
    """The steps of judging: one, or two where the judge reasons first, for each round.

    Args:
        constitution: of the recipe.
        settings: the block `preference`.
        seed: the recipe's.
        logprobs: whether the judge gives log-probabilities.
        most_given: under `candidates: given`, the candidates of the row that has the most: a
            tournament has as many rounds as these may need.
    """
    rounds = range(1)
    if settings.pairs == "adaptive":
        given = settings.candidates == "given"
        counts = range(2, max(2, most_given) + 1) if given else (int(settings.candidates),)
        rounds = range(1, max(map(most_rounds, counts)) + 1)
    kinds: list[type[ReasonAsk | JudgeAsk]] = [JudgeAsk]
    if settings.mode == "cot":
        kinds.insert(0, ReasonAsk)
    return [
        kind(
            constitution,
            settings.mode,
            settings.pairs,
            settings.principles,
            settings.candidates if isinstance(settings.candidates, int) else 2,
            seed,
            votes=settings.votes,
            orders=settings.orders,
            near_equal=settings.near_equal,
            clamp=settings.clamp,
            logprobs=logprobs,
            round=k,
        )
        for k in rounds
        for kind in kinds
    ]


def keep_rule(loaded: Loaded) -> KeepRule | None:
    """What a label needs by this recipe; None when nothing is judged."""
    preference = loaded.recipe.preference
    return KeepRule.of(preference) if preference else None


def prompt_row(prompt: Prompt) -> Row:
    """The row a prompt starts as."""
    row: Row = {
        "prompt_id": prompt.id,
        "prompt": [dict(message) for message in prompt.messages],
        "source": prompt.source,
    }
    if prompt.given:
        row["candidates"] = [asdict(candidate) for candidate in prompt.given]
        row["source_best"] = prompt.best
    return row


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
    if given := [len(row["candidates"]) for row in rows if "candidates" in row]:
        loaded = replace(loaded, most_given=max(given))
    # Roles with the same settings share one LLM: one copy of it, one limit, one set of connections.
    llms = _Llms(loaded, cached)
    with Pipeline(name=recipe.name) as pipeline:
        load = tasks.LoadPrompts(name="load", data=[dict(r) for r in rows], batch_size=batch_size)
        chain = [load, *(_task(loaded, step, llms, batch_size) for step in asking_steps(loaded))]
        rule = keep_rule(loaded)
        size = {"input_batch_size": batch_size}
        if rule is not None:
            assert recipe.preference
            chain.append(
                tasks.Keep(
                    name="keep",
                    constitution=loaded.constitution_name,
                    principles=recipe.preference.principles,
                    **asdict(rule),
                    **size,
                )
            )
        slots = list(paired_slots(loaded))
        judged, sft = rule is not None, bool(recipe.sft)
        leaves = [tasks.ToRejects(name="rejects", slots=slots, sft=sft, judged=judged, **size)]
        if sft:
            leaves.append(tasks.ToSft(name="sft", **size))
        if judged:
            judge = published_name(recipe.role("judge"))
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
        settings = self._recipe.role(role)
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
    assert isinstance(step, ReasonAsk | JudgeAsk)
    wanted = {name: getattr(step, name) for name in tasks.JUDGING}
    kind = tasks.Reason if isinstance(step, ReasonAsk) else tasks.Judge
    return kind(**wanted, **shared)
