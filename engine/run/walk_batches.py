"""Walk rows through one step of a model that answers in batches (the embedded one).

Batches are cut by step and input order alone, and are kept whole, so that a run from an empty
cache makes the same batches twice, and a resumed run the same as an uninterrupted one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from charter.models.ask import ask_batch
from charter.models.cache import Entry
from charter.models.call import Answer, Call
from charter.rows import Row
from charter.run.limits import bound
from charter.run.tally import Stage
from charter.run.work import Emit, Rows, Work

__all__ = ["BATCH", "walk_batches"]

# Calls a batch: beyond 32 the embedded model gains nothing on a CPU (measured, see README).
BATCH = 32


def walk_batches(stage: Stage, rows: Rows, emit: Emit, work: Work) -> None:
    """Give each row, with the step's answers in it, to `emit`, in order.

    Raises:
        Interrupted: a stop was asked for, or a limit is reached; whole batches were kept.
    """
    open_rows: deque[tuple[Row, int]] = deque()
    asked: deque[Call] = deque()
    answers: deque[Answer] = deque()

    def fold() -> None:
        while open_rows and open_rows[0][1] <= len(answers):
            row, count = open_rows.popleft()
            emit(stage.asking.fold(row, [answers.popleft() for _ in range(count)]))

    for row in rows:
        calls = stage.asking.calls(row)
        open_rows.append((row, len(calls)))
        asked.extend(calls)
        while len(asked) >= BATCH:
            answers.extend(_answered(stage, [asked.popleft() for _ in range(BATCH)], work))
        fold()
    if asked:
        answers.extend(_answered(stage, list(asked), work))
    fold()


def _answered(stage: Stage, calls: Sequence[Call], work: Work) -> list[Answer]:
    if work.stopper.asked:
        raise work.stopped()
    keys = [stage.keys.key(call) for call in calls]
    known = work.look_up(keys)
    missing = [i for i, key in enumerate(keys) if key not in known]
    made = dict(zip(missing, _made(stage, calls, keys, missing, work), strict=True))
    for i, key in enumerate(keys):
        if i not in made:
            work.known(stage, key, known[key])
    work.watch.look()
    return [made[i] if i in made else known[key] for i, key in enumerate(keys)]


def _made(
    stage: Stage, calls: Sequence[Call], keys: Sequence[bytes], missing: Sequence[int], work: Work
) -> Sequence[Answer]:
    """The answers of the calls that are to be made, as one batch."""
    if not missing:
        return []
    most = sum(bound(stage, calls[i]) for i in missing)
    if not work.budget.fits(most, len(missing)):
        raise work.budget.spent(len(missing))
    work.budget.take(most, len(missing))
    answers = ask_batch(stage.llm, [calls[i] for i in missing])
    entries = [Entry(keys[i], stage.keys.model, a) for i, a in zip(missing, answers, strict=True)]
    before = work.store.put(entries)
    kept = [before.get(entry.key, entry.answer) for entry in entries]
    cost = sum(
        work.made(stage, calls[i], keys[i], answer) for i, answer in zip(missing, kept, strict=True)
    )
    work.budget.settle(most, cost, len(missing))
    return kept
