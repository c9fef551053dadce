"""Who guards: a judge or a reward model, as the options of `charter guard` name them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.names import folder_of
from charter.cli.options import Real
from charter.errors import Failure, Fault, InputError, nearest

if TYPE_CHECKING:
    from charter.constitutions import Constitution, Principle
    from charter.evals.guard_check import JudgeGuard, RewardGuard
    from charter.models.cache import CallCache
    from charter.recipes import Loaded
    from charter.recipes.schema import ModelSettings, RunSettings

__all__ = [
    "Who",
    "cache_of",
    "guard_options",
    "judge_guard",
    "reward_guard",
    "serve_guard",
    "who_of",
]


@dataclass(frozen=True, slots=True)
class Who:
    """Who checks, and by what.

    Attributes:
        judge: its settings; None where a reward model scores.
        critic: writes critiques.
        reviser: writes revisions.
        principles: what the judge is asked about.
        run: how servers are asked.
        threshold: of the judge.
        seed: of the draws.
        reward: folder of a reward model.
        min_score: its least score that is fine.
    """

    judge: ModelSettings | None
    critic: ModelSettings | None
    reviser: ModelSettings | None
    principles: tuple[Principle, ...]
    run: RunSettings
    threshold: float
    seed: int
    reward: Path | None = None
    min_score: float = 0.0


def guard_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say who guards."""
    folder = click.Path(path_type=Path)
    for option in (
        click.option(
            "--seed",
            type=click.IntRange(min=0),
            metavar="N",
            help="Of draws.  [the recipe's, or 0]",
        ),
        click.option("--min-score", type=Real(), metavar="X", help="--reward: least that is fine."),
        click.option("--reward", type=folder, metavar="DIR", help="A reward model instead."),
        click.option(
            "--threshold",
            type=Real(0, 1),
            default=0.5,
            show_default=True,
            help="Least p(Yes) that is a violation.",
        ),
        click.option("--principle", "principle", multiple=True, metavar="ID", help="Only these."),
        click.option("--constitution", metavar="NAME", help="By what; without a recipe hhh."),
        click.option(
            "--recipe", type=folder, metavar="FILE", help="Judge, reviser, constitution of it."
        ),
        click.option("--judge", metavar="local|DIR", help="Who judges."),
    ):
        function = option(function)
    return function


def who_of(given: Mapping[str, Any], place: str) -> Who:
    """Who guards, from the options.

    Raises:
        InputError: nobody is named, both are, or something named is not there.
    """
    from charter.cli.options import load
    from charter.recipes.schema import RunSettings

    _check(given, place)
    recipe = load(given["recipe"], (), None) if given["recipe"] else None
    run = recipe.recipe.run if recipe else RunSettings()
    seed = given["seed"]
    if seed is None:
        seed = recipe.recipe.seed if recipe else 0
    threshold: float = given["threshold"]
    if given["reward"] is not None:
        from charter.trainers.reward_folder import check_reward_model

        check_reward_model(given["reward"], "--reward")
        low = given["min_score"]
        return Who(None, None, None, (), run, threshold, seed, given["reward"], low)
    models = _models(given, recipe)
    return Who(*models, _principles(_constitution(given, recipe), given), run, threshold, seed)


def _check(given: Mapping[str, Any], place: str) -> None:
    faults = []
    if given["reward"] is not None:
        for name in ("judge", "recipe", "constitution", "principle"):
            if given[name]:
                what = "--reward asks no judge about principles"
                faults.append(Fault(place, f"--{name}", what, "leave one of the two out"))
        if given["min_score"] is None:
            what = "--reward needs the least score that is fine"
            faults.append(Fault(place, "--min-score", what, "give --min-score X"))
        elif not math.isfinite(given["min_score"]):
            faults.append(Fault(place, "--min-score", "is no finite number", "give a score"))
        if given.get("on_violation") == "revise":
            what = "a reward model names no principle to revise by"
            faults.append(Fault(place, "--on-violation", what, "refuse, flag, or name a --judge"))
    elif given["min_score"] is not None:
        faults.append(Fault(place, "--min-score", "there is no --reward", "leave it out"))
    elif not given["judge"] and not given["recipe"]:
        faults.append(Fault(place, "", "nobody is to judge", "give --judge, --recipe or --reward"))
    if faults:
        raise InputError(faults)


def _models(
    given: Mapping[str, Any], recipe: Loaded | None
) -> tuple[ModelSettings, ModelSettings, ModelSettings]:
    """Judge, critic and reviser."""
    from charter.cli.judging import local_judge

    own = recipe.recipe.models if recipe else None
    if given["judge"]:
        if given["judge"] != "local" and folder_of(given["judge"]) is None:
            what, fix = f'there is no folder "{given["judge"]}"', "name a checkpoint, or local"
            raise InputError(Fault("", "--judge", what, fix))
        judge, writer = local_judge(given["judge"]), local_judge(given["judge"], "vote")
    else:
        assert own is not None
        # One answer, and always the same one: the votes of a recipe are another matter.
        judge = own.role("judge").model_copy(update={"temperature": 0.0})
        writer = own.role("judge")
    writers = own is not None and own.generator is not None
    found = [
        own.role(name)
        if own is not None and (writers or getattr(own, name) is not None)
        else writer
        for name in ("critic", "reviser")
    ]
    for settings in (judge, *found):
        if settings.serve is not None:
            what = "the recipe starts its server for a run alone"
            fix = "start it yourself and write base_url instead of serve"
            raise InputError(Fault(str(given["recipe"]), "models", what, fix))
    return judge, found[0], found[1]


