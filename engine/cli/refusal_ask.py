"""Ask models for answers, and a judge for labels: what `charter eval refusal` asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from charter.cli.follow import counted
from charter.cli.names import folder_of
from charter.cli.output import Output
from charter.errors import Fault, InputError, nearest
from charter.evals.refusal_sources import AnswerSet, Question, RefusalAnswer, read_questions
from charter.models.call import Answer, Call
from charter.recipes.load import resolve
from charter.recipes.schema import ModelSettings, PromptsSettings
from charter.rows import draw_int

__all__ = ["ask_judge", "ask_models", "check_asked", "questions"]

_PER_CATEGORY = 16
_BATCH = 16  # prompts asked at once, the same ones of every model


def check_asked(given: Mapping[str, Any]) -> None:
    """Refuse a model or a judge that is not there before any of them is asked.

    Raises:
        InputError: there is no such folder, or no model in it.
    """
    from charter.models.build import identity

    for name in given["models"]:
        identity(_settings(name, given["base_url"], given, given["max_tokens"]))
    if given["judge"]:
        identity(_judge_settings(given))


def questions(given: Mapping[str, Any], columns: Mapping[str, str]) -> list[Question]:
    """The first prompts of each category, from a file or the Hub.

    Raises:
        InputError: there is no such file, dataset or category.
    """
    if given["dataset"]:
        source: Path | PromptsSettings = PromptsSettings(
            dataset=given["dataset"],
            revision=given["revision"],
            config=given["config"],
            split=given["split"] or "train",
        )
        place = given["dataset"]
    else:
        place = given["prompts"]
        files = resolve(place, Path())
        source = files[0] if files else Path(place)
    found = read_questions(source, columns, given["kind"])
    known = dict.fromkeys(each.category for each in found)
    wanted = given["categories"] or tuple(known)
    faults = [
        Fault(place, "--category", f'no prompt has the category "{name}"', nearest(name, known))
        for name in wanted
        if name not in known
    ]
    if faults:
        raise InputError(faults)
    most = given["per_category"] or _PER_CATEGORY
    return [each for name in wanted for each in [q for q in found if q.category == name][:most]]


def ask_models(
    output: Output, asked: Sequence[Question], given: Mapping[str, Any]
) -> list[AnswerSet]:
    """The answers of every model to the same prompts, greedily; what is cached is not asked."""
    sets = []
    for name in dict.fromkeys(given["models"]):
        calls = [
            Call(
                step="refusal",
                prompt_id=each.id,
                index=0,
                seed=draw_int(given["seed"], each.id, "refusal", 0),
                messages=each.messages,
            )
            for each in asked
        ]
        settings = _settings(name, given["base_url"], given, given["max_tokens"])
        answers = _ask(output, f"refusals {name}", settings, calls)
        sets.append(
            AnswerSet(name, [_answered(*pair) for pair in zip(asked, answers, strict=True)])
        )
    return sets


def _answered(question: Question, answer: Answer) -> RefusalAnswer:
    return RefusalAnswer(
        id=question.id,
        prompt=question.messages[-1]["content"],
        text=answer.text,
        category=question.category,
        kind=question.kind,
        error=answer.error,
    )


def _settings(
    name: str,
    address: str | None,
    given: Mapping[str, Any],
    max_tokens: int,
    options: tuple[str, str] = ("--model", "--base-url"),
) -> ModelSettings:
    """A model by `local`, the folder of a checkpoint, or its name on a server.

    Raises:
        InputError: there is no such folder and no server; it names the `options` for these.
    """
    folder = None if name == "local" else folder_of(name)
    if name == "local" or folder is not None:
        path = None if folder is None else str(folder)
        return ModelSettings(llm="local", model=path, temperature=0.0, max_tokens=max_tokens)
    if address is None:
        what = f'there is no folder "{name}"'
        fix = "name the folder of a checkpoint or local, or say where it is served with"
        raise InputError(Fault(options[0], "", what, f"{fix} {options[1]}"))
    return ModelSettings(
        llm="openai",
        model=name,
        base_url=address,
        api_key_env=given["api_key_env"],
        temperature=0.0,
        max_tokens=max_tokens,
    )


def _judge_settings(given: Mapping[str, Any]) -> ModelSettings:
    from charter.evals.refusal_judge import MOST_TOKENS

    address = given["judge_url"] or given["base_url"]
    return _settings(given["judge"], address, given, MOST_TOKENS, ("--judge", "--judge-url"))


def _ask(
    output: Output, title: str, settings: ModelSettings, calls: Sequence[Call]
) -> list[Answer]:
    if settings.llm == "local":
        return _ask_local(output, title, settings, calls)
    from charter.cli.judging import ask_calls

    with output.progress() as progress:
        progress.say(title)
        return ask_calls(calls, settings, progress)


def _ask_local(
    output: Output, title: str, settings: ModelSettings, calls: Sequence[Call]
) -> list[Answer]:
    """In batches of one size and order, so that two models are asked alike."""
    from charter.models.cache import CallCache, default_cache_path
    from charter.models.cached import CachedLocal

    answers: list[Answer] = []
    with closing(CallCache(default_cache_path())) as cache, output.progress() as progress:
        model = CachedLocal(Path(settings.model) if settings.model else None, cache)
        show = counted(progress, title)
        for start in range(0, len(calls), _BATCH):
            answers += model.generate(
                calls[start : start + _BATCH],
                temperature=0.0,
                top_p=1.0,
                max_tokens=settings.max_tokens,
            )
            show(len(answers), len(calls))
    return answers


def ask_judge(
    output: Output, answers: Sequence[RefusalAnswer], given: Mapping[str, Any]
) -> tuple[list[str | None], int]:
    """The judge's label of each answer that says something, None for the others; failed calls."""
    from charter.evals.refusal import Refusal
    from charter.evals.refusal_judge import judge_refusals

    settings = _judge_settings(given)
    said = [
        at
        for at, each in enumerate(answers)
        if each.reading is not None and each.reading.outcome is not Refusal.EMPTY
    ]
    items = [(answers[at].id, answers[at].prompt, answers[at].text) for at in said]
    title = f"judge {given['judge']}"
    labels = judge_refusals(
        items, lambda calls: _ask(output, title, settings, calls), given["seed"]
    )
    found: list[str | None] = [None] * len(answers)
    for at, label in zip(said, labels, strict=True):
        found[at] = label
    return found, labels.count(None)
