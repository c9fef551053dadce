"""Ask any distilabel LLM a batch of calls, and turn what it returns into answers."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    "ask_each",
    "error_text",
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

    An LLM of another make gets the messages alone, by its own way in: seeds of calls do not
    reach it.
    """
    if not calls:
        return []
    if isinstance(llm, BatchAnswering):
        return llm.answer_batch(calls)
    if isinstance(llm, AsyncAnswering):

        async def gathered() -> list[Answer]:
            try:
                return list(await asyncio.gather(*(llm.answer(call) for call in calls)))
            finally:
                await llm.aclose()

        return _in_a_loop(gathered())
    outputs = ask_each(llm, [[dict(message) for message in call.messages] for call in calls])
    return [_answer(output, call) for output, call in zip(outputs, calls, strict=True)]


def _in_a_loop(work: Coroutine[Any, Any, list[Answer]]) -> list[Answer]:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:  # a notebook's loop runs already, and waits for us
        return thread.submit(asyncio.run, work).result()


def ask_each(llm: Any, inputs: Sequence[Any], num_generations: int = 1) -> list[Any]:
    """What an LLM of another make gives for each input: a `GenerateOutput`, or its error.

    One behind a server is asked for each input alone: that one is refused takes nothing from the
    others, which are paid for. Any other raises its error.
    """
    given = llm.get_generation_kwargs()
    if not hasattr(llm, "_agenerate") or llm.use_offline_batch_generation:
        found: list[Any] = llm.generate_outputs(
            inputs=list(inputs), num_generations=num_generations, **given
        )
        return found

    async def gathered() -> list[Any]:
        asked = (llm._agenerate([each], num_generations, **given) for each in inputs)
        answered = await asyncio.gather(*asked, return_exceptions=True)
        return [each if isinstance(each, BaseException) else each[0] for each in answered]

    # In the LLM's own loop, to which its client's connections belong.
    found = llm.event_loop.run_until_complete(gathered())
    return found


def _answer(output: Any, call: Call) -> Answer:
    if isinstance(output, CharterError):
        raise output
    if isinstance(output, BaseException):
        return Answer(error=error_text(output))
    return answer_from_output(output, call)


def error_text(error: BaseException) -> str:
    """An error of another make's client, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


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
    said = error_text(error)
    if status in (401, 403):
        return Failure(Fault("", "models", said, "check the key of this model"))
    return TransientError(said, throttled=status == 429)
