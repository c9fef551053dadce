"""Walk rows on a Ray cluster: the same steps and the same runner, a shard of rows at a time.

Ray Data gives shards to workers and gives a dead node's shards to the living. The call cache
stays where the command was typed, in an actor that all workers ask: a file on a network disk
cannot be locked safely, a database server would be one more thing to run, and a look-up by the
network costs a thousandth of a call. So a shard that is walked a second time pays again only for
what was in flight when its node died.
"""

from __future__ import annotations

import dataclasses
import heapq
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import orjson

from charter.errors import CharterError, Failure, Fault, InputError
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
from charter.run.tally import Tally
from charter.run.watch import Watch
from charter.run.work import Emit, Rows, Work

__all__ = ["walk_shards"]


class _Holder:
    """The actor that has the cache."""

    def __init__(self, path: str) -> None:
        self._cache = CallCache(Path(path))

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        """The answers that are there."""
        return self._cache.get(keys)

    def put(self, entries: Sequence[tuple[bytes, str, Answer]]) -> dict[bytes, Answer]:
        """Keep answers."""
        return self._cache.put(Entry(*entry) for entry in entries)


@dataclass(frozen=True, slots=True)
class _RemoteStore:
    """The cache as a worker sees it."""

    holder: Any
    near: ClassVar[bool] = False

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        """The answers that are there, by key."""
        import ray

        found: dict[bytes, Answer] = ray.get(self.holder.get.remote(list(keys))) if keys else {}
        return found

    def put(self, entries: Sequence[Entry]) -> dict[bytes, Answer]:
        """Keep answers; gives those that were there before."""
        import ray

        found: dict[bytes, Answer] = ray.get(self.holder.put.remote([tuple(e) for e in entries]))
        return found


class _Worker:
    """Walks shards; one a process."""

    def __init__(self, loaded: Loaded, holder: Any, known_failures: dict[bytes, Answer]) -> None:
        from charter.models.build import build_llm
        from charter.pipeline import asking_steps

        recipe = loaded.recipe
        llms = {role: build_llm(recipe.role(role), recipe.run) for role in recipe.roles}
        steps = asking_steps(loaded)
        self._loaded = loaded
        self._asked = [(step, llms[step.role]) for step in steps]
        self._store = _RemoteStore(holder)
        self._known = known_failures

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Walk the shards of a batch; Ray gives one, and takes columns of one."""
        results = [self._walk(bytes(rows)) for rows in batch["rows"]]
        return {"shard": list(batch["shard"]), "result": results}

    def _walk(self, shard: bytes) -> bytes:
        rows: list[Row] = orjson.loads(shard)
        told, used = _Told(), io.BytesIO()
        recipe = self._loaded.recipe
        stages = stages_for(self._asked, recipe.role, recipe.run, told.event)
        tally, failed = Tally(), _Shared(self._known)
        watch = Watch(stages, len(rows), tally, Silent(), Journal(None))
        budget, stopper = Budget(Limits()), Stopper(_ignored)
        work = Work(len(rows), self._store, tally, failed, budget, watch, told, stopper, used)
        out: list[Row] = []
        try:
            Runner(stages).walk(rows, out.append, work)
        except CharterError as error:
            faults = [dataclasses.asdict(fault) for fault in error.faults]
            return orjson.dumps({"faults": faults, "events": told.events})
        found = {
            "rows": out,
            "tally": tally.as_json(),
            "failed": [[key.hex(), dataclasses.asdict(answer)] for key, answer in failed.settled],
            "used": used.getvalue().hex(),
            "events": told.events,
        }
        return orjson.dumps(found)


class _Told(Journal):
    """The events of a shard, for the driver's log."""

    def __init__(self) -> None:
        super().__init__(None)
        self.events: list[tuple[str, dict[str, Any]]] = []

    def event(self, name: str, **facts: Any) -> None:
        """Keep an event."""
        self.events.append((name, facts))


class _Shared(FailedCalls):
    """Failed calls of a shard: those known before, and those to be told to the driver."""

    def __init__(self, known: dict[bytes, Answer]) -> None:
        super().__init__(None)
        self._known = dict(known)
        self.settled: list[tuple[bytes, Answer]] = []

    def settle(self, seconds: float | None = None) -> list[tuple[bytes, Answer]]:
        """Remember for the driver what failed."""
        settled = super().settle(seconds)
        self.settled += settled
        return settled


def _ignored(line: str) -> None:
    """A worker has nobody to talk to."""


