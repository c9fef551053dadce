"""What runs on the nodes of a Ray cluster: workers that walk shards, and who holds the cache."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import orjson

from charter.errors import CharterError, Failure, Fault, InputError, Interrupted
from charter.models.cache import CallCache, Entry
from charter.models.call import Answer
from charter.recipes import Loaded
from charter.rows import Row
from charter.run.failed import FailedCalls
from charter.run.journal import Journal
from charter.run.limits import Budget, Limits
from charter.run.progress import Silent
from charter.run.runner import Runner
from charter.run.stages import stages_for
from charter.run.stop import Stopper
from charter.run.tally import Stage, Tally
from charter.run.watch import Watch
from charter.run.work import Work

__all__ = ["AGAIN", "LOOK_EVERY", "Holder", "Worker", "said"]

# Seconds between two looks for a stop.
LOOK_EVERY = 0.25
AGAIN = "check the cluster, then run the same command again: it goes on from here"


class Holder:
    """The actor that has the cache, and knows of a stop."""

    def __init__(self, path: str) -> None:
        self._cache = CallCache(Path(path))
        self._stops = 0

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        """The answers that are there."""
        return self._cache.get(keys)

    def put(self, entries: Sequence[tuple[bytes, str, Answer]]) -> dict[bytes, Answer]:
        """Keep answers."""
        return self._cache.put(Entry(*entry) for entry in entries)

    def stop(self) -> None:
        """Stop all workers: once to finish the calls in flight, twice at once."""
        self._stops += 1

    def stops(self) -> int:
        """How often that was said."""
        return self._stops


@dataclass(frozen=True, slots=True)
class _RemoteStore:
    """The cache as a worker sees it."""

    holder: Any
    near: ClassVar[bool] = False

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        """The answers that are there, by key."""
        found: dict[bytes, Answer] = _held_by(self.holder.get.remote(list(keys))) if keys else {}
        return found

    def put(self, entries: Sequence[Entry]) -> dict[bytes, Answer]:
        """Keep answers; gives those that were there before."""
        found: dict[bytes, Answer] = _held_by(self.holder.put.remote([tuple(e) for e in entries]))
        return found

    def stops(self) -> int:
        """How often a stop was asked for."""
        return int(_held_by(self.holder.stops.remote()))


def _held_by(asked: Any) -> Any:
    """What the holder says; a failure of its own is one here too."""
    import ray

    try:
        return ray.get(asked)
    except CharterError:
        raise
    except ray.exceptions.RayError as error:
        what = f"the process with the call cache is gone ({said(error)})"
        raise Failure(Fault("", "run.engine", what, AGAIN)) from None


class Worker:
    """Walks shards, one after the other; one a process, with the same lanes to the servers."""

    def __init__(self, loaded: Loaded, holder: Any, known_failures: dict[bytes, Answer]) -> None:
        from charter.models.build import build_llm
        from charter.pipeline import asking_steps

        recipe = loaded.recipe
        llms = {role: build_llm(recipe.role(role), recipe.run) for role in recipe.roles}
        steps = asking_steps(loaded)
        self._recipe = recipe
        self._asked = [(step, llms[step.role]) for step in steps]
        self._store = _RemoteStore(holder)
        self._failed = _Shared(known_failures)
        self._told = _Told()
        self._stages: list[Stage] = []
        self._broken = False
        self._id = uuid.uuid4().hex

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Walk the shards of a batch; Ray gives one, and takes columns of one."""
        results = [orjson.dumps(self._walk(bytes(rows))) for rows in batch["rows"]]
        return {"shard": list(batch["shard"]), "result": results}

    def _walk(self, shard: bytes) -> dict[str, Any]:
        found: dict[str, Any] = {"worker": self._id, "began": False}
        tally, used = Tally(), io.BytesIO()
        try:
            if not (self._broken or self._store.stops()):
                found["began"] = True
                found["rows"] = self._walked(orjson.loads(shard), tally, used)
        except Interrupted:
            pass  # whoever asked for it knows
        except CharterError as error:
            self._broken = True  # what ends the run would end the next shard likewise
            faults = [dataclasses.asdict(fault) for fault in error.faults]
            found |= {"faults": faults, "wrong_input": isinstance(error, InputError)}
        told = {"events": self._told.taken(), "used": used.getvalue().hex()}
        return found | told | {"tally": tally.as_json()} | self._failed.taken()

    def _walked(self, rows: list[Row], tally: Tally, used: IO[bytes]) -> list[Row]:
        run, told = self._recipe.run, self._told
        self._stages = self._stages or stages_for(self._asked, self._recipe.role, run, told.event)
        work = Work(
            len(rows),
            self._store,
            tally,
            self._failed,
            Budget(Limits()),
            Watch(self._stages, len(rows), tally, Silent(), Journal(None)),
            told,
            _Heeding(self._store),
            used,
        )
        out: list[Row] = []
        Runner(self._stages).walk(rows, out.append, work)
        return out


class _Told(Journal):
    """The events of a shard, for the driver's log."""

    def __init__(self) -> None:
        super().__init__(None)
        self._events: list[tuple[str, dict[str, Any]]] = []

    def event(self, name: str, **facts: Any) -> None:
        """Keep an event."""
        self._events.append((name, facts))

    def taken(self) -> list[tuple[str, dict[str, Any]]]:
        """The events since this was asked last."""
        taken, self._events = self._events, []
        return taken


class _Shared(FailedCalls):
    """Failed calls of a worker: those known before, and those to be told to the driver.

    The end of a shard is not the end of the run: a server that went down may be why its last calls
    failed, and a later shard shows it.
    """

    def __init__(self, known: dict[bytes, Answer]) -> None:
        super().__init__(None)
        self._known = dict(known)
        self._settled: list[tuple[bytes, Answer]] = []

    def settle(self, seconds: float | None = None) -> list[tuple[bytes, Answer]]:
        """Remember for the driver what failed."""
        if seconds is None:
            return []
        settled = super().settle(seconds)
        self._settled += settled
        return settled

    def taken(self) -> dict[str, list[Any]]:
        """What was settled since this was asked last, and what is open, as JSON values."""
        settled, self._settled = self._settled, []
        waits = [(key, answer) for _, key, answer in self._pending]
        return {
            name: [[key.hex(), dataclasses.asdict(answer)] for key, answer in calls]
            for name, calls in (("failed", settled), ("open", waits))
        }


class _Heeding(Stopper):
    """Stops a walk when the driver says so; signals are Ray's in its processes."""

    def __init__(self, store: _RemoteStore) -> None:
        super().__init__(_ignored)
        self._store = store
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._heed, daemon=True)

    def __enter__(self) -> Stopper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _heed(self) -> None:
        heeded = 0
        # Where the holder is gone, the walk finds out by itself; its loop may have just ended.
        with contextlib.suppress(CharterError, RuntimeError):
            while not self._ended.wait(LOOK_EVERY):
                while heeded < self._store.stops():
                    heeded += 1
                    self.now, self.asked = self.asked, True
                    for call in list(self._calls):
                        call()


def _ignored(line: str) -> None:
    """A worker has nobody to talk to."""


def said(error: Exception) -> str:
    """What an error of Ray's says, in a line: of a trace, what was raised first."""
    import ray

    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    if isinstance(error, ray.exceptions.RayTaskError):
        raised = re.search(r"^\s*([\w.]+(?:Error|Exception)\b.*)$", text, re.MULTILINE)
        text = raised[1] if raised else text
    return f"{type(error).__name__}: {' '.join(text.split())[:300]}"
