"""One request and one reply of the embedded Hub, and what is refused before any handler."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, QueryParams

from charter.hub.embedded.errors import HubError, bad_request

if TYPE_CHECKING:
    from charter.hub.embedded.hub import Hub
    from charter.hub.embedded.users import Account

__all__ = ["Call", "FilePart", "Reply", "reply_error", "reply_json"]

_MOST_JSON_DEPTH: Final = 64


@dataclass(frozen=True)
class FilePart:
    """A part of a file on the disk, to be sent in chunks."""

    path: Path
    start: int
    length: int


@dataclass(frozen=True)
class Reply:
    """What goes back.

    Attributes:
        status: the HTTP status.
        body: bytes, or a part of a file.
        headers: with their names as they are sent.
    """

    status: int
    body: bytes | FilePart
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One request, its path already split and unquoted.

    Attributes:
        hub: the Hub that was asked.
        method: `GET`, `HEAD`, `POST`, `PUT` or `DELETE`.
        path: as it was sent, still quoted.
        parts: the path's segments; a quoted slash stays in its segment.
        query: the query string.
        headers: of the request.
        account: who asks, or None for anybody.
        base: `http://host:port` as the caller knows this server.
        body: a small body.
        file: a large body, in a file that is removed after the reply.
    """

    hub: Hub
    method: str
    path: str
    parts: tuple[str, ...]
    query: QueryParams
    headers: Headers
    account: Account | None
    base: str
    body: bytes = b""
    file: Path | None = None

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; an empty body is an empty object.

        Raises:
            HubError: 400.
        """
        if not self.body.strip():
            return {}
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            raise bad_request("the body is not JSON") from None
        if not isinstance(found, dict):
            raise bad_request("the body is not a JSON object")
        return found

    def form(self) -> dict[str, list[str]]:
        """The body as a form or as JSON: clients send either.

        Raises:
            HubError: 400.
        """
        if "json" in self.headers.get("content-type", ""):
            found = self.json()
            return {
                key: [str(one) for one in (value if isinstance(value, list) else [value])]
                for key, value in found.items()
            }
        try:
            return parse_qs(self.body.decode(), keep_blank_values=True, max_num_fields=100_000)
        except (UnicodeDecodeError, ValueError):
            raise bad_request("the body is not a form") from None

    def flag(self, name: str) -> bool:
        """Whether a query parameter is set to something true."""
        return self.query.get(name, "").lower() in {"1", "true", "yes"}

    def whole(self, name: str, default: int, most: int) -> int:
        """A query parameter as a number from 0 on.

        Raises:
            HubError: 400.
        """
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 12):
            raise bad_request(f'"{name}" is not a number')
        return min(int(text), most)

    def many(self, name: str) -> list[str]:
        """All values of a query parameter, however the client writes lists."""
        return [*self.query.getlist(name), *self.query.getlist(f"{name}[]")]

    def page(self, items: list[Any], size: int) -> tuple[list[Any], dict[str, str]]:
        """A page of a list, and the `Link` header to the next one."""
        start = self.whole("cursor", 0, 10**9)
        shown = items[start : start + size]
        if start + size >= len(items):
            return shown, {}
        query = QueryParams(
            [(key, value) for key, value in self.query.multi_items() if key != "cursor"]
            + [("cursor", str(start + size))]
        )
        return shown, {"Link": f'<{self.base}{self.path}?{query}>; rel="next"'}


def reply_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A reply in JSON."""
    content = json.dumps(value, allow_nan=False).encode()
    return Reply(status, content, {"Content-Type": "application/json", **(headers or {})})


def reply_error(error: HubError) -> Reply:
    """A refusal, in headers and JSON as the clients read them."""
    plain = "".join(char if " " <= char <= "~" else "?" for char in error.message)
    headers = {"X-Error-Message": plain[:1000], **error.headers}
    if error.code:
        headers["X-Error-Code"] = error.code
    return reply_json({"error": plain, **error.extra}, error.status, headers)
