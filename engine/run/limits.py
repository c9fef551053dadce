"""The limits that a user sets to a run: calls, money, and the share of rows that may fail."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from charter.errors import Failure, Fault, Interrupted
from charter.models.call import Call
from charter.recipes.schema import ModelSettings
from charter.rows import Row
from charter.run.tally import Stage

__all__ = ["Budget", "Limits", "RejectRate", "bound"]

# Rows before the share of failed ones is taken for the run's.
_EARLY = 200
_SPREADS = 4  # standard deviations: the share is looked at after every row
# Fewer than text has: a bound is on the safe side. Of bytes, as a letter of Chinese is a token.
_BYTES_A_TOKEN = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use.

    Attributes:
        max_calls: calls that are made, not taken from the cache; None is no limit.
        max_cost: money, by the prices of the recipe.
        max_reject_rate: share of rows that may lose a call or more.
    """

    max_calls: int | None = None
    max_cost: float | None = None
    max_reject_rate: float = 0.2


def bound(model: Stage | ModelSettings, call: Call) -> float:
    """The most that one try of a call is taken to cost."""
    if model.price is None:
        return 0.0
    sizes = (len(m["content"].encode(errors="replace")) for m in call.messages)
    read = sum(size // _BYTES_A_TOKEN + 8 for size in sizes)
    written = 1 if call.labels else model.max_tokens
    return model.price.of(read, written)


class Budget:
    """Admits calls while they fit under the limits.

    Calls in flight count with the most they may cost, so a run ends under its limit, not over it.

    Attributes:
        limits: what is allowed.
        open: calls that were admitted and have not come back.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._calls = 0
        self._cost = 0.0
        self._reserved = 0.0
        self.open = 0
        self._settled: asyncio.Event | None = None

    @property
    def limited(self) -> bool:
        """Whether there is anything to count."""
        return self.limits.max_calls is not None or self.limits.max_cost is not None

    async def admit(self, most: float) -> None:
        """Wait until a call fits.

        Raises:
            Interrupted: it will never fit.
        """
        while not self.fits(most):
            if not self.open or self._calls_spent(1):
                raise self.spent()
            self._settled = self._settled or asyncio.Event()
            self._settled.clear()
            await self._settled.wait()
        self.take(most)

    def fits(self, most: float, calls: int = 1) -> bool:
        """Whether calls that cost `most` together may go out."""
        limit = self.limits.max_cost
        over = limit is not None and self._cost + self._reserved + most > limit
        return not over and not self._calls_spent(calls)

    def take(self, most: float, calls: int = 1) -> None:
        """Count calls as in flight."""
        self._calls += calls
        self._reserved += most
        self.open += calls

    def settle(self, most: float, cost: float, calls: int = 1) -> None:
        """Calls have come back."""
        self._reserved -= most
        self._cost += cost
        self.open -= calls
        if self._settled is not None:
            self._settled.set()

    def _calls_spent(self, calls: int) -> bool:
        return self.limits.max_calls is not None and self._calls + calls > self.limits.max_calls

    def spent(self, calls: int = 1) -> Interrupted:
        """The end of a run for which so many calls more, made together, are too many."""
        if self._calls_spent(calls):
            most = self.limits.max_calls
            what = f"stopped: {self._calls} calls were made, and max-calls allows {most}"
            what += f"; the next {calls} are one batch" * (calls > 1)
        else:
            what = f"stopped: {self._cost:.4f} spent, and the next call may go over max-cost"
        fix = "every answer is kept: the same command with a higher limit goes on from here"
        return Interrupted(Fault("", "run", what, fix))


class RejectRate:
    """Ends a run of which too many rows fail."""

    def __init__(self, most: float, rows: int) -> None:
        self._most = most
        self._rows = rows
        self._seen = self._lost = 0

    def see(self, row: Row) -> None:
        """Count a walked row.

        Raises:
            Failure: more rows failed than may.
        """
        self._seen += 1
        self._lost += bool(row["faults"]) or any(vote["error"] for vote in row["votes"])
        certain = self._lost > self._most * self._rows
        spread = math.sqrt(self._seen * self._most * (1 - self._most))
        likely = self._seen >= _EARLY and self._lost > self._most * self._seen + _SPREADS * spread
        if certain or likely:
            raise self._failure(row)

    def _failure(self, row: Row) -> Failure:
        errors = [vote["error"] for vote in row["votes"] if vote["error"]]
        faults = [f"{f['reason']} at {f['stage']}, {f['detail']}" for f in row["faults"]]
        last = (faults + errors + ["?"])[0]
        what = (
            f"{self._lost} of {self._seen} rows failed, more than the {self._most:.0%} of "
            f"max-reject-rate (the last: {last})"
        )
        fix = "mend the cause and run with --retry-rejects, or allow more by --max-reject-rate"
        return Failure(Fault("", "run", what, fix))
