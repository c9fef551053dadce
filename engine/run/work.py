"""What all walks of a run share: where answers are kept, and what is counted and allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import IO

from charter.errors import Fault, Interrupted
from charter.models.call import Answer, Call
from charter.models.desk import Store
from charter.rows import Row
from charter.run.failed import FailedCalls
from charter.run.journal import Journal
from charter.run.limits import Budget
from charter.run.stop import Stopper
from charter.run.tally import Stage, Tally
from charter.run.watch import Watch

__all__ = ["Emit", "Rows", "Work"]

Emit = Callable[[Row], None]
Rows = Iterable[Row]


@dataclass(slots=True)
class Work:
    """The shared parts of a run.

    Attributes:
        rows: how many rows there are.
        store: the call cache.
        tally: what was asked.
        failed: calls that failed for good.
        budget: what may still be asked.
        watch: tells how far it is.
        journal: the event log.
        stopper: takes Ctrl-C.
        used: gets the key of each answer used, 32 bytes after 32 bytes; None for a preview.
    """

    rows: int
    store: Store
    tally: Tally
    failed: FailedCalls
    budget: Budget
    watch: Watch
    journal: Journal
    stopper: Stopper
    used: IO[bytes] | None = None

    def look_up(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        """What is known of these keys: the cache's answers, and failures of this run before."""
        if not len(self.failed):
            return self.store.get(keys)
        known = {key: answer for key in keys if (answer := self.failed.get(key)) is not None}
        return known | self.store.get([key for key in keys if key not in known])

    def known(self, stage: Stage, key: bytes, answer: Answer) -> None:
        """Enter an answer that is not asked for again."""
        self.tally.known(stage, answer)
        if self.used is not None:
            self.used.write(key)

    def made(self, stage: Stage, call: Call, key: bytes, answer: Answer) -> float:
        """Enter an answer that was asked for; its cost."""
        if self.used is not None:
            self.used.write(key)
        if answer.ok and not answer.empty:
            if self.failed.pending:
                self.failed.settle(answer.seconds)
        else:
            self.failed.note(key, answer)
            what = answer.error or "the answer is empty"
            self.journal.event("call_failed", step=stage.name, prompt_id=call.prompt_id, error=what)
        return self.tally.made(stage, answer)

    def stopped(self) -> Interrupted:
        """The end of a run that was asked to stop."""
        made = self.tally.calls.total() - self.tally.cached.total()
        what = f"interrupted after {self.tally.rows} rows; {made} calls were made, all of them kept"
        return Interrupted(Fault("", "run", what, "run the same command again to go on"))
