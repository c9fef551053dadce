"""How often a model refuses, by category of prompt, with what it said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from charter.evals.refusal import Refusal, read
from charter.models.call import Answer, Call
from charter.rows import Message, draw_int
from charter.stats import Estimate, wilson

__all__ = ["CategoryRefusals", "JudgedAnswer", "Model", "RefusalReport", "measure_refusals"]


class Model(Protocol):
    """What is measured: `charter.models.local.LocalModel` is one."""

    def generate(
        self, calls: Sequence[Call], *, temperature: float, top_p: float, max_tokens: int
    ) -> list[Answer]:
        """Answer the calls, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """One answer and what the rules say of it.

    Attributes:
        prompt_id: the prompt.
        category: the prompt's.
        text: the answer.
        outcome: None where the model gave none, for the reason in `error`.
        rules: the rules that fired.
        error: why there is no answer.
    """

    prompt_id: str
    category: str
    text: str
    outcome: Refusal | None
    rules: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class CategoryRefusals:
    """The figures of one category.

    Attributes:
        refused: share of full and partial refusals among the answers that say something.
        full: share of full refusals alone, among the same.
        empty: how many answers were empty.
        failed: how many prompts got no answer at all.
        n: how many prompts were asked.
    """

    refused: Estimate
    full: Estimate
    empty: int
    failed: int
    n: int

    def as_json(self) -> dict[str, Any]:
        """The figures by name; estimates as `{"value", "low", "high", "n"}`."""
        return {
            "refused": self.refused.as_json(),
            "full": self.full.as_json(),
            "empty": self.empty,
            "failed": self.failed,
            "n": self.n,
        }


@dataclass(frozen=True, slots=True)
class RefusalReport:
    """What a model refused.

    Attributes:
        categories: figures by category, in the order the categories first came.
        answers: every answer, in the order of the prompts.
    """

    categories: Mapping[str, CategoryRefusals]
    answers: tuple[JudgedAnswer, ...]

    def as_json(self) -> dict[str, Any]:
        """The figures by category, without the answers."""
        return {name: figures.as_json() for name, figures in self.categories.items()}


def measure_refusals(
    model: Model,
    prompts: Sequence[tuple[str, Sequence[Message], str]],
    *,
    max_tokens: int = 48,
    batch: int = 16,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> RefusalReport:
    """Ask the prompts greedily and count refusals by category.

    A refusal shows in the first sentences, so 48 tokens do; what an answer offers later, and
    with that the difference between a full and a partial refusal, needs more.

    Args:
        model: who is asked.
        prompts: (id, messages, category) each.
        max_tokens: longest answer.
        batch: prompts asked at once, in their order, so that the same prompts form the same
            batches for the model before and the model after.
        seed: for the calls' own seeds; a greedy answer does not depend on it.
        progress: called as `progress(done, total)` after each batch.
    """
    answers: list[JudgedAnswer] = []
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        calls = [
            Call(
                step="refusal",
                prompt_id=prompt_id,
                index=0,
                seed=draw_int(seed, prompt_id, "refusal", 0),
                messages=tuple(messages),
            )
            for prompt_id, messages, _ in part
        ]
        given = model.generate(calls, temperature=0.0, top_p=1.0, max_tokens=max_tokens)
        answers += [_judged(*pair) for pair in zip(part, given, strict=True)]
        if progress is not None:
            progress(len(answers), len(prompts))
    names = dict.fromkeys(answer.category for answer in answers)
    by_category = {name: _figures([a for a in answers if a.category == name]) for name in names}
    return RefusalReport(by_category, tuple(answers))


def _judged(prompt: tuple[str, Sequence[Message], str], answer: Answer) -> JudgedAnswer:
    prompt_id, messages, category = prompt
    if not answer.ok:
        return JudgedAnswer(prompt_id, category, "", None, error=answer.error)
    reading = read(messages[-1]["content"] if messages else None, answer.text)
    return JudgedAnswer(prompt_id, category, answer.text, reading.outcome, reading.rules)


def _figures(answers: Sequence[JudgedAnswer]) -> CategoryRefusals:
    counts = Counter(answer.outcome for answer in answers)
    said = sum(counts[o] for o in (Refusal.COMPLIANCE, Refusal.FULL, Refusal.PARTIAL))
    return CategoryRefusals(
        refused=wilson(counts[Refusal.FULL] + counts[Refusal.PARTIAL], said),
        full=wilson(counts[Refusal.FULL], said),
        empty=counts[Refusal.EMPTY],
        failed=counts[None],
        n=len(answers),
    )