def _constitution(given: Mapping[str, Any], recipe: Loaded | None) -> Constitution:
    from charter.constitutions import find_constitution, load_constitution

    if recipe is not None and not given["constitution"]:
        return recipe.constitution
    return load_constitution(find_constitution(given["constitution"] or "hhh"))


def _principles(constitution: Constitution, given: Mapping[str, Any]) -> tuple[Principle, ...]:
    known = [principle.id for principle in constitution.principles]
    faults = [
        Fault(
            "", "--principle", f'the constitution has no principle "{name}"', nearest(name, known)
        )
        for name in given["principle"]
        if name not in known
    ]
    if faults:
        raise InputError(faults)
    wanted = set(given["principle"]) or set(known)
    return tuple(principle for principle in constitution.principles if principle.id in wanted)


def cache_of(fresh: bool) -> AbstractContextManager[CallCache | None]:
    """The call cache, or none."""
    from charter.models.cache import CallCache, default_cache_path

    return nullcontext() if fresh else closing(CallCache(default_cache_path()))


def judge_guard(who: Who, cache: CallCache | None) -> JudgeGuard:
    """The judge, loaded, and asked in the way that it can answer.

    Raises:
        InputError: it cannot be loaded.
        Failure: its server is down, or refuses the key, the model or the question.
    """
    from charter.evals.guard_ask import Asker
    from charter.evals.guard_check import JudgeGuard
    from charter.models.cache import CallCache, default_cache_path
    from charter.run.settle import Prober

    assert who.judge is not None
    # Whether a server gives log-probabilities is no secret: that much is always kept.
    with closing(CallCache(default_cache_path())) as known:
        gives = Prober(who.run, known).gives_logprobs(who.judge)
    if gives is None:
        what = f"{who.judge.model} refuses the judge's question"
        raise Failure(Fault("charter guard", "", what, "check the model and its options"))
    return JudgeGuard(
        Asker(who.judge, who.run, cache),
        who.principles,
        logprobs=gives,
        threshold=who.threshold,
        seed=who.seed,
    )


def reward_guard(who: Who) -> RewardGuard:
    """The reward model, loaded.

    Raises:
        InputError: the folder holds none.
    """
    from charter.evals.guard_check import RewardGuard
    from charter.trainers.score import Scorer

    assert who.reward is not None
    return RewardGuard(Scorer(who.reward), who.min_score)


def serve_guard(who: Who, given: Mapping[str, Any], ready: Callable[[str], None]) -> None:
    """Serve the proxy until a signal comes.

    Raises:
        InputError: the address is not to be served, or nobody named can judge.
    """
    from charter.evals.guard_ask import Asker
    from charter.evals.guard_check import Guard
    from charter.evals.guard_proxy import Policy, guard_app
    from charter.evals.guard_revise import Reviser
    from charter.evals.guard_serve import serve_app
    from charter.evals.guard_upstream import Upstream
    from charter.hub.embedded.server import is_loopback

    place, host = "charter guard serve", given["host"]
    if not given["token"] and not is_loopback(host):
        what = f"{host} can be reached from elsewhere, and there is no token"
        fix = "set CHARTER_GUARD_TOKEN, or leave --host out"
        raise InputError(Fault(place, "--host", what, fix))
    policy = Policy(
        on_violation=given["on_violation"],
        on_undecided=given["on_undecided"],
        pass_unchecked=given["pass_unchecked"],
        refusal=Policy().refusal if given["refusal"] is None else given["refusal"],
        check_timeout=given["check_timeout"],
        most_body=given["max_body"],
        token=given["token"] or None,
        local=is_loopback(host),
    )
    upstream = Upstream(given["upstream"], timeout=given["timeout"])
    # A client waits: two tries again are enough.
    who = replace(who, run=who.run.model_copy(update={"retries": min(who.run.retries, 2)}))
    guard: Guard
    reviser: Reviser | None = None
    if who.reward is not None:
        guard = reward_guard(who)
    else:
        guard = judge = judge_guard(who, None)
        if policy.on_violation == "revise":
            assert who.critic is not None
            assert who.reviser is not None
            critic, writer = Asker(who.critic, who.run), Asker(who.reviser, who.run)
            reviser = Reviser(judge, critic, writer, given["rounds"], who.seed)

    async def close() -> None:
        await upstream.aclose()
        await guard.aclose()
        if reviser is not None:
            await reviser.aclose()

    app = guard_app(guard, upstream, policy, reviser)
    serve_app(app, host, given["port"], place=place, ready=ready, close=close)
