"""A lane: all calls to one model server, how many at once, how often, and when to give up.

One lane a server and model, over all steps and rows. It owns what no single call can know: the
limit of calls in flight, which follows what the server can take; the tries of calls that failed;
and whether the server is there at all.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from charter.errors import Failure, Fault
from charter.models.call import Answer, Call

__all__ = ["EMPTY_TRIES", "Lane", "LaneCounts", "Patience", "TransientError"]

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
LONGEST_RETRY_AFTER = 300.0
# So many tries in a row failed: nobody gets through until one try did. Failures that may be a
# call's own (a 500, a timeout) count only when four windows of calls saw nothing else: the last
# rows of a run may all be such that no server can answer them.
BREAKER = 16
BREAKER_WINDOWS = 4
# Tries again that a run may make before its budget counts.
FREE_TRIES = 200
# An answer of no text may be an accident of sampling; a third time it is what the model says.
EMPTY_TRIES = 2

Tell = Callable[..., None]
_Pass = Literal["call", "probe"]
_CALL: _Pass = "call"
_PROBE: _Pass = "probe"


class TransientError(Exception):
    """A failed try that may succeed when made again.

    Attributes:
        wait: seconds that the server asks to wait (`Retry-After`); None where it asks nothing.
        throttled: the server has more calls than it takes (429).
        down: it can only be the server's fault (no connection, 429, 503), never the call's.
    """

    def __init__(
        self, what: str, wait: float | None = None, throttled: bool = False, down: bool = False
    ) -> None:
        super().__init__(what)
        self.wait = None if wait is None else min(max(wait, 0.0), LONGEST_RETRY_AFTER)
        self.throttled = throttled
        self.down = down or throttled


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a lane goes on with a server that fails.

    Attributes:
        retries: tries again a call; as many probes are sent to a server that is down.
        budget: tries again, as a share of the calls answered, that a run may spend in all.
    """

    retries: int = 5
    budget: float = 1.0


@dataclass(slots=True)
class LaneCounts:
    """What went over a lane.

    Attributes:
        tries: requests made.
        again: those of them that were a second or later try.
    """

    tries: int = 0
    again: int = 0


