"""The judge as a reward: direct RLAIF, scored under each principle of the constitution.

Lee et al. 2023 (arXiv 2309.00267, section 2.2.3) skip the reward model and ask the judge while
training. Theirs rates one answer; ours, whose prompts compare two, compares each answer with the
one that the version holds for the prompt, in both orders. The reward under a principle is the
judge's probability, in [0, 1], that the new answer is the better one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from charter.constitutions import Constitution, load_constitution
from charter.errors import Failure, Fault, InputError, nearest
from charter.models.ask import ask_batch
from charter.models.build import build_llm, identity, load_llm
from charter.models.cache import CallCache, Entry, default_cache_path
from charter.models.call import Answer, Call
from charter.models.checkpoint import EMBEDDED_NAME
from charter.models.keys import Keys
from charter.models.thoughts import without_thoughts
from charter.recipes.schema import ModelSettings, RunSettings
from charter.rows import Order, Row
from charter.steps.judge import JudgeAsk
from charter.steps.label import Mode
from charter.steps.pairs import alike

if TYPE_CHECKING:
    from charter.trainers.settings import TrainSettings

__all__ = ["JudgeRewards", "judge_rewards"]

Reward = Callable[..., list[float | None]]
NEW: Final = "new"
_HELD: Final = "held"


@dataclass
class JudgeRewards:
    """A reward function a principle, which ask one judge together: one batch for all of them.

    Attributes:
        step: which questions are put to the judge, and what its answers say.
        model: the judge's settings.
        counts: `judge_calls`, `judge_cached`, `judge_failed` (calls without a usable answer) and
            `judge_unscored` (scores that are None for want of one); grows while training.
    """

    step: JudgeAsk
    model: ModelSettings
    counts: dict[str, float]
    _last: tuple[Any, dict[str, list[float | None]]] | None = field(default=None, init=False)
    _llm: Any = field(default=None, init=False)

    @property
    def weights(self) -> list[float]:
        """Of each function's reward in the sum, as the constitution weighs its principle."""
        return [self.step.weights[principle.id] for principle in self._principles()]

    def functions(self) -> list[Reward]:
        """TRL's reward functions; each is called as its principle, so that TRL logs it so."""
        return [self._function(principle.id) for principle in self._principles()]

    def _principles(self) -> list[Any]:
        return self.step.drawn("")

    def _function(self, principle: str) -> Reward:
        def reward(
            *,
            prompts: Sequence[Any],
            completions: Sequence[Any],
            prompt_id: Sequence[str],
            reference: Sequence[Any],
            **_: Any,
        ) -> list[float | None]:
            return self.scores(prompts, completions, prompt_id, reference)[principle]

        reward.__name__ = principle
        return reward

    def scores(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        ids: Sequence[str],
        references: Sequence[Any],
    ) -> dict[str, list[float | None]]:
        """Principle -> a score of each answer; None where the judge gave none.

        Raises:
            Failure: the judge answered nothing at all.
        """
        asked = (ids, [without_thoughts(_text(completion)) for completion in completions])
        if self._last is None or self._last[0] != asked:
            rows = [
                _row(prompt, prompt_id, text, _text(held))
                for prompt, prompt_id, text, held in zip(prompts, *asked, references, strict=True)
            ]
            self._last = (asked, self._judged(rows))
        return self._last[1]

    def _judged(self, rows: Sequence[Row]) -> dict[str, list[float | None]]:
        calls = [self.step.calls(row) for row in rows]
        answers = iter(self._answers([call for each in calls for call in each]))
        folded = [
            self.step.fold(row, [next(answers) for _ in each])
            for row, each in zip(rows, calls, strict=True)
        ]
        found = {
            principle.id: [_score(row, principle.id, self.step.mode) for row in folded]
            for principle in self._principles()
        }
        for scores in found.values():
            self._count("judge_unscored", sum(score is None for score in scores))
        return found

    def _answers(self, calls: Sequence[Call]) -> list[Answer]:
        """Answers from the call cache, and from the judge what it lacks.

        Raises:
            Failure: there is not one.
        """
        keys = Keys(identity(self.model))
        named = [keys.key(call) for call in calls]
        cache = CallCache(default_cache_path())
        try:
            known = dict(cache.get(named))
            missing = {
                key: call for key, call in zip(named, calls, strict=True) if key not in known
            }
            fresh = self._ask(list(missing.values())) if missing else []
            entries = [
                Entry(key, keys.model, answer) for key, answer in zip(missing, fresh, strict=True)
            ]
            cache.put(entry for entry in entries if entry.answer.ok)
        finally:
            cache.close()
        self._count("judge_calls", len(calls))
        self._count("judge_cached", len(calls) - len(missing))
        known |= {entry.key: entry.answer for entry in entries}
        failed = [answer.error for answer in known.values() if not answer.ok]
        # Of a training made again, calls that fail each time are all that is left to ask.
        if failed and len(failed) == len(known):
            what = f"answered none of {len(failed)} calls: {failed[0]}"
            raise Failure(Fault("", "judge", what, "see that it is there, then train again"))
        return [known[key] for key in named]

    def _ask(self, calls: list[Call]) -> list[Answer]:
        if self._llm is None:
            self._llm = build_llm(self.model, RunSettings())
            load_llm(self._llm, self.model.llm)
        answers = ask_batch(self._llm, calls)
        self._count("judge_failed", sum(not answer.ok for answer in answers))
        return answers

    def _count(self, name: str, by: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + by


def _text(messages: Any) -> str:
    return messages if isinstance(messages, str) else "".join(m["content"] for m in messages)


def _row(prompt: Any, prompt_id: str, new: str, held: str) -> Row:
    slots = ((NEW, new), (_HELD, held))
    candidates = [{"slot": slot, "text": text, "model": ""} for slot, text in slots]
    return {"prompt_id": prompt_id, "prompt": prompt, "source": "", "candidates": candidates}


def _score(row: Row, principle: str, mode: str) -> float | None:
    """The new answer's probability under one principle.

    As in a label: with log-probabilities their odds are averaged over the two orders, which takes
    out what the judge gives to a place; else its votes are. An order without a vote leaves none.
    Two answers that say the same are even, and the judge is not asked.
    """
    new, held = row["candidates"]
    if alike(new["text"], held["text"]):
        return 0.5
    votes = [vote for vote in row["votes"] if vote["principle_id"] == principle]
    parsed = [vote for vote in votes if vote["p_a"] is not None]
    if {vote["order"] for vote in parsed} != {order.value for order in Order}:
        return None
    if mode == "logprob":
        odds = math.fsum(vote["log_odds"] for vote in parsed) / len(parsed)
        return 1 / (1 + math.exp(-odds))
    return math.fsum(vote["p_a"] for vote in parsed) / len(parsed)


def judge_rewards(settings: TrainSettings, counts: dict[str, float]) -> JudgeRewards:
    """The judge of a `grpo` training, under the constitution of its version.

    Args:
        settings: of the training; `settings.judge` names the judge, else the version does.
        counts: where calls and failures are counted.

    Raises:
        InputError: there is no such judge, no constitution, or no such principle.
    """
    model = _model(settings)
    constitution = load_constitution(Path(settings.dataset.path) / "constitution.yaml")
    usual: Mode = "logprob" if model.llm == "local" else "verdict"
    mode: Any = settings.judge.mode or usual
    step = JudgeAsk(
        constitution,
        mode=mode,
        principles=_principles(constitution, settings.judge.principles),
        seed=settings.dataset.manifest.seeds.get("recipe", 0),
    )
    return JudgeRewards(step, model, counts)


def _principles(constitution: Constitution, wanted: Sequence[str]) -> Any:
    weights: Mapping[str, float] = {p.id: p.weight for p in constitution.principles}
    unknown = [name for name in wanted if name not in weights]
    if unknown:
        what = f'the constitution has no principle "{unknown[0]}"'
        raise InputError(Fault("", "judge_principles", what, nearest(unknown[0], weights)))
    return {name: weights[name] for name in wanted} or "all"


def _model(settings: TrainSettings) -> ModelSettings:
    judge = settings.judge
    if judge.url is not None:
        if judge.name is None:
            raise InputError(Fault("", "judge", "is missing", "name the model at judge_url"))
        return ModelSettings(
            llm="openai", model=judge.name, base_url=judge.url, temperature=0.0, max_tokens=16
        )
    name: Any = judge.name
    if name is None:
        published = settings.dataset.manifest.models.get("judge") or {}
        where = f"{settings.dataset.repo}@{settings.dataset.tag}"
        if published.get("llm") != "local":
            what = f"the judge of {where} is {published.get('model')}, no local model"
            fix = "name one: judge=local, judge=DIR, or judge=NAME and judge_url=ADDRESS"
            raise InputError(Fault("", "judge", what, fix))
        name = published.get("path") or published.get("model") or "local"
    if name in ("local", EMBEDDED_NAME):
        return ModelSettings(llm="local", temperature=0.0)
    if not Path(name).is_dir():
        fix = "name the folder of a checkpoint, or local, or add judge_url=ADDRESS"
        raise InputError(Fault("", "judge", f'there is no folder "{name}"', fix))
    return ModelSettings(llm="local", model=name, temperature=0.0)
