"""Ask any distilabel LLM a batch of calls, and turn what it returns into answers."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

from charter.errors import CharterError, Failure, Fault
from charter.models.call import FLOOR, Answer, Call
from charter.models.lane import TransientError

__all__ = [
    "AsyncAnswering",
    "BatchAnswering",
    "answer_from_output",
    "ask_batch",
    "gather_labels",
    "trier",
]


@runtime_checkable
class BatchAnswering(Protocol):
    """An LLM of ours that answers a batch at once (the embedded model)."""

    def answer_batch(self, calls: Sequence[Call]) -> list[Answer]:
        """One answer for each call, in order."""


@runtime_checkable
class AsyncAnswering(Protocol):
    """An LLM of ours behind a server, which answers calls one by one."""

    async def answer(self, call: Call) -> Answer:
        """The answer of one call; a call that failed for good is an answer with an error."""

    async def aclose(self) -> None:
        """Close the connections of the running loop."""


def answer_from_output(output: Any, call: Call) -> Answer:
    """What a distilabel LLM returned for one input, as an answer.

    Args:
        output: a `GenerateOutput`: `generations`, `statistics` and perhaps `logprobs`.
        call: what was asked; its labels are looked for among the first token's candidates.
    """
    texts = (output or {}).get("generations") or [None]
    if texts[0] is None:
        return Answer(error="the model gave no answer")
    statistics = output.get("statistics") or {}

    def tokens(name: str) -> int:
        counts = statistics.get(name) or [0]
        return int(counts[0] or 0)

    found: dict[str, float] = {}
    logprobs = output.get("logprobs")
    if call.labels and logprobs and logprobs[0] and logprobs[0][0]:
        found = gather_labels(
            ((entry["token"], entry["logprob"]) for entry in logprobs[0][0]), call.labels
        )
    return Answer(
        text=texts[0],
        label_logprobs=found,
        prompt_tokens=tokens("input_tokens"),
        completion_tokens=tokens("output_tokens"),
    )


def gather_labels(entries: Any, labels: Sequence[str]) -> dict[str, float]:
    """Log-probability of each label over its spellings among (token, logprob) entries.

    Args:
        entries: the likeliest first tokens, as a server lists them: at most 20 of all there are.
        labels: what is looked for.

    Returns:
        The labels that were found. Where one was not, `FLOOR` holds the most that it can have: no
        more than the least of the tokens listed, and no more than what all of these leave over.
    """
    found: dict[str, float] = {}
    listed = []
    for token, logprob in entries:
        if logprob is None:
            continue
        listed.append(logprob)
        label = token.strip()
        if label in labels:
            before = found.get(label)
            found[label] = logprob if before is None else _logaddexp(before, logprob)
    if listed and any(label not in found for label in labels):
        rest = 1.0 - math.fsum(math.exp(min(each, 0.0)) for each in listed)
        left = math.log(rest) if rest > _LEAST else math.log(_LEAST)
        # A list of one token is no list of the likeliest: it says nothing of the second one.
        found[FLOOR] = min(left, *listed) if len(listed) > 1 else left
    return found


# What a sum of probabilities may be off by: servers round them, and sums of floats drift.
_LEAST = 1e-6


def _logaddexp(a: float, b: float) -> float:
    high, low = max(a, b), min(a, b)
    if high == -math.inf:  # two tokens of no probability: their difference is no number
        return high
    return high + math.log1p(math.exp(low - high))


def ask_batch(llm: Any, calls: Sequence[Call]) -> list[Answer]:
    """Answers of any distilabel LLM, one for each call, in order.

    An LLM of another make gets the messages alone, by its own `generate`: seeds of calls do not
    reach it.
    """
    if not calls:
        return []
    if isinstance(llm, BatchAnswering):
        return llm.answer_batch(calls)
    if isinstance(llm, AsyncAnswering):
        import asyncio

        async def gathered() -> list[Answer]:
            try:
                return list(await asyncio.gather(*(llm.answer(call) for call in calls)))
            finally:
                await llm.aclose()

        return asyncio.run(gathered())
    outputs = llm.generate_outputs(
        inputs=[[dict(message) for message in call.messages] for call in calls],
        num_generations=1,
        **llm.get_generation_kwargs(),
    )
    return [answer_from_output(o, call) for o, call in zip(outputs, calls, strict=True)]


def trier(llm: Any) -> Callable[[Call], Awaitable[Answer]]:
    """What makes one try of a call of an LLM behind a server, of ours or of any other make.

    To be called in the loop in which the calls are made. A try raises `TransientError` when it
    may be made again, `Failure` when the server refuses the key.
    """
    if hasattr(llm, "trier"):
        found: Callable[[Call], Awaitable[Answer]] = llm.trier()
        return found
    if isinstance(llm, AsyncAnswering):
        return llm.answer
    return partial(_try_foreign, llm)


async def _try_foreign(llm: Any, call: Call) -> Answer:
    messages = [dict(message) for message in call.messages]
    given = (messages, {"format": "json", "schema": dict(call.schema)}) if call.schema else messages
    started = time.perf_counter()
    try:
        output = await llm.agenerate(input=given, **llm.get_generation_kwargs())
    except Exception as error:  # noqa: BLE001 - each client has errors of its own
        raise _failed(error) from None
    answer = answer_from_output(output, call)
    if not answer.ok:
        raise TransientError(answer.error)
    return replace(answer, seconds=time.perf_counter() - started)


def _failed(error: Exception) -> Exception:
    """What an error of another make's client means."""
    if isinstance(error, CharterError):
        return error
    status = getattr(error, "status_code", None) or getattr(error, "status", None)
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if status in (401, 403):
        return Failure(Fault("", "models", said, "check the key of this model"))
    return TransientError(said, throttled=status == 429)
