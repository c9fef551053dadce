"""Walk rows on a Ray cluster: the same steps and the same runner, a shard of rows at a time.

Ray Data gives shards to workers and gives a dead node's shards to the living. The call cache
stays where the command was typed, in an actor that all workers ask: a file on a network disk
cannot be locked safely, a database server would be one more thing to run, and a look-up by the
network costs a thousandth of a call. So a shard that is walked a second time pays again only for
what was in flight when its node died. The workers ask the same actor whether they are to stop.
"""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import threading
from collections.abc import Generator, Iterator
from importlib import import_module
from itertools import islice
from typing import Any

import orjson

from charter.errors import CharterError, Failure, Fault, InputError
from charter.models.call import Answer
from charter.recipes import Loaded
from charter.rows import Row
from charter.run.shards import AGAIN, LOOK_EVERY, Holder, Worker, said
from charter.run.stop import Stopper
from charter.run.walk_rows import GRACE
from charter.run.work import Emit, Rows, Work

__all__ = ["walk_shards"]


def walk_shards(loaded: Loaded, rows: Rows, emit: Emit, work: Work) -> None:
    """Walk rows on the cluster that the recipe names; `emit` is given each one, in input order.

    Raises:
        InputError: Ray is not installed, or the cluster is not there.
        Failure: a server is down; what was answered is in the cache.
        Interrupted: a stop was asked for.
    """
    waits: dict[bytes, Answer] = {}
    with (
        _cluster(loaded) as ray,
        work.stopper,
        _Stops(_held(ray, work.store), work.stopper) as stops,
        contextlib.closing(_results(ray, loaded, rows, stops.holder, work)) as results,
    ):
        try:
            _take(results, emit, work, waits)
        except CharterError:
            stops.wanted = True
            with contextlib.suppress(CharterError):  # the first one is told
                for _, result in results:  # calls in flight are paid for
                    _enter(result, work, waits)
            raise
    if work.stopper.asked:
        raise work.stopped()
    assert work.tally.rows == work.rows, "rows were lost on the way"
    for key, answer in waits.items():
        work.failed.note(key, answer)
    work.failed.settle()
    work.watch.look(last=True)


class _Stops:
    """Carries a stop to the workers; in a thread, as a signal may come in the midst of Ray's work.

    Attributes:
        holder: the actor that they ask.
        wanted: the run has failed: calls in flight have `GRACE` seconds to come back.
    """

    def __init__(self, holder: Any, stopper: Stopper) -> None:
        self.holder = holder
        self.wanted = False
        self._stopper = stopper
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> _Stops:
        self._stopper.watch(self._signalled)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopper.unwatch(self._signalled)
        self._ended.set()
        self._thread.join()

    def _signalled(self) -> None:
        if self._stopper.now:
            raise KeyboardInterrupt

    def _carry(self) -> None:
        while not (self.wanted or self._stopper.asked):
            if self._ended.wait(LOOK_EVERY):
                return
        self.holder.stop.remote()
        while not self.wanted:
            if self._ended.wait(LOOK_EVERY):
                return
        if not self._ended.wait(GRACE):
            self.holder.stop.remote()


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
            # Without an address Ray would join whatever cluster was started here last.
            address = self._run.address or "local"
            try:
                ray.init(address=address, log_to_driver=False, include_dashboard=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                what = f"the cluster cannot be reached ({' '.join(str(error).split())[:200]})"
                fix = "check the address, or leave it out to start one on this machine"
                place = self._run.address or ""
                raise InputError(Fault(place, "run.address", what, fix)) from None
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
    # One that was killed is started again; what it had kept is in the file, and what it was asked
    # is asked again, which changes nothing.
    again = {"max_restarts": -1, "max_task_retries": -1}
    actor = ray.remote(Holder).options(
        num_cpus=0, scheduling_strategy=here, max_concurrency=1, **again
    )
    return actor.remote(str(store.path.resolve()))


def _shards(rows: Rows, size: int) -> Iterator[dict[str, Any]]:
    source = iter(rows)
    number = 0
    while shard := list(islice(source, size)):
        yield {"shard": number, "rows": orjson.dumps(shard)}
        number += 1


def _results(
    ray: Any, loaded: Loaded, rows: Rows, holder: Any, work: Work
) -> Generator[tuple[int, Any]]:
    """(shard, result) of each shard, as they are done."""
    data = import_module("ray.data")
    run = loaded.recipe.run
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    # What a node had made is made again elsewhere when the node dies, however often: Ray Data
    # starts its actors, and their tasks, again without end.
    context.max_errored_blocks = 0
    shards = list(_shards(rows, run.shard_rows))
    workers = min(run.workers, len(shards), run.in_flight)
    share = run.model_copy(update={"in_flight": run.in_flight // workers})
    recipe = loaded.recipe.model_copy(update={"run": share})
    given = data.from_items(shards, override_num_blocks=len(shards))
    walked = given.map_batches(
        Worker,
        fn_constructor_args=(
            dataclasses.replace(loaded, recipe=recipe),
            holder,
            work.failed.known(),
        ),
        batch_size=1,
        compute=data.ActorPoolStrategy(size=workers),
    )
    idle: set[str] = set()
    try:
        for row in walked.iter_rows():
            result = orjson.loads(row["result"])
            yield row["shard"], result
            if not result["began"]:
                idle.add(result["worker"])
            if len(idle) == workers:
                return  # all have stopped, and the shards that are left need not go round
    except ray.exceptions.RayError as error:
        what = f"the cluster failed ({said(error)})"
        raise Failure(Fault(run.address or "", "run.engine", what, AGAIN)) from None


def _take(
    results: Iterator[tuple[int, Any]], emit: Emit, work: Work, waits: dict[bytes, Answer]
) -> None:
    """Enter what comes; emit rows by the number of their shard, where what comes early waits."""
    early: list[tuple[int, list[Row]]] = []
    wanted = 0
    for number, result in results:
        _enter(result, work, waits)
        if "rows" in result:
            heapq.heappush(early, (number, result["rows"]))
        while early and early[0][0] == wanted:
            for row in heapq.heappop(early)[1]:
                emit(row)
            wanted += 1
        work.watch.look()


def _enter(result: Any, work: Work, waits: dict[bytes, Answer]) -> None:
    """Enter what a worker did with a shard.

    Args:
        result: of the worker.
        work: what the run shares.
        waits: gets the calls that failed without an answer after them, which belong to a server
            that is down, or are their own failures when the run comes to its end.

    Raises:
        Failure: it failed.
        InputError: a package or a key is not there where the worker is.
    """
    for name, facts in result["events"]:
        work.journal.event(name, **facts)
    waits |= {bytes.fromhex(key): Answer(**answer) for key, answer in result["open"]}
    for key, answer in result["failed"]:
        waits.pop(bytes.fromhex(key), None)
        work.failed.note(bytes.fromhex(key), Answer(**answer))
    work.failed.settle()
    work.tally.merge(result["tally"])
    if work.used is not None:
        work.used.write(bytes.fromhex(result["used"]))
    if "faults" in result:
        kind = InputError if result["wrong_input"] else Failure
        raise kind([Fault(**fault) for fault in result["faults"]])
