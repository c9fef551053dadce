"""A model whose answers are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from charter.models.cached import CachedLocal
from charter.models.call import Answer, Call

__all__ = ["Metered"]


@dataclass(slots=True)
class Metered:
    """A model whose answers are counted.

    Attributes:
        model: who answers.
        calls: answers given.
        tokens: read and written, also where the cache had the answer.
        cut: answers that ended at the limit.
    """

    model: CachedLocal
    calls: int = 0
    tokens: int = 0
    cut: int = 0

    def generate(
        self, calls: Sequence[Call], *, temperature: float, top_p: float, max_tokens: int
    ) -> list[Answer]:
        """As the model does."""
        given = self.model.generate(
            calls, temperature=temperature, top_p=top_p, max_tokens=max_tokens
        )
        self.calls += len(given)
        self.tokens += sum(each.prompt_tokens + each.completion_tokens for each in given)
        self.cut += sum(each.finish_reason == "length" for each in given)
        return given
