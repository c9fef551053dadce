"""The ASGI application: a request in, a handler in a thread, a reply out in chunks."""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
from asyncio import CancelledError
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from charter.hub.embedded.api_lfs import allowed_upload
from charter.hub.embedded.blobs import Incoming
from charter.hub.embedded.errors import HubError, bad_request, unauthorized
from charter.hub.embedded.http import Call, FilePart, Reply, reply_error, reply_json
from charter.hub.embedded.hub import Hub
from charter.hub.embedded.routes import Route, find_route
from charter.hub.embedded.users import Account

__all__ = ["HubApp"]

_SMALL: Final = 32 * 2**20
_LARGEST: Final = 8 * 2**30
_DRAINED: Final = 256 * 2**20
_CHUNK: Final = 2**20
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
_log: Final = logging.getLogger(__name__)


class HubApp:
    """The embedded Hub as an ASGI application.

    Args:
        hub: the store and the users.
        local: serve only those who name this machine by an address or as `localhost`, so that
            no web page can have its own name lead here and read along.
    """

    def __init__(self, hub: Hub, *, local: bool = False) -> None:
        self._hub = hub
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Nothing that a caller sends may end in a 500."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        stream = _Body(request)
        try:
            reply = await self._answer(request, stream)
        except HubError as error:
            reply = reply_error(error)
        except ClientDisconnect:
            return
        except OSError as error:
            reply = _failed(error)
        except CancelledError:  # the server ends, and has waited for this request long enough
            ending = reply_json({"error": "the Hub is stopping"}, 503)
            await _response(ending, head=False)(scope, receive, send)
            return
        if not 200 <= reply.status < 400:
            await stream.drain()
        head = request.method == "HEAD"
        with suppress(CancelledError):
            await _response(reply, head=head)(scope, receive, send)

    async def _answer(self, request: Request, stream: _Body) -> Reply:
        if request.method not in _METHODS:
            raise HubError(405, "Method not allowed")
        if self._local and not _names_machine(request.headers.get("host", "127.0.0.1")):
            raise HubError(421, "this server is for its own machine")
        parts = _split(request.scope)
        route = find_route(request.method, parts)
        account = await run_sync(self._account, request)
        call = Call(
            hub=self._hub,
            method=request.method,
            path=request.scope["raw_path"].decode("ascii", "replace"),
            parts=parts,
            query=request.query_params,
            headers=request.headers,
            account=account,
            base=_base(request),
        )
        if route.body == "blob":
            return await _take_blob(call, stream)
        if route.body == "file":
            return await _with_file(call, route, stream)
        body = await stream.small()
        return await run_sync(partial(route.handler, _with(call, body=body)))

    def _account(self, request: Request) -> Account | None:
        sent = request.headers.get("authorization")
        if sent is None or request.url.path.startswith(("/lfs-objects/", "/xet/")):
            return None
        scheme, _, value = sent.partition(" ")
        value = value.strip()
        if scheme.lower() == "basic":
            # git and git-lfs send the token as a password.
            try:
                value = base64.b64decode(value).decode().partition(":")[2]
            except (binascii.Error, ValueError):
                raise unauthorized() from None
        elif scheme.lower() != "bearer":
            raise unauthorized()
        return self._hub.accounts.find(value)


class _Body:
    """A request's body, read once and in chunks."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._parts: AsyncIterator[bytes] | None = None
        self._over = False

    async def chunks(self, most: int) -> AsyncIterator[list[bytes]]:
        """About a megabyte at a time, so that threads are not called for each packet."""
        if self._parts is None:
            self._parts = self._request.stream()
        held: list[bytes] = []
        size = total = 0
        async for part in self._parts:
            held.append(part)
            size += len(part)
            total += len(part)
            if total > most:
                raise HubError(413, "the body is too large")
            if size >= _CHUNK:
                yield held
                held, size = [], 0
        self._over = True
        if held:
            yield held

    async def small(self) -> bytes:
        """The whole body in memory."""
        return b"".join([part async for held in self.chunks(_SMALL) for part in held])

    async def drain(self) -> None:
        """Read on before a refusal: many clients read no reply while they write."""
        if self._over or (self._parts is None and not _has_body(self._request)):
            return
        try:
            async for _ in self.chunks(_DRAINED):
                pass
        except (HubError, ClientDisconnect, RuntimeError):
            return


def _has_body(request: Request) -> bool:
    headers = request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _split(scope: Scope) -> tuple[str, ...]:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    try:
        found = tuple(unquote_to_bytes(part).decode() for part in raw.strip(b"/").split(b"/"))
    except UnicodeDecodeError:
        raise bad_request("the path is not UTF-8") from None
    return found


def _names_machine(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return name == "localhost"
    return True


def _base(request: Request) -> str:
    host = request.headers.get("host", "")
    fine = host and len(host) < 256 and all(char.isalnum() or char in ".-:[]_" for char in host)
    if not fine:
        server = request.scope.get("server") or ("127.0.0.1", 80)
        host = f"{server[0]}:{server[1]}"
    return f"{request.scope.get('scheme', 'http')}://{host}"


def _with(call: Call, **changes: Any) -> Call:
    from dataclasses import replace

    return replace(call, **changes)


async def _with_file(call: Call, route: Route, stream: _Body) -> Reply:
    """Put the body into a file, so that memory does not grow with it."""
    path = call.hub.store.scratch / f"body-{secrets.token_hex(12)}"
    try:
        with path.open("xb") as file:
            async for held in stream.chunks(_LARGEST):
                await run_sync(file.writelines, held)
        return await run_sync(partial(route.handler, _with(call, file=path)))
    finally:
        path.unlink(missing_ok=True)


async def _take_blob(call: Call, stream: _Body) -> Reply:
    repo, sha256, size = await run_sync(allowed_upload, call)
    store = call.hub.store
    incoming = await run_sync(Incoming, store.scratch, secrets.token_hex(12))
    try:
        async for held in stream.chunks(size):
            await run_sync(incoming.write, held)
        await run_sync(incoming.keep, store.path(repo), sha256, size)
    finally:
        incoming.discard()  # in no thread: a request that is cancelled waits for none
    return Reply(200, b"", {"ETag": f'"{sha256}"'})


def _failed(error: OSError) -> Reply:
    """A disk that is full, or a repo that went away meanwhile."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return reply_json({"error": "the disk of the Hub is full"}, 507)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        gone = HubError(404, "Repository not found", code="RepoNotFound")
        return reply_error(gone)
    if error.errno == errno.ENAMETOOLONG:
        return reply_error(bad_request("a name is too long"))
    _log.error("the store failed: %s", error.strerror)
    return reply_json({"error": "the store of the Hub failed"}, 503)


def _response(reply: Reply, *, head: bool) -> Response:
    headers = {**reply.headers, "X-Request-Id": secrets.token_hex(8)}
    body = reply.body
    length = body.length if isinstance(body, FilePart) else len(body)
    if reply.status != 304:
        headers["Content-Length"] = str(length)
    if head or reply.status == 304:
        return Response(b"", reply.status, headers)
    if isinstance(body, FilePart):
        return StreamingResponse(_read(body), reply.status, headers)
    return Response(body, reply.status, headers)


async def _read(part: FilePart) -> AsyncIterator[bytes]:
    file = await run_sync(part.path.open, "rb")
    try:
        await run_sync(file.seek, part.start)
        left = part.length
        while left > 0:
            chunk = await run_sync(file.read, min(_CHUNK, left))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
    finally:
        file.close()
