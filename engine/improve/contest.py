"""Two models' answers to the same prompts, judged by the recipe's judge in both orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from charter.evals.held_out import HeldOut
from charter.evals.winrate import WinRates, game_of, win_rates
from charter.improve.halves import judge_alone
from charter.models.cache import CallCache, default_cache_path
from charter.recipes import Loaded
from charter.rows import Row
from charter.run.execute import work_of
from charter.run.progress import Progress
from charter.run.runner import Runner
from charter.run.serve import served_models
from charter.run.settle import settled
from charter.run.stages import stages_of
from charter.run.tally import Tally
from charter.steps.principles import principle_weights

__all__ = ["contest"]


def contest(
    loaded: Loaded,
    names: tuple[str, str],
    prompts: Sequence[HeldOut],
    answers: tuple[Mapping[str, str], Mapping[str, str]],
    folder: Path,
    progress: Progress,
) -> tuple[WinRates, Tally]:
    """The two models' win rates, and what the judge was asked for them.

    The judge is the recipe's, whoever labels the rounds' pairs: one rule for all rounds. Prompts
    that one of the two did not answer are left out. What the call cache knows is not asked again.

    Args:
        loaded: the recipe.
        names: of the two models.
        prompts: what was asked.
        answers: texts by prompt id, of each model.
        folder: for the log of a server that the recipe starts.
        progress: who is told.

    Raises:
        Failure: a server is down.
    """
    asked = [prompt for prompt in prompts if all(prompt.id in each for each in answers)]
    texts = [(answers[0][prompt.id], answers[1][prompt.id]) for prompt in asked]
    rows = [_row(prompt, both) for prompt, both in zip(asked, texts, strict=True)]
    done: list[Row] = []
    with closing(CallCache(default_cache_path())) as cache:
        judging, _ = settled(judge_alone(loaded), cache, progress.say)
        with served_models(judging, folder, progress):
            stages = stages_of(judging)
            work = work_of(stages, len(rows), cache, progress)
            Runner(stages).walk(rows, done.append, work)
    preference = judging.recipe.preference
    assert preference is not False
    weights = principle_weights(judging.constitution, preference.principles)
    games = [
        game_of((prompt.id, prompt.category), names, both, row["votes"], preference.mode, weights)
        for prompt, both, row in zip(asked, texts, done, strict=True)
    ]
    return win_rates(names, games), work.tally


def _row(prompt: HeldOut, texts: tuple[str, str]) -> Row:
    """A pair to judge. Its id does not say whose the answers are: all draw the same principles."""
    candidates = [
        {"slot": slot, "text": text, "model": ""} for slot, text in zip("ab", texts, strict=True)
    ]
    return {
        "prompt_id": prompt.id,
        "prompt": [dict(message) for message in prompt.messages],
        "source": "",
        "candidates": candidates,
    }
