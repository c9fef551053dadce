"""The proxy: OpenAI's chat completions, every answer checked before a byte of it is sent on."""

from __future__ import annotations

import asyncio
import hmac
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, Literal, TypeVar

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message as Event

from charter.errors import CharterError
from charter.evals.guard import Checked, Finding, Outcome
from charter.evals.guard_chat import (
    ChatError,
    Choice,
    Conversation,
    error_body,
    read_choices,
    read_request,
)
from charter.evals.guard_check import Guard, Item
from charter.evals.guard_reply import HEADER, Action, Ruled, reply_body, reply_chunks
from charter.evals.guard_revise import Reviser
from charter.evals.guard_upstream import Upstream
from charter.rows import digest

__all__ = ["TOKEN_HEADER", "Policy", "guard_app"]

TOKEN_HEADER: Final = "x-charter-guard-token"  # noqa: S105 - the name of a header
T = TypeVar("T")
# Of an answer about which the judge could not be asked.
_UNCHECKED: Final = Checked((Finding("*", Outcome.FAILED),))
_ALLOWED: Final = {"/v1/chat/completions": "POST", "/v1/models": "GET, HEAD"}


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done, and within which limits.

    Attributes:
        on_violation: with an answer that breaks a principle.
        on_undecided: with one of which that is not known; `pass` also lets answers through that
            the judge could not be asked about.
        pass_unchecked: let tool calls, images and the like through, named but not read.
        refusal: the text instead of a refused answer.
        check_timeout: seconds for the check of an answer, revisions included.
        most_body: bytes of a request.
        most_at_once: requests in work; more are turned away.
        token: what clients must send in `x-charter-guard-token`; None asks for nothing.
        local: serve only who names this machine by an address or as `localhost`.
    """

    on_violation: Literal["refuse", "revise", "flag"] = "refuse"
    on_undecided: Literal["refuse", "pass"] = "refuse"
    pass_unchecked: bool = False
    refusal: str = "I can't give the answer I had to this: it broke one of the rules I keep."
    check_timeout: float = 60.0
    most_body: int = 8 * 2**20
    most_at_once: int = 256
    token: str | None = None
    local: bool = True


def guard_app(
    guard: Guard, upstream: Upstream, policy: Policy, reviser: Reviser | None = None
) -> Starlette:
    """The ASGI application.

    Args:
        guard: checks answers.
        upstream: gives them.
        policy: what is done.
        reviser: for `on_violation: revise`.

    Raises:
        ValueError: answers are to be revised, and nobody is there to do it.
    """
    if policy.on_violation == "revise" and reviser is None:
        raise ValueError("revise needs a reviser")
    proxy = _Proxy(guard, upstream, policy, reviser)
    routes = [
        Route("/v1/chat/completions", proxy.chat, methods=["POST"]),
        Route("/v1/models", proxy.models, methods=["GET"]),
    ]
    app = Starlette(routes=routes, exception_handlers={404: _missing, 405: _not_allowed})
    app.router.redirect_slashes = False  # a redirect would go to whatever host the client named
    return app


async def _missing(request: Request, error: Exception) -> Response:
    return _error(ChatError(404, "the guard has no such endpoint", "unknown_url"))


async def _not_allowed(request: Request, error: Exception) -> Response:
    headers = {"allow": _ALLOWED.get(request.url.path, "")}
    return _error(ChatError(405, "not by this method", "bad_method", headers=headers))


class _Proxy:
    """The two endpoints."""

    def __init__(
        self, guard: Guard, upstream: Upstream, policy: Policy, reviser: Reviser | None
    ) -> None:
        self._guard = guard
        self._upstream = upstream
        self._policy = policy
        self._reviser = reviser
        self._in_work = 0

    async def models(self, request: Request) -> Response:
        """The upstream's models, as it names them."""

        async def work() -> Response:
            found = await self._upstream.ask("/models", request.headers)
            return _json(found)

        return await self._answered(request, work)

    async def chat(self, request: Request) -> Response:
        """One chat completion, whole or as events."""

        async def work() -> Response:
            body = await self._body(request)
            asked = read_request(body)
            if asked.unchecked and not self._policy.pass_unchecked:
                raise _unchecked("request", asked.unchecked)
            return await _unless_gone(request, self._completed(request, body, asked))

        return await self._answered(request, work)

    async def _answered(
        self, request: Request, work: Callable[[], Awaitable[Response]]
    ) -> Response:
        """What work says, or why not; whatever goes wrong, nothing unchecked is sent."""
        if self._in_work >= self._policy.most_at_once:
            busy = {"retry-after": "1"}
            return _error(ChatError(503, "too many requests at once", "busy", "api_error", busy))
        self._in_work += 1
        try:
            self._admit(request)
            return await work()
        except ChatError as error:
            return _error(error)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        except asyncio.CancelledError:
            # Only the server's end cancels a request that is still in work.
            what = "the guard was ended before the answer was checked"
            return _error(ChatError(503, what, "guard_ended", "api_error"))
        except Exception as error:  # noqa: BLE001 - told, and closed: no answer goes out
            # By its name alone: a message may quote what was asked.
            print(f"charter guard: {type(error).__name__}", file=sys.stderr)  # noqa: T201
            what = "the guard failed, so the answer was held back"
            return _error(ChatError(500, what, "guard_failed", "api_error"))
        finally:
            self._in_work -= 1

    def _admit(self, request: Request) -> None:
        host = request.headers.get("host", "127.0.0.1")
        if self._policy.local and not _names_machine(host):
            raise ChatError(421, "this server is for its own machine", "wrong_host")
        if self._policy.token is None:
            return
        sent = request.headers.get(TOKEN_HEADER, "").encode("utf-8", "replace")
        if not hmac.compare_digest(sent, self._policy.token.encode()):
            what = f"the header {TOKEN_HEADER} has not the guard's token"
            raise ChatError(401, what, "guard_token", "authentication_error")

    async def _body(self, request: Request) -> Any:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > self._policy.most_body:
                what = f"the body has more than {self._policy.most_body} bytes"
                raise ChatError(413, what, "body_too_long", headers={"connection": "close"})
            parts.append(part)
        try:
            return orjson.loads(b"".join(parts))
        except ValueError:
            raise ChatError(400, "the body is no JSON", "bad_body") from None

    async def _completed(
        self, request: Request, body: dict[str, Any], asked: Conversation
    ) -> Response:
        # Encoded anew, so that the upstream reads what was read here.
        asks = {k: v for k, v in body.items() if k not in ("stream", "stream_options")}
        try:
            sent = orjson.dumps(asks)
        except TypeError:
            raise ChatError(400, "the body is nested too deep", "bad_body") from None
        answer = await self._upstream.ask("/chat/completions", request.headers, sent)
        choices = read_choices(answer)
        for choice in choices:
            if choice.unchecked and not self._policy.pass_unchecked:
                raise _unchecked("answer", choice.unchecked)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._ruled(asked, choice)) for choice in choices]
        except BaseExceptionGroup as failed:
            # One that cannot be checked holds all back; the checks of the others have been ended.
            raise failed.exceptions[0] from None
        ruled = [task.result() for task in tasks]
        whole = reply_body(answer, ruled, asked.unchecked)
        headers = {HEADER: whole["charter_guard"]["action"]}
        if not body.get("stream"):
            return _json(whole, headers)
        options = body.get("stream_options")
        with_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        headers["cache-control"] = "no-cache"
        # Made whole, so that what cannot be made is an error and no answer that breaks off.
        chunks = b"".join(reply_chunks(whole, with_usage))
        return Response(chunks, media_type="text/event-stream", headers=headers)

    async def _ruled(self, asked: Conversation, choice: Choice) -> Ruled:
        """What is done with one choice.

        Raises:
            ChatError: it could not be checked, 503.
        """
        if not choice.text.strip():
            return Ruled(choice, Action.PASSED, None)
        name = digest("guard", [dict(m) for m in asked.messages], choice.text, choice.index)[:16]
        item = Item(name, asked.messages, choice.text)
        until = asyncio.get_running_loop().time() + self._policy.check_timeout
        checked = await self._within(until, self._guard.check(item)) or _UNCHECKED
        if not checked.violates:
            if self._fine(checked):
                return Ruled(choice, Action.PASSED if checked.ok else Action.FLAGGED, checked)
            return Ruled(choice, Action.REFUSED, checked, self._policy.refusal)
        if self._policy.on_violation == "flag":
            return Ruled(choice, Action.FLAGGED, checked)
        if self._reviser is None or self._policy.on_violation == "refuse":
            return Ruled(choice, Action.REFUSED, checked, self._policy.refusal)
        # Whatever becomes of the revision, the answer itself is known to be bad.
        found = await self._within(until, self._reviser.revise(item, checked))
        if found is not None and not found[1].violates and self._fine(found[1]):
            return Ruled(choice, Action.REVISED, checked, *found)
        after = None if found is None else found[1]
        return Ruled(choice, Action.REFUSED, checked, self._policy.refusal, after)

    async def _within(self, until: float, work: Awaitable[T]) -> T | None:
        """What work gives; None where it takes too long, or a model fails."""
        try:
            async with asyncio.timeout_at(until):
                return await work
        except TimeoutError:
            print("charter guard: a check took too long", file=sys.stderr)  # noqa: T201
        except CharterError as error:
            # To whoever runs the guard; a fault may name the judge's address.
            print(f"charter guard: {error}", file=sys.stderr)  # noqa: T201
        return None

    def _fine(self, checked: Checked) -> bool:
        """Whether an answer without a violation may go out.

        Raises:
            ChatError: the judge could not be asked, and that is not to be passed over.
        """
        if self._policy.on_undecided == "pass" or checked.ok:
            return True
        if checked.failed:
            what = "the judge gave no verdict, so the answer was held back"
            raise ChatError(503, what, "judge_failed", "api_error")
        return False


def _unchecked(where: str, what: Sequence[str]) -> ChatError:
    shown = ", ".join(what[:5]) + (" ..." if len(what) > 5 else "")
    said = f"the {where} holds what the guard cannot read ({shown})"
    return ChatError(422, said, "unchecked_content")


async def _unless_gone(request: Request, work: Awaitable[Response]) -> Response:
    """The result of work, which is cancelled when the client goes away.

    Raises:
        ClientDisconnect: it did.
    """

    async def gone() -> None:
        event: Event = {"type": ""}
        while event["type"] != "http.disconnect":
            event = await request.receive()

    task, left = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for each in (task, left):
            each.cancel()
        await asyncio.gather(task, left, return_exceptions=True)


def _names_machine(host: str) -> bool:
    name, _, port = host.rpartition(":")
    name = name if port.isdecimal() and name else host
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return name.lower() == "localhost"
    return True


def _json(value: Any, headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    data = orjson.dumps(value)
    return Response(data, status, dict(headers or {}), media_type="application/json")


def _error(error: ChatError) -> Response:
    return _json(error_body(error), error.headers, error.status)
