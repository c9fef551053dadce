"""One call of a language model and its answer: what steps ask and what caches hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from charter.models.thoughts import without_thoughts
from charter.rows import Message
from charter.values import is_unicode

__all__ = ["FLOOR", "Answer", "Call"]

# Among label log-probabilities: the most that a label can have which the server did not list.
FLOOR = ""


@dataclass(frozen=True, slots=True)
class Call:
    """What a step asks of a model, whichever model that is.

    Sampling parameters belong to the model of the role, not to the call.

    Attributes:
        step: the step that asks, by its name in the pipeline (`respond`, `critique-1`).
        prompt_id: the prompt whose row asks.
        index: tells the calls of one step and prompt apart (a sample, a vote).
        seed: this call's own seed, 63 bits, from `charter.rows.draw_int`.
        messages: the conversation to continue.
        labels: when given, no text is wanted but the log-probability that the answer
            starts with each of these labels (one forward pass).
        schema: when given, a JSON schema that the answer must follow; for servers.
    """

    step: str
    prompt_id: str
    index: int
    seed: int
    messages: tuple[Message, ...]
    labels: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Either `error` says why there is nothing, or the rest is there.

    Attributes:
        text: the generated text ("" where only log-probabilities were asked for); half a
            surrogate pair, which no file can hold, becomes U+FFFD.
        label_logprobs: natural-log probability of each asked label as the first token
            (summed over its spellings); a label that the server did not list is absent, and
            `FLOOR` then holds the most that it can have.
        finish_reason: `stop`, `length`, or what the server said.
        prompt_tokens: tokens read, also for tries that were answered with nothing.
        completion_tokens: tokens generated, those of such tries with them.
        error: why the call failed for good; never cached as a result.
        overflow: the call failed because the conversation is longer than the model's context.
        seconds: how long the model took; two answers that differ in it alone are equal.
    """

    text: str = ""
    label_logprobs: Mapping[str, float] = field(default_factory=dict)
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""
    overflow: bool = False
    seconds: float = field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        if not is_unicode(self.text):
            whole = self.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            object.__setattr__(self, "text", whole)

    @property
    def ok(self) -> bool:
        """Whether the model answered."""
        return not self.error

    @property
    def said(self) -> str:
        """The text without the thoughts that it begins with, and without white space around."""
        return without_thoughts(self.text).strip()

    @property
    def empty(self) -> bool:
        """Whether it answered nothing: no text and no log-probability."""
        return not self.label_logprobs and not self.text.strip()
