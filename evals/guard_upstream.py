"""The server behind a guard: one request on, with the client's key; a bounded answer back."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError

from charter.addresses import is_address
from charter.errors import Fault, InputError
from charter.evals.guard_chat import ChatError
from charter.models.wire import LOOPBACK

__all__ = ["Upstream"]

# What a client says of itself to the upstream; nothing else of it goes on.
_PASSED_ON: Final = ("authorization", "openai-organization", "openai-project")
_LONGEST_KEY: Final = 8192
_SHOWN: Final = 500


class Upstream:
    """An OpenAI-compatible server, asked in one event loop.

    Args:
        url: as clients write `base_url`; it often ends in `/v1`.
        timeout: seconds for an answer, from connecting to the last byte.
        most: bytes of an answer.

    Raises:
        InputError: the address is none, or has a key in it.
    """

    def __init__(self, url: str, timeout: float = 120.0, most: int = 32 * 2**20) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._most = most
        self._client: Client | None = None
        if not is_address(url) or _says_more(url):
            what, fix = "is no address of a server", "write it like http://host:port/v1, no key"
            # Not the address itself, in which somebody may have written a key.
            raise InputError(Fault("charter guard serve", "--upstream", what, fix))

    def _connected(self) -> Client:
        if self._client is None:
            builder = (
                ClientBuilder()
                .timeout(timedelta(seconds=self._timeout))
                .follow_redirects(False)  # a key goes where it was sent, and nowhere else
                .user_agent("charter-guard")
            )
            if urlsplit(self._url).hostname in LOOPBACK:
                builder = builder.no_proxy()
            self._client = builder.build()
        return self._client

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        if self._client is not None:
            with contextlib.suppress(PyreqwestError):
                await self._client.close()
            self._client = None

    async def ask(self, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Any:
        """The JSON that the upstream answers with; `body`, JSON too, is posted where there is one.

        Raises:
            ChatError: no answer in time (504), none at all (502), or the upstream's own refusal
                with its status.
        """
        address, client = self._url + path, self._connected()
        try:
            made = client.get(address) if body is None else client.post(address)
            for name in _PASSED_ON:
                if value := headers.get(name):
                    if len(value) > _LONGEST_KEY:
                        raise ChatError(431, f"the header {name} is too long", "header_too_long")
                    made = made.header(name, value)
            if body is not None:
                made = made.header("content-type", "application/json")
                made = made.body_bytes(body)
            async with made.build_streamed() as response:
                status = response.status
                wait = response.get_header("retry-after")
                raw = await self._whole(response.body_reader)
        except RequestTimeoutError:
            what = f"the upstream gave no answer within {self._timeout:g} s"
            raise ChatError(504, what, "upstream_timeout", "api_error") from None
        except PyreqwestError as error:
            what = f"the upstream cannot be reached ({type(error).__name__})"
            raise ChatError(502, what, "upstream_down", "api_error") from None
        return _read(status, raw, wait)

    async def _whole(self, reader: Any) -> bytes:
        parts, size = [], 0
        while (part := await reader.read_chunk()) is not None:
            size += len(part)
            if size > self._most:
                what = f"the upstream's answer has more than {self._most} bytes"
                raise ChatError(502, what, "upstream_too_long", "api_error")
            parts.append(bytes(part))
        return b"".join(parts)


def _read(status: int, raw: bytes, wait: str | None) -> Any:
    try:
        body = orjson.loads(raw)
    except ValueError:
        body = None
    if status >= 400:
        raise _refused(status, body, wait)
    if status != 200 or body is None:
        what = "the upstream's answer cannot be read"
        raise ChatError(502, what, "upstream_unread", "api_error")
    return body


def _refused(status: int, body: Any, wait: str | None) -> ChatError:
    """The upstream's error, of which only the sentence and the names go on.

    Some servers put what the model wrote into an error's other fields.
    """
    body = body if isinstance(body, dict) else {}
    error = body.get("error", body)  # some vLLM write the sentence beside `object: error`
    error = error if isinstance(error, dict) else {"message": error}

    def text(name: str, other: str, most: int = 64) -> str:
        value = error.get(name)
        return value[:most] if isinstance(value, str) and value else other

    message = text("message", f"the upstream says {status}", _SHOWN)
    code, kind = text("code", "upstream_error"), text("type", "api_error")
    headers = {"retry-after": wait} if wait and wait.isascii() and wait.isprintable() else {}
    return ChatError(min(status, 599), message, code, kind, headers)


def _says_more(url: str) -> bool:
    """Whether an address has a login, a query or a fragment, in which a key may stand."""
    parts = urlsplit(url)
    return bool(parts.username or parts.password or parts.query or parts.fragment)
