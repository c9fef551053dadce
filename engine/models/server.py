"""OpenAI-compatible servers, as a distilabel AsyncLLM with log-probabilities and call seeds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from distilabel.models.llms.base import AsyncLLM
from pydantic import Field, PrivateAttr

from charter.addresses import is_address, may_hold_key
from charter.errors import Fault, InputError
from charter.models.call import Answer, Call
from charter.models.lane import Lane, Patience
from charter.models.wire import Wire
from charter.rows import digest

if TYPE_CHECKING:
    from distilabel.typing import FormattedInput, GenerateOutput

__all__ = ["ServerLLM"]

OPENAI_URL = "https://api.openai.com/v1"


class ServerLLM(AsyncLLM):  # type: ignore[misc]
    """A model behind an OpenAI-compatible server (vLLM, llama.cpp, TGI, Ollama, OpenAI...).

    Every call carries its own seed. A try that failed by the connection, a timeout, an unreadable
    body or a status that may pass is made again as `charter.models.lane` says; an address that
    refuses the key or the model stops the run.
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
    in_flight: int = 64
    body: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of the request; null takes one out."
    )

    _wire: Wire | None = PrivateAttr(default=None)
    _loop: Any = PrivateAttr(default=None)
    _lane: Lane | None = PrivateAttr(default=None)

    @property
    def model_name(self) -> str:
        """The model's name, as the server knows it."""
        return self.model

    @property
    def address(self) -> str:
        """Where chat completions are asked for.

        Raises:
            InputError: it may hold a key, which logs and reports would repeat.
        """
        base = self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        if is_address(base) and may_hold_key(base):
            where = "base_url" if self.base_url else "OPENAI_BASE_URL"
            fix = f"write it like http://host:port/v1, and the key into {self.api_key_env}"
            raise InputError(Fault("", where, "has a login or a query", fix))
        return base.rstrip("/") + "/chat/completions"

    def request(self, call: Call) -> dict[str, Any]:
        """The body of the request for a call.

        What all calls share stands first and the same to the byte, for the server's prefix cache.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "messages": call.messages,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "seed": call.seed & 0x7FFFFFFF,
        }
        if self.stop:
            body["stop"] = list(self.stop)
        if call.labels:
            body |= {"max_tokens": 1, "logprobs": True, "top_logprobs": 20}
        if call.schema is not None:
            schema = {"name": "answer", "schema": call.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if self.body:
            body |= self.body
            body = {key: value for key, value in body.items() if value is not None}
        return body

    def trier(self) -> Callable[[Call], Awaitable[Answer]]:
        """What makes one try of a call, over connections of the running loop."""
        return self._open().attempt

    async def attempt(self, call: Call) -> Answer:
        """One try of a call.

        Raises:
            TransientError: it failed, and may succeed when made again.
            Failure: the server refuses the key or the model.
        """
        return await self._open().attempt(call)

    async def answer(self, call: Call) -> Answer:
        """The answer of one call, after as many tries as are allowed, in a lane of its own.

        Raises:
            Failure: the server is down, or refuses the key or the model.
        """
        if self._lane is None:
            self._lane = Lane(self.address, self.in_flight, Patience(self.retries))
        return await self._lane.ask(self.attempt, call)

    def _open(self) -> Wire:
        loop = asyncio.get_running_loop()
        if self._wire is None or self._loop is not loop:
            key = os.environ.get(self.api_key_env)
            self._wire = Wire(self.address, key, self.api_key_env, self.timeout, self.request)
            self._loop = loop
            self._lane = None
        return self._wire

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        if self._wire is not None:
            await self._wire.aclose()
            self._wire = None

    async def agenerate(
        self,
        input: FormattedInput,  # noqa: A002 - distilabel's name
        num_generations: int = 1,
    ) -> GenerateOutput:
        """Distilabel's own way in: a seed by the messages and the sample's number.

        Structured output is a JSON schema: `(messages, {"format": "json", "schema": ...})`.
        """
        from distilabel.models.llms.utils import prepare_output

        messages, schema = _with_schema(input)
        answers = []
        for index in range(num_generations):
            seed = int(digest("agenerate", messages, index)[:16], 16) >> 1
            call = Call("agenerate", "", index, seed, tuple(messages), schema=schema)
            answers.append(await self.answer(call))
        return prepare_output(
            generations=[a.text if a.ok else None for a in answers],
            input_tokens=[a.prompt_tokens for a in answers],
            output_tokens=[a.completion_tokens for a in answers],
        )


def _with_schema(given: Any) -> tuple[list[Any], dict[str, Any] | None]:
    """Messages and schema of what a distilabel task gives to its LLM."""
    if isinstance(given, list):
        return given, None
    messages, wanted = given
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    if schema is not None and hasattr(schema, "model_json_schema"):
        schema = schema.model_json_schema()
    if not isinstance(schema, dict):
        what = "structured output by a grammar cannot be asked of an OpenAI-compatible server"
        raise InputError(Fault("", "", what, "give a JSON schema or a pydantic model"))
    return messages, schema
