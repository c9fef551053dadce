"""Ask a judge about pairs that are there already: what the audits have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from charter.cli.names import folder_of
from charter.constitutions import Constitution
from charter.errors import Fault, InputError, nearest
from charter.models.build import build_llm
from charter.models.cache import CallCache, default_cache_path
from charter.models.call import Answer, Call
from charter.pipeline import judge_steps
from charter.recipes import Loaded
from charter.recipes.preference import PreferenceSettings
from charter.recipes.schema import ModelSettings, RunSettings
from charter.rows import Message, Row
from charter.run.execute import work_of
from charter.run.progress import Progress
from charter.run.runner import Runner
from charter.run.settle import Prober
from charter.run.stages import stages_for
from charter.steps.asking import Asking
from charter.steps.principles import principle_weights

__all__ = [
    "GivenPair",
    "JudgeSetup",
    "ask_calls",
    "judge_pairs",
    "judge_setup",
    "local_judge",
]


@dataclass(frozen=True, slots=True)
class GivenPair:
    """Two responses to one prompt.

    Attributes:
        id: of the pair.
        prompt: the conversation.
        a: response A.
        b: response B.
    """

    id: str
    prompt: tuple[Message, ...]
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class JudgeSetup:
    """Who judges, under what, and how.

    Attributes:
        model: of the judge.
        constitution: where the principles come from.
        mode: as a recipe's `preference.mode`.
        principles: so many drawn for each pair, `all`, or the ids of those that are asked, with
            their weights where these are not the constitution's.
        votes: answers to each question, in the mode `vote`.
        seed: every draw is a hash of it.
        clamp: what p is held to, in the mode `cot`.
        run: how a server is asked.
    """

    model: ModelSettings
    constitution: Constitution
    mode: str = "verdict"
    principles: int | str | tuple[str, ...] | Mapping[str, float] = "all"
    votes: int = PreferenceSettings.model_fields["votes"].default
    seed: int = 0
    clamp: tuple[float, float] = (0.4, 0.6)
    run: RunSettings = field(default_factory=RunSettings)

    def settings(self) -> PreferenceSettings:
        """The same as a recipe says it.

        Raises:
            InputError: there is no such principle.
        """
        wanted: Any = self.principles
        if isinstance(wanted, tuple | Mapping):
            known = {p.id: p.weight for p in self.constitution.principles}
            for name in wanted:
                if name not in known:
                    what = f'the constitution has no principle "{name}"'
                    raise InputError(Fault("", "--principle", what, nearest(name, known)))
            if isinstance(wanted, tuple):
                wanted = {name: weight for name, weight in known.items() if name in wanted}
        given: dict[str, Any] = {"candidates": "given", "principles": wanted, "mode": self.mode}
        if self.mode == "vote":
            given["votes"] = self.votes
        if self.mode == "cot":
            given["clamp"] = self.clamp
        return PreferenceSettings(**given, near_equal=1.0)

    @property
    def weights(self) -> dict[str, float]:
        """How much each principle counts in a label."""
        return principle_weights(self.constitution, self.settings().principles)


def local_judge(model: str, mode: str = "verdict", option: str = "--model") -> ModelSettings:
    """A model of this machine as a judge: `local`, or the folder of a checkpoint.

    Raises:
        InputError: there is no such folder, by the name of the option.
    """
    path = None if model == "local" else model
    if path is not None and folder_of(path) is None:
        what, fix = f'there is no folder "{model}"', "name the folder of a checkpoint, or local"
        raise InputError(Fault(option, "", what, fix))
    temperature = 0.7 if mode == "vote" else 0.0
    return ModelSettings(llm="local", model=path, temperature=temperature)


def judge_setup(
    constitution: Constitution,
    recipe: Loaded | None,
    *,
    model: str | None = None,
    mode: str | None = None,
    principles: Any = None,
    seed: int | None = None,
    default: str = "logprob",
    option: str = "--model",
) -> JudgeSetup:
    """Who judges and how: what a command was given, else the recipe's, else the usual.

    Args:
        constitution: to judge under.
        recipe: whose judge it is, where no model is named.
        model: as `local_judge` takes it.
        mode: instead of the recipe's.
        principles: instead of the recipe's; as a recipe says them, or the ids of some.
        seed: instead of the recipe's.
        default: the mode where nothing says one.
        option: that named the model, for faults.

    Raises:
        InputError: there is neither a model nor a recipe with one, or no such folder.
    """
    preference = recipe.recipe.preference if recipe else None
    chosen = mode or (preference.mode if preference else default)
    if model is not None:
        judge = local_judge(model, chosen, option)
    elif recipe is not None:
        judge = recipe.recipe.role("judge")
        if chosen == "vote" and not judge.temperature:
            judge = judge.model_copy(update={"temperature": 0.7})  # greedy votes are one vote
    else:
        raise InputError(
            Fault("charter audit", "", "there is no judge", "give --model or --recipe")
        )
    wanted = principles or (preference.principles if preference else "all")
    more: dict[str, Any] = {}
    if preference:
        more = {"votes": preference.votes, "clamp": preference.clamp}
    if recipe:
        more |= {"seed": recipe.recipe.seed, "run": recipe.recipe.run}
    if seed is not None:
        more["seed"] = seed
    return JudgeSetup(judge, constitution, chosen, wanted, **more)


def judge_pairs(
    pairs: Sequence[GivenPair], setup: JudgeSetup, progress: Progress
) -> list[list[Row]]:
    """The votes on each pair, in both orders, in the order of the pairs.

    What the call cache knows is not asked again. Pairs whose texts are the same have no votes.

    Raises:
        InputError: an unknown principle, or a model that cannot be loaded or gives no
            log-probabilities that the mode needs.
        Failure: a server is down.
    """
    settings = setup.settings()
    logprobs = setup.mode not in ("logprob", "cot") or _gives_logprobs(setup)
    if setup.mode == "logprob" and not logprobs:
        what = f"{setup.model.model} gives no log-probabilities"
        raise InputError(Fault("--mode", "", what, "use --mode vote"))
    steps = judge_steps(setup.constitution, settings, setup.seed, logprobs, most_given=2)
    rows = [
        {
            "prompt_id": pair.id,
            "prompt": [dict(message) for message in pair.prompt],
            "source": "",
            "candidates": [
                {"slot": slot, "text": text, "model": ""}
                for slot, text in (("a", pair.a), ("b", pair.b))
            ],
        }
        for pair in pairs
    ]
    return [row["votes"] for row in _walked(steps, rows, setup.model, setup.run, progress)]


def _gives_logprobs(setup: JudgeSetup) -> bool:
    with closing(CallCache(default_cache_path())) as cache:
        return Prober(setup.run, cache).gives_logprobs(setup.model) is not False


def ask_calls(
    calls: Sequence[Call], model: ModelSettings, progress: Progress, run: RunSettings | None = None
) -> list[Answer]:
    """Answers to calls, in their order, through the call cache.

    Raises:
        InputError: the model cannot be loaded.
        Failure: a server is down.
    """
    rows = [{"prompt_id": str(i), "call": call} for i, call in enumerate(calls)]
    walked = _walked([_OneCall()], rows, model, run or RunSettings(), progress)
    return [row["answer"] for row in walked]


class _OneCall:
    """A step that asks what its row says."""

    name = role = "judge"
    independent = True
    one_token = False

    def calls(self, row: Row) -> list[Call]:
        return [row["call"]]

    def fold(self, row: Row, answers: Sequence[Answer]) -> Row:
        return {**row, "answer": answers[0]}

    def most_calls(self) -> int:
        return 1


def _walked(
    steps: Sequence[Asking],
    rows: Iterable[Row],
    model: ModelSettings,
    run: RunSettings,
    progress: Progress,
) -> list[Row]:
    """Rows walked through steps that all ask one model."""
    rows = list(rows)
    done: list[Row] = []
    with closing(CallCache(default_cache_path())) as cache:
        progress.say("loading the judge")
        llm = build_llm(model, run)
        stages = stages_for([(step, llm) for step in steps], lambda _: model, run)
        Runner(stages).walk(rows, done.append, work_of(stages, len(rows), cache, progress))
    return done
