"""What a run asked: calls by step, tokens by role, and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from charter.models.call import Answer
from charter.models.keys import Keys
from charter.recipes.schema import Price
from charter.steps.asking import Asking

if TYPE_CHECKING:
    from charter.models.lane import Lane

__all__ = ["Stage", "Tally"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One asking step with the model it asks.

    Attributes:
        asking: the pure step.
        llm: the loaded distilabel LLM.
        keys: makes the cache keys of the model's calls.
        lane: the way to the model's server; None for a model that answers in batches.
        price: of the model's tokens; None where it is not known.
        max_tokens: the most that an answer may have.
    """

    asking: Asking
    llm: Any
    keys: Keys
    lane: Lane | None = None
    price: Price | None = None
    max_tokens: int = 256

    @property
    def name(self) -> str:
        """The step's name."""
        return self.asking.name


@dataclass(slots=True)
class Tally:
    """What was asked, and what came of it.

    Attributes:
        calls: answers by step, whether from the cache or not.
        cached: those of them that were known before: the cache's, and failures of an earlier try
            of the same run.
        failed: those that failed for good, or whose answer is empty.
        cut: answers that ended at the token limit.
        tokens: [read, written] of calls that were made, by role.
        seconds: model time of calls that were made, by step.
        cost: money for the calls that were made, as far as prices are known.
        unpriced: roles whose calls were made without a price.
        rows: rows walked to their end.
    """

    calls: Counter[str] = field(default_factory=Counter)
    cached: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    tokens: dict[str, list[int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    cost: float = 0.0
    unpriced: set[str] = field(default_factory=set)
    rows: int = 0

    def known(self, stage: Stage, answer: Answer) -> None:
        """Enter an answer that was not asked for again."""
        self.cached[stage.asking.name] += 1
        self._seen(stage, answer)

    def made(self, stage: Stage, answer: Answer) -> float:
        """Enter the answer of a call that was made; its cost."""
        self._seen(stage, answer)
        return self._paid(stage.asking.name, stage.asking.role, stage.price, answer)

    def probed(self, price: Price | None, answer: Answer) -> None:
        """Enter a call that asked what the judge gives (`charter.run.settle`)."""
        self.calls["probe"] += 1
        self._paid("probe", "judge", price, answer)

    def _paid(self, name: str, role: str, price: Price | None, answer: Answer) -> float:
        self.seconds[name] = self.seconds.get(name, 0.0) + answer.seconds
        pair = self.tokens.setdefault(role, [0, 0])
        pair[0] += answer.prompt_tokens
        pair[1] += answer.completion_tokens
        if price is None:
            self.unpriced.add(role)
            return 0.0
        cost = price.of(answer.prompt_tokens, answer.completion_tokens)
        self.cost += cost
        return cost

    def _seen(self, stage: Stage, answer: Answer) -> None:
        name = stage.asking.name
        self.calls[name] += 1
        if not answer.ok or answer.empty:
            self.failed[name] += 1
        if answer.finish_reason == "length" and not stage.asking.one_token:
            self.cut[name] += 1

    def merge(self, other: Mapping[str, Any]) -> None:
        """Add what another process counted (`as_json` of its tally)."""
        for name in ("calls", "cached", "failed", "cut"):
            getattr(self, name).update(other[name])
        for name, seconds in other["seconds"].items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        for role, (read, written) in other["tokens"].items():
            pair = self.tokens.setdefault(role, [0, 0])
            pair[0] += read
            pair[1] += written
        self.cost += other["cost"]
        self.unpriced |= set(other["unpriced"])
        self.rows += other["rows"]

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        return {
            "calls": dict(self.calls),
            "cached": dict(self.cached),
            "failed": dict(self.failed),
            "cut": dict(self.cut),
            "tokens": {role: list(pair) for role, pair in self.tokens.items()},
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "cost": self.cost,
            "unpriced": sorted(self.unpriced),
            "rows": self.rows,
        }
