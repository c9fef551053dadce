"""The wire to an OpenAI-compatible server: one request, and what its answer means."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError
from pyreqwest.http import Url

from charter.errors import Failure, Fault, InputError
from charter.models.ask import gather_labels
from charter.models.call import Answer, Call
from charter.models.lane import TransientError

__all__ = ["Wire"]

# What a server may say of a call that can succeed when it is made again.
RETRIABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
# Those of them that say nothing about the call.
DOWN = frozenset({502, 503, 504, 520, 522, 524, 529})
# Ends of an answer that the server gave up: what is there of it is no answer of the model's.
BROKEN_OFF = frozenset({"abort", "error"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - compared with
_SHOWN = 200  # characters of what a server said
_MOST_TOKENS = 1 << 53
_UNREADABLE = (
    *(ValueError, KeyError, TypeError, IndexError, AttributeError),
    *(OverflowError, RecursionError),
)


class Wire:
    """Kept connections to one address, of one event loop.

    The transport is pyreqwest, which is Rust's reqwest and hyper: half the CPU a call of aiohttp,
    a twentieth of the openai package's (`make bench-engine`).

    Args:
        address: of the chat completions.
        key: for the server; never in an error, as the server may repeat it.
        key_name: of the variable that it came from.
        timeout: seconds for a try, from connecting to the last byte.
        request: makes the body of a call's request.

    Raises:
        InputError: the address is none.
    """

    def __init__(
        self,
        address: str,
        key: str | None,
        key_name: str,
        timeout: float,
        request: Callable[[Call], dict[str, Any]],
    ) -> None:
        self._address = address
        self._key = key
        self._key_name = key_name
        self._timeout = timeout
        self._request = request
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        builder = (
            ClientBuilder()
            .default_headers(headers)
            .timeout(timedelta(seconds=timeout))
            .follow_redirects(False)  # the key goes where it was sent, and nowhere else
            .user_agent("charter")
        )
        try:
            if urlsplit(address).hostname in LOOPBACK:
                builder = builder.no_proxy()
            self._url = Url(address)
        except ValueError as error:
            what = f"is no address ({error})"
            fix = "write base_url as http://host:port/v1"
            raise InputError(Fault(address, "models", what, fix)) from None
        self._client = builder.build()

    async def attempt(self, call: Call) -> Answer:
        """One try of a call.

        Raises:
            TransientError: it failed, and may succeed when made again.
            Failure: the server refuses the key or the model.
        """
        data = _encoded(self._request(call))
        started = time.perf_counter()
        try:
            response = await self._client.post(self._url).body_bytes(data).build().send()
            raw = memoryview(await response.bytes())
        except RequestTimeoutError:
            raise TransientError(f"no answer within {self._timeout:g} s") from None
        except PyreqwestError as error:
            what = f"connection failed ({type(error).__name__})"
            raise TransientError(what, down=True) from None
        if not 200 <= response.status < 300:
            return self._refused(response.status, bytes(raw), response.get_header("Retry-After"))
        try:
            body = _decoded(raw)
            if "choices" not in body and body.get("error"):
                # Some proxies say 200 and mean it not.
                said = self._clean(str(body["error"]))
                raise TransientError(f"the server says 200 with an error: {said}")
            return _read(body, call, time.perf_counter() - started)
        except _UNREADABLE:
            raise TransientError("the answer's body cannot be read") from None

    def _refused(self, status: int, raw: bytes, retry_after: str | None) -> Answer:
        said = self._clean(raw[:2000].decode(errors="replace"))
        what = f"the server says {status}: {said}" if said else f"the server says {status}"
        if status in RETRIABLE and "insufficient_quota" not in said:
            wait = _seconds(retry_after)
            raise TransientError(what, wait, throttled=status == 429, down=status in DOWN)
        if status in (401, 402, 403, 429):
            fix = f"put a key that is good there into {self._key_name}"
            raise Failure(Fault(self._address, "", what, fix))
        if status == 404 or 300 <= status < 400:
            fix = "check base_url (it often ends in /v1) and model"
            raise Failure(Fault(self._address, "", what, fix))
        overflow = "context" in said.lower() and ("length" in said.lower() or "token" in said)
        filtered = "content_filter" in said
        return Answer(
            error=what,
            overflow=status in (400, 413, 422) and overflow,
            finish_reason="content_filter" if filtered else "",
        )

    def _clean(self, said: str) -> str:
        """What a server said, on one line, without the key; as UTF-8 and terminals can hold it."""
        said = said.encode(errors="replace").decode()
        said = "".join(sign if sign.isprintable() else " " for sign in said)
        return " ".join((said.replace(self._key, "***") if self._key else said).split())[:_SHOWN]

    async def aclose(self) -> None:
        """Close the connections."""
        with contextlib.suppress(PyreqwestError):
            await self._client.close()


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # half a surrogate pair, or an integer of more than 64 bits
        return json.dumps(body).encode()


def _decoded(raw: memoryview) -> Any:
    try:
        return orjson.loads(raw)
    except ValueError:
        # Half a surrogate pair, which an answer cut at its limit may end with, or -Infinity for
        # the log-probability of a token: orjson refuses both, Python servers write them.
        return json.loads(bytes(raw))


def _read(body: dict[str, Any], call: Call, seconds: float) -> Answer:
    choice = body["choices"][0]
    usage = body.get("usage") or {}
    finish = choice.get("finish_reason") or ""
    if not isinstance(finish, str):
        raise TypeError
    if finish in BROKEN_OFF:
        raise TransientError(f"the server broke the answer off (finish reason: {finish})")
    tokens = (_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))
    if finish == "content_filter":
        error = "the server's content filter held the answer back"
        return Answer("", {}, finish, *tokens, error=error, seconds=seconds)
    labels: dict[str, float] = {}
    if call.labels:
        content = (choice.get("logprobs") or {}).get("content") or []
        entries = content[0].get("top_logprobs") or [content[0]] if content else []
        shown = (entry for entry in entries if entry["logprob"] is not None)  # null: minus infinity
        found = [(entry["token"], float(entry["logprob"])) for entry in shown]
        labels = gather_labels((e for e in found if math.isfinite(e[1])), call.labels)
    return Answer(_text(choice["message"]), labels, finish, *tokens, seconds=seconds)


def _text(message: dict[str, Any]) -> str:
    """What a message says: a text, or parts of which some are texts; else why it says nothing.

    A refusal in a field of its own, as OpenAI gives it where a schema was asked for, is what the
    model answered.
    """
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part["type"] == "text")
    text = content or message.get("refusal") or ""
    if not isinstance(text, str):
        raise TypeError
    return text


def _count(value: Any) -> int:
    """Tokens that a server counted; 0 where that is no number of tokens."""
    count = int(value or 0)
    return count if 0 <= count < _MOST_TOKENS else 0


def _seconds(value: str | None) -> float | None:
    """Of `Retry-After`: seconds, or an HTTP date."""
    if value is None:
        return None
    try:
        seconds = float(value)
        return seconds if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