class Lane:
    """The way to one server.

    The limit of calls in flight starts at `ceiling`. After each window of as many answers as the
    limit, it shrinks by half the share of them that the server turned away (429), and grows by a
    64th of the ceiling otherwise: additive increase, multiplicative decrease, in proportion to
    what was seen (Alizadeh et al. 2010, DCTCP, section 3.3), so that a few stray refusals do not
    halve it.

    When `BREAKER` tries in a row have failed by the server's fault, the lane closes: one probe at
    a time goes out, after exponential waits, and the first that is answered opens it again.
    Failures while it is closed are the server's, and cost no call a try.

    Args:
        name: of the server, for messages.
        ceiling: most calls in flight.
        patience: see there.
        tell: is told of changes: `tell(event, **facts)`.
    """

    def __init__(
        self, name: str, ceiling: int, patience: Patience, tell: Tell | None = None
    ) -> None:
        self.name = name
        self.ceiling = ceiling
        self.counts = LaneCounts()
        self._patience = patience
        self._tell = tell or _untold
        self._limit = float(ceiling)
        self._places = ceiling
        self._running = 0
        self._waiting: deque[asyncio.Future[_Pass]] = deque()
        self._stopping = False
        self._dead: Failure | None = None
        # of the present window of answers
        self._seen = self._turned_away = 0
        # of the breaker
        self._failed_in_a_row = 0
        self._answered = 0
        self._probes = 0
        self._closed = False
        self._held_until = 0.0
        self._hold = False

    @property
    def running(self) -> int:
        """Calls in flight."""
        return self._running

    @property
    def waiting(self) -> bool:
        """Whether calls wait for a place."""
        return bool(self._waiting)

    @property
    def limit(self) -> int:
        """How many may be in flight now."""
        return self._places

    def open(self) -> None:
        """Let calls out, in the running loop; a lane that was stopped is as good as new."""
        self._stopping = self._closed = self._hold = False
        self._running = self._probes = self._failed_in_a_row = 0
        self._waiting.clear()

    def stop(self) -> None:
        """Let nothing new out; calls in flight come back."""
        self._stopping = True
        self._release_all()

    async def ask(
        self,
        attempt: Callable[[Call], Awaitable[Answer]],
        call: Call,
        keep: Callable[[Answer], Awaitable[Answer]] | None = None,
    ) -> Answer:
        """Make a call until it is answered or has failed for good.

        Args:
            attempt: makes one try; raises `TransientError` when it may be made again.
            call: what is asked.
            keep: is given the final answer while the call still counts as in flight, so that no
                more calls than the limit are ever unaccounted for; gives the answer that counts.

        Raises:
            Failure: the server is down, or more tries fail than the budget allows.
            asyncio.CancelledError: the lane was stopped before the call went out.
        """
        tries = failures = empties = 0
        paid = Answer()
        while True:
            probe = self._walk_in() or await self._enter(again=tries > 0)
            self.counts.tries += 1
            self.counts.again += tries > 0
            tries += 1
            wait = None
            try:
                answer = await attempt(call)
                self._succeeded()
                answer = _with_tokens(answer, paid)
                if not self._worth_another(answer, empties, failures):
                    return answer if keep is None else await keep(answer)
                empties += 1
                paid, problem = answer, "the answer is empty"
            except TransientError as error:
                self._failed(error, probe is _PROBE)
                problem, wait = str(error), error.wait
            finally:
                self._leave()
            # What fails while the lane is closed is the server's doing, not the call's.
            failures += not self._closed
            if failures > self._patience.retries:
                answer = _with_tokens(Answer(error=f"{problem} (after {tries} tries)"), paid)
                return answer if keep is None else await keep(answer)
            self._spend(problem)
            if not self._closed:
                await asyncio.sleep(_pause(failures - 1, wait))

    def _worth_another(self, answer: Answer, empties: int, failures: int) -> bool:
        if not answer.ok or not answer.empty or answer.finish_reason == "content_filter":
            return False
        # With no try left the empty answer is what the model said, whatever failed before it.
        return empties < EMPTY_TRIES and failures < self._patience.retries

    # In and out

    def _walk_in(self) -> _Pass | None:
        """A place without waiting, where there is one."""
        if self._dead is not None:
            raise self._dead
        if self._stopping:
            raise asyncio.CancelledError
        if self._closed or self._waiting or self._running >= self._places:
            return None
        if self._held_until and time.monotonic() < self._held_until:
            return None
        self._running += 1
        return _CALL

    async def _enter(self, again: bool) -> _Pass:
        """Wait for a place."""
        place: asyncio.Future[_Pass] = asyncio.get_running_loop().create_future()
        # Who tries again goes first, so that rows end; probes are taken from the other end, where
        # no call stands that can never succeed.
        if again:
            self._waiting.appendleft(place)
        else:
            self._waiting.append(place)
        self._admit()
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._leave()  # it had been let in
            raise

    def _leave(self) -> None:
        self._running -= 1
        if self._waiting:
            self._admit()

    def _admit(self) -> None:
        if self._closed:
            return
        wait = self._held_until - time.monotonic()
        if wait <= 0:
            while self._waiting and self._running < self._places:
                self._let_one_in(_CALL)
        elif self._waiting and not self._hold:
            self._hold = True
            asyncio.get_running_loop().call_later(wait, self._held)

    def _held(self) -> None:
        self._hold = False
        self._admit()

    def _let_one_in(self, as_what: _Pass) -> bool:
        take = self._waiting.pop if as_what is _PROBE else self._waiting.popleft
        while self._waiting:
            place = take()
            if not place.done():
                self._running += 1
                place.set_result(as_what)
                return True
        return False

    def _release_all(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if place.done():
                continue
            if self._dead is not None:
                place.set_exception(self._dead)
            else:
                place.cancel()

    # What the server says

    def _succeeded(self) -> None:
        self._answered += 1
        self._failed_in_a_row = 0
        if self._closed:
            self._closed = False
            self._probes = 0
            self._tell("server_back", lane=self.name)
            self._admit()
        self._window(turned_away=False)

    def _failed(self, error: TransientError, probe: bool) -> None:
        self._failed_in_a_row += 1
        if error.throttled:
            self._window(turned_away=True)
            # Most calls are turned away: to send more before the time is to be turned away again.
            if error.wait and self._turned_away * 2 > self._seen:
                self._held_until = max(self._held_until, time.monotonic() + error.wait)
        if self._closed:
            if probe:
                self._plan_probe(str(error), error.wait)
        elif self._failed_in_a_row >= self._breaks_at(error):
            self._closed = True
            self._probes = 0
            self._tell("server_gone", lane=self.name, error=str(error))
            self._plan_probe(str(error), error.wait)

    def _window(self, turned_away: bool) -> None:
        self._seen += 1
        self._turned_away += turned_away
        if self._seen < self._places:
            return
        before = self._places
        share = self._turned_away / self._seen
        self._limit = min(float(self.ceiling), self._limit + max(1.0, self.ceiling / 64))
        self._limit = max(1.0, self._limit * (1 - share / 2))
        self._places = int(self._limit)
        self._seen = self._turned_away = 0
        if self._places < before:
            self._tell("limit", lane=self.name, limit=self._places)

    # The breaker

    def _breaks_at(self, error: TransientError) -> int:
        return BREAKER if error.down else BREAKER + BREAKER_WINDOWS * self.ceiling

    def _plan_probe(self, problem: str, wait: float | None) -> None:
        if self._probes >= self._patience.retries:
            what = f"{self._failed_in_a_row} tries in a row failed (the last: {problem})"
            fix = "check the server, then run the same command again: it goes on from here"
            self._die(Failure(Fault(self.name, "", what, fix)))
            return
        pause = _pause(self._probes, wait)
        self._probes += 1
        asyncio.get_running_loop().call_later(pause, self._probe)

    def _probe(self) -> None:
        """Let one call through a closed lane."""
        if not self._closed or self._dead is not None or self._stopping:
            return
        if not self._let_one_in(_PROBE):
            # Every call is on its way or asleep between two tries; one of them is here soon.
            asyncio.get_running_loop().call_later(0.05, self._probe)

    def _spend(self, problem: str) -> None:
        again = self.counts.again + 1
        if again > FREE_TRIES + self._patience.budget * self._answered:
            what = f"{again} tries failed beside {self._answered} answers (the last: {problem})"
            fix = "check the server, or set run.retry_budget; the same command goes on from here"
            self._die(Failure(Fault(self.name, "", what, fix)))
        if self._dead is not None:
            raise self._dead

    def _die(self, failure: Failure) -> None:
        self._dead = failure
        self._tell("server_down", lane=self.name, error=str(failure))
        self._release_all()


def _with_tokens(answer: Answer, paid: Answer) -> Answer:
    """The answer of a call, with the tokens of its empty ones before, which cost as much."""
    if not (paid.prompt_tokens or paid.completion_tokens):
        return answer
    read = answer.prompt_tokens + paid.prompt_tokens
    written = answer.completion_tokens + paid.completion_tokens
    return replace(answer, prompt_tokens=read, completion_tokens=written)


def _untold(event: str, **facts: Any) -> None:
    """Nobody is told."""


def _pause(attempt: int, asked: float | None) -> float:
    if asked is not None:
        # Jitter here as well: all who were told the same time would come back at once.
        return asked * random.uniform(1.0, 1.1)  # noqa: S311
    wait: float = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt)
    return wait * random.uniform(0.5, 1.0)  # noqa: S311 - it changes no row
