"""OpenAI-compatible servers, as a distilabel AsyncLLM with log-probabilities and call seeds."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
from typing import TYPE_CHECKING, Any

import aiohttp
from distilabel.models.llms.base import AsyncLLM
from pydantic import Field, PrivateAttr

from charter.errors import Failure, Fault, InputError
from charter.models.ask import gather_labels
from charter.models.call import Answer, Call
from charter.rows import digest

if TYPE_CHECKING:
    from distilabel.typing import FormattedInput, GenerateOutput

__all__ = ["ServerLLM"]

# What a server may say of a call that can succeed when it is made again.
RETRIABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
# So many calls in a row failed for good: the server is down, and a run stops to be resumed.
BREAKER = 8
OPENAI_URL = "https://api.openai.com/v1"


class _TransientError(Exception):
    """A failed try that may succeed when made again."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class ServerLLM(AsyncLLM):  # type: ignore[misc]
    """A model behind an OpenAI-compatible server (vLLM, llama.cpp, TGI, Ollama, OpenAI...).

    Every call carries its own seed. A call is tried again after a connection error, a timeout,
    an unreadable body or a status that may pass, with jittered exponential waits or for as long
    as `Retry-After` says; then it is an answer with an error. An address that refuses the key or
    the model, or eight calls in a row that failed for good, stop the run.
    """

    model: str
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    timeout: float = 120.0
    retries: int = 5
    body: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of the request; null takes one out."
    )

    _session: Any = PrivateAttr(default=None)
    _loop: Any = PrivateAttr(default=None)
    _failed_in_a_row: int = PrivateAttr(default=0)

    @property
    def model_name(self) -> str:
        """The model's name, as the server knows it."""
        return self.model

    @property
    def address(self) -> str:
        """Where chat completions are asked for."""
        base = self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        return base.rstrip("/") + "/chat/completions"

    def request(self, call: Call) -> dict[str, Any]:
        """The body of the request for a call."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [dict(message) for message in call.messages],
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "seed": call.seed & 0x7FFFFFFF,
        }
        if self.stop:
            body["stop"] = list(self.stop)
        if call.labels:
            body |= {"max_tokens": 1, "logprobs": True, "top_logprobs": 20}
        body |= self.body
        return {key: value for key, value in body.items() if value is not None}

    async def answer(self, call: Call) -> Answer:
        """The answer of one call, after as many tries as are allowed.

        Raises:
            Failure: the server is down, or refuses the key or the model.
        """
        data = json.dumps(self.request(call)).encode()
        problem = ""
        for attempt in range(self.retries + 1):
            try:
                answer = await self._try(data, call)
            except _TransientError as error:
                problem = str(error)
                if attempt < self.retries:
                    await asyncio.sleep(_pause(attempt, error.wait))
            else:
                self._failed_in_a_row = 0
                return answer
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= BREAKER:
            what = f"{BREAKER} calls in a row failed for good (the last: {problem})"
            fix = "check the server, then run the same command again: it goes on from here"
            raise Failure(Fault(self.address, "", what, fix))
        return Answer(error=f"{problem} (after {self.retries + 1} tries)")

    async def _try(self, data: bytes, call: Call) -> Answer:
        try:
            async with self._open().post(self.address, data=data) as response:
                raw = await response.read()
                if response.status != 200:
                    return self._refused(response.status, raw, response.headers)
        except TimeoutError:
            raise _TransientError(f"no answer within {self.timeout:g} s") from None
        except aiohttp.ClientError as error:
            raise _TransientError(f"connection failed ({type(error).__name__})") from None
        try:
            return _read(json.loads(raw), call)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise _TransientError("the answer's body cannot be read") from None

    def _refused(self, status: int, raw: bytes, headers: Any) -> Answer:
        said = " ".join(raw[:2000].decode(errors="replace").split())
        key = os.environ.get(self.api_key_env)
        said = (said.replace(key, "***") if key else said)[:200]
        what = f"the server says {status}: {said}" if said else f"the server says {status}"
        if status in RETRIABLE:
            raise _TransientError(what, _retry_after(headers.get("Retry-After")))
        if status in (401, 403):
            fix = f"put a key that is good there into {self.api_key_env}"
            raise Failure(Fault(self.address, "", what, fix))
        if status == 404:
            fix = "check base_url (it often ends in /v1) and model"
            raise Failure(Fault(self.address, "", what, fix))
        overflow = "context" in said.lower() and ("length" in said.lower() or "token" in said)
        return Answer(error=what, overflow=status in (400, 413, 422) and overflow)

    def _open(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            headers = {"Content-Type": "application/json"}
            key = os.environ.get(self.api_key_env)
            if key:
                headers["Authorization"] = f"Bearer {key}"
            self._session = aiohttp.ClientSession(
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=self.timeout),
                connector=aiohttp.TCPConnector(limit=0),
            )
            self._loop = loop
        session: aiohttp.ClientSession = self._session
        return session

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def agenerate(
        self,
        input: FormattedInput,  # noqa: A002 - distilabel's name
        num_generations: int = 1,
    ) -> GenerateOutput:
        """Distilabel's own way in: text alone, a seed by the messages and the sample's number."""
        from distilabel.models.llms.utils import prepare_output

        if not isinstance(input, list):
            what = "structured output cannot be asked of ServerLLM"
            raise InputError(Fault("", "", what, "pass messages alone"))
        answers = []
        for index in range(num_generations):
            seed = int(digest("agenerate", input, index)[:16], 16) >> 1
            call = Call("agenerate", "", index, seed, tuple(input))
            answers.append(await self.answer(call))
        return prepare_output(
            generations=[a.text if a.ok else None for a in answers],
            input_tokens=[a.prompt_tokens for a in answers],
            output_tokens=[a.completion_tokens for a in answers],
        )


def _read(body: dict[str, Any], call: Call) -> Answer:
    choice = body["choices"][0]
    usage = body.get("usage") or {}
    labels: dict[str, float] = {}
    if call.labels:
        content = (choice.get("logprobs") or {}).get("content") or []
        entries = content[0].get("top_logprobs") or [content[0]] if content else []
        found = [(entry["token"], float(entry["logprob"])) for entry in entries]
        labels = gather_labels((e for e in found if math.isfinite(e[1])), call.labels)
    return Answer(
        text=choice["message"].get("content") or "",
        label_logprobs=labels,
        finish_reason=choice.get("finish_reason") or "",
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
    )


def _pause(attempt: int, asked: float | None) -> float:
    if asked is not None:
        return asked
    # Jitter keeps calls that failed together from coming back together; it changes no row.
    wait: float = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt)
    return wait * random.uniform(0.5, 1.0)  # noqa: S311


def _retry_after(value: str | None) -> float | None:
    try:
        return min(max(float(value), 0.0), 300.0) if value is not None else None
    except ValueError:
        return None