def walk_shards(loaded: Loaded, rows: Rows, emit: Emit, work: Work) -> None:
    """Walk rows on the cluster that the recipe names; `emit` is given each one, in input order.

    Raises:
        InputError: Ray is not installed, or the cluster is not there.
        Failure: a server is down; what was answered is in the cache.
        Interrupted: a stop was asked for.
    """
    with _cluster(loaded) as ray, work.stopper:
        holder = _held(ray, work.store)
        results = _results(ray, loaded, rows, holder, work)
        for result in _in_order(results):
            _take(result, emit, work)
            if work.stopper.asked:
                raise work.stopped()
    work.failed.settle()
    work.watch.look(last=True)


class _cluster:  # noqa: N801 - a context, read as a verb
    """Connect to the cluster of a recipe, or start one here; leave it at the end."""

    def __init__(self, loaded: Loaded) -> None:
        self._run = loaded.recipe.run

    def __enter__(self) -> Any:
        try:
            import ray
        except ImportError:
            fix = 'pip install "charter-ai[ray]"'
            fault = Fault("", "run.engine", "the package ray is not installed", fix)
            raise InputError(fault) from None
        self._started = not ray.is_initialized()
        if self._started:
            try:
                ray.init(address=self._run.address, log_to_driver=False, include_dashboard=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                what = f"the cluster cannot be reached ({' '.join(str(error).split())[:200]})"
                fix = "check the address, or leave it out to start one on this machine"
                raise InputError(Fault(str(self._run.address), "run.address", what, fix)) from None
        return ray

    def __exit__(self, *_: object) -> None:
        import ray

        if self._started:
            ray.shutdown()


def _held(ray: Any, store: Any) -> Any:
    """The actor with the cache, on this machine, where the file is."""
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    actor = ray.remote(_Holder).options(num_cpus=0, scheduling_strategy=here, max_concurrency=1)
    return actor.remote(str(store.path.resolve()))


def _shards(rows: Rows, size: int) -> Iterator[dict[str, Any]]:
    source = iter(rows)
    number = 0
    while shard := list(islice(source, size)):
        yield {"shard": number, "rows": orjson.dumps(shard)}
        number += 1


def _results(
    ray: Any, loaded: Loaded, rows: Rows, holder: Any, work: Work
) -> Iterator[tuple[int, Any]]:
    """(shard, result) of each shard, as they are done."""
    data = import_module("ray.data")
    run = loaded.recipe.run
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    # What a node had made is made again elsewhere when the node dies, however often.
    context.max_errored_blocks = 0
    share = run.model_copy(update={"in_flight": math.ceil(run.in_flight / run.workers)})
    recipe = loaded.recipe.model_copy(update={"run": share})
    shards = list(_shards(rows, run.shard_rows))
    given = data.from_items(shards, override_num_blocks=len(shards))
    walked = given.map_batches(
        _Worker,
        fn_constructor_args=(
            dataclasses.replace(loaded, recipe=recipe),
            holder,
            work.failed.known(),
        ),
        batch_size=1,
        compute=data.ActorPoolStrategy(size=min(run.workers, len(shards))),
        max_restarts=-1,
        max_task_retries=-1,
    )
    try:
        for row in walked.iter_rows():
            yield row["shard"], orjson.loads(row["result"])
    except ray.exceptions.RayError as error:
        what = f"the cluster failed ({type(error).__name__}: {' '.join(str(error).split())[:300]})"
        fix = "check the cluster, then run the same command again: it goes on from here"
        raise Failure(Fault(str(run.address), "run.engine", what, fix)) from None


def _in_order(results: Iterator[tuple[int, Any]]) -> Iterator[Any]:
    """Results by the number of their shard; what comes early waits."""
    early: list[tuple[int, Any]] = []
    wanted = 0
    for number, result in results:
        heapq.heappush(early, (number, result))
        while early and early[0][0] == wanted:
            yield heapq.heappop(early)[1]
            wanted += 1


def _take(result: Any, emit: Emit, work: Work) -> None:
    for name, facts in result["events"]:
        work.journal.event(name, **facts)
    if "faults" in result:
        raise Failure([Fault(**fault) for fault in result["faults"]])
    for key, answer in result["failed"]:
        work.failed.note(bytes.fromhex(key), Answer(**answer))
    work.failed.settle()
    work.tally.merge(result["tally"])
    if work.used is not None:
        work.used.write(bytes.fromhex(result["used"]))
    for row in result["rows"]:
        emit(row)
    work.watch.look()
