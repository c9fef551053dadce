"""Whether one answer declines, for rooms that may not look in here and are handed this."""

from __future__ import annotations

from charter.evals.refusal import Refusal, read

__all__ = ["refuses"]


def refuses(prompt: str, answer: str) -> bool:
    """Whether the answer is a full or a partial refusal, by the rules of `charter eval refusal`.

    Args:
        prompt: the request; the last message of a conversation.
        answer: an empty one is no refusal.
    """
    return read(prompt, answer).outcome in (Refusal.FULL, Refusal.PARTIAL)
