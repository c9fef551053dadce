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
    known = {key: answer for key in keys if (answer := work.failed.get(key)) is not None}
    known |= work.store.get([key for key in keys if key not in known])
    missing = [i for i, key in enumerate(keys) if key not in known]
    fresh = _made(stage, [calls[i] for i in missing], [keys[i] for i in missing], work)
    made = dict(zip(missing, fresh, strict=True))
    answers = []
    for i, key in enumerate(keys):
        if i in made:
            work.made(stage, calls[i], key, made[i])
        else:
            work.known(stage, key, known[key])
        answers.append(made[i] if i in made else known[key])
    work.watch.look()
    return answers


def _made(
    stage: Stage, calls: Sequence[Call], keys: Sequence[bytes], work: Work
) -> Sequence[Answer]:
    if not calls:
        return []
    most = sum(bound(stage, call) for call in calls)
    if not work.budget.fits(most, len(calls)):
        raise work.budget.spent()
    work.budget.take(most, len(calls))
    answers = ask_batch(stage.llm, calls)
    entries = [Entry(k, stage.keys.model, a) for k, a in zip(keys, answers, strict=True)]
    before = work.store.put(entries)
    price = stage.price
    cost = 0.0
    if price is not None:
        read = sum(a.prompt_tokens for a in answers) * price.prompt
        cost = (read + sum(a.completion_tokens for a in answers) * price.completion) / 1e6
    work.budget.settle(most, cost, len(calls))
    return [before.get(key, answer) for key, answer in zip(keys, answers, strict=True)]
