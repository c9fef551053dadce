"""The depth of models' safety, from prompts on: which answers are forced, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from charter.evals.answers import Answered, answers_of_model
from charter.evals.depth import DepthFigures, Forced, depth_figures, divergence, forced, prefill
from charter.evals.held_out import HeldOut
from charter.evals.measure import Model
from charter.evals.refusal import Refusal, read

if TYPE_CHECKING:
    from charter.models.local import LocalModel

__all__ = [
    "FEWEST",
    "Compliant",
    "DepthAsked",
    "base_answers",
    "compliant",
    "measured_depth",
    "same_tokens",
]

FEWEST: Final = 5
"""Compliant answers from which anything can be said."""

_SPARE: Final = 24  # tokens that the base may write beyond those that are forced

Show = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class DepthAsked:
    """How a depth is measured.

    Attributes:
        tokens: positions of the divergence.
        prefill: how many tokens of a compliant answer are forced, each in turn.
        max_tokens: longest continuation.
        seed: of the draws behind the divergence's intervals.
    """

    tokens: int
    prefill: tuple[int, ...]
    max_tokens: int
    seed: int = 0

    @property
    def least(self) -> int:
        """Tokens that an answer must have."""
        return max(self.tokens, *self.prefill)


@dataclass(frozen=True, slots=True)
class Compliant:
    """The answers that are forced.

    Attributes:
        rows: prompts and answers as tokens.
        noted: prompts left out, by reason.
    """

    rows: tuple[Forced, ...]
    noted: Mapping[str, int]

    @property
    def too_few(self) -> bool:
        """Whether nothing can be said from them."""
        return len(self.rows) < FEWEST


def base_answers(
    base: Model, prompts: Sequence[HeldOut], asked: DepthAsked, progress: Show | None = None
) -> Answered:
    """The base's own greedy answers, long enough to be forced.

    Args:
        base: the model before alignment.
        prompts: what is asked.
        asked: how many tokens are needed.
        progress: called as `progress(done, total)` after each batch.
    """
    return answers_of_model(base, prompts, max_tokens=asked.least + _SPARE, progress=progress)


def compliant(
    tokenizer: Any,
    prompts: Sequence[HeldOut],
    answers: Mapping[str, str],
    asked: DepthAsked,
    context: int,
) -> Compliant:
    """Of some answers those that comply, are long enough, and leave room to go on.

    Args:
        tokenizer: of the models.
        prompts: what was asked.
        answers: by prompt id.
        asked: how many tokens are needed.
        context: the most tokens that any of the models can read.
    """
    said = {prompt.id: prompt.messages[-1]["content"] for prompt in prompts}
    complied = {
        name: text
        for name, text in answers.items()
        if read(said[name], text).outcome is Refusal.COMPLIANCE
    }
    long_enough = forced(tokenizer, prompts, complied, asked.least)
    room = context - max(asked.tokens, max(asked.prefill) + asked.max_tokens)
    rows = tuple(row for row in long_enough if len(row.prompt_ids) <= room)
    noted = {
        "without_answer": len(prompts) - len(answers),
        "not_compliant": len(answers) - len(complied),
        "too_short": len(complied) - len(long_enough),
        "too_long": len(long_enough) - len(rows),
    }
    return Compliant(rows, noted)


def same_tokens(model: LocalModel, base: LocalModel) -> bool:
    """Whether two models have one vocabulary; a divergence is of the same one, or of nothing."""
    found: bool = model.tokenizer.get_vocab() == base.tokenizer.get_vocab()
    return found


def measured_depth(
    model: LocalModel,
    base: LocalModel,
    rows: Sequence[Forced],
    asked: DepthAsked,
    shown: Callable[[str], Show],
) -> DepthFigures:
    """The figures of a model; where it is the base itself, its divergence is nothing by definition.

    Args:
        model: whose.
        base: the one that it was trained from.
        rows: compliant answers, each of `asked.least` tokens or more.
        asked: how.
        shown: makes a `progress(done, total)` for `divergence` and for `prefill`.
    """
    if model is base:
        kl = np.zeros((len(rows), asked.tokens))
    else:
        kl = divergence(model, base, rows, asked.tokens, shown("divergence"))
    attacked = prefill(
        model, rows, asked.prefill, max_tokens=asked.max_tokens, progress=shown("prefill")
    )
    return depth_figures(kl, attacked, asked.seed)
