"""What a browser may do with the server's pages: text of rows is text, whatever it says.

Argilla's UI renders the text of records as markdown and cleans it; these headers hold even where
that fails. No picture, font, style, script or call goes to another address, no script runs that
does not stand in the UI's own files, and no other page can put this one in a frame.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

__all__ = ["Protected", "content_policy"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def content_policy(pages: list[Path]) -> str:
    """The Content-Security-Policy for pages whose few inline scripts are named by their hashes.

    Args:
        pages: the UI's HTML files, as they are served.
    """
    scripts = {
        base64.b64encode(hashlib.sha256(script).digest()).decode()
        for page in pages
        for script in _INLINE_SCRIPT.findall(page.read_bytes())
    }
    allowed = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in sorted(scripts))])
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src {allowed}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


class Protected:
    """An ASGI application with the headers on each of its answers.

    Args:
        app: the application.
        policy: as `content_policy` makes it.
    """

    def __init__(self, app: App, policy: str) -> None:
        self._app = app
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-frame-options", b"DENY"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass the call on; add the headers to the answer."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, with_headers)
