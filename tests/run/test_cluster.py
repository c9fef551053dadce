"""A recipe on a local Ray cluster of two nodes, of which one dies half way."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import traceback

import psutil
import pytest

from charter.errors import Failure, InputError, Interrupted
from charter.recipes import load_recipe
from charter.run import run_recipe
from charter.run.limits import Limits

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

ROWS, SHARD, IN_FLIGHT = 120, 10, 8


@pytest.fixture
def cluster(tmp_path):
    """A head without work of its own, and two nodes that work."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    made.wait_for_nodes()
    yield made, nodes
    ray.shutdown()
    made.shutdown()


def batched(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def on(made, path, *settings):
    """The recipe, on the cluster."""
    return load_recipe(path, ["run.engine=ray", f"run.address={made.address}", *settings])


def at(server, requests, do):
    """Do something as soon as so many requests have come; to be joined."""

    def wait():
        until = time.monotonic() + 120
        while len(server.requests) < requests and time.monotonic() < until:
            time.sleep(0.01)
        if len(server.requests) >= requests:
            do()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def kill(name):
    """Kill the processes of this name that this one or its children have started."""
    for process in psutil.Process().children(recursive=True):
        if process.cmdline()[:1] == [name]:
            process.kill()


def failed_keys(result):
    lines = (result.folder / "failed.jsonl").read_text().splitlines()
    return sorted(json.loads(line)["key"] for line in lines)


def bodies(server):
    return [json.dumps(body, sort_keys=True) for body in server.requests]


def published(result):
    return {
        str(path.relative_to(result.published.path)): path.read_bytes()
        for path in sorted(result.published.path.rglob("*.parquet"))
    }


@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("default")  # Ray's own, of many kinds
def test_a_node_that_dies_loses_nothing_and_doubles_nothing(
    cluster, serve, good_script, recipe_file, replies, tmp_path, monkeypatch
):
    made, nodes = cluster

    def script(body):
        replies.sleep(0.02)
        return good_script(body)

    server = serve(script)
    run = {"in_flight": IN_FLIGHT, "retries": 3, "timeout": 20.0}
    path = recipe_file(server.url, ROWS, run=run)
    on_ray = on(made, path, "run.workers=2", f"run.shard_rows={SHARD}")
    calls = ROWS * 6
    killer = at(server, calls // 2, lambda: made.remove_node(nodes[0], allow_graceful=False))
    result = run_recipe(on_ray, tmp_path / "ray")
    killer.join()
    asked = bodies(server)
    assert len(set(asked)) == calls
    # Made again: what was in flight on the node that died, and no more.
    assert len(asked) - calls <= IN_FLIGHT
    assert result.counts["sft"] == ROWS and result.counts["judgments"] == ROWS * 2
    # What it used stands in its folder, for `charter cache prune --keep-runs`.
    assert len(set(batched((result.folder / "calls.keys").read_bytes(), 32))) == calls
    again = run_recipe(on_ray, tmp_path / "ray")
    assert len(server.requests) == len(asked) and not again.published.new
    # The same, byte for byte, as on one machine.
    monkeypatch.setenv("CHARTER_CACHE", str(tmp_path / "other"))
    here = run_recipe(load_recipe(path), tmp_path / "here")
    assert published(result) == published(here)


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("default")
def test_neither_the_end_of_the_cache_nor_a_stop_costs_a_call(
    cluster, serve, good_script, recipe_file, replies, tmp_path
):
    made, _ = cluster

    def script(body):
        replies.sleep(0.1)
        return good_script(body)

    server = serve(script)
    path = recipe_file(server.url, 40, run={"in_flight": IN_FLIGHT, "timeout": 20.0})
    on_ray = on(made, path, "run.workers=2", "run.shard_rows=20")
    killer = at(server, 60, lambda: kill("ray::Holder"))
    stopper = at(server, 120, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted, match=r"interrupted after \d+ rows") as caught:
        run_recipe(on_ray, tmp_path / "out")
    killer.join()
    stopper.join()
    made_calls = len(server.requests)
    # A shard is 120 calls: a stop does not wait for the end of one.
    assert made_calls < 200 and f"{made_calls} calls were made" in str(caught.value)
    result = run_recipe(on_ray, tmp_path / "out")
    assert len(server.requests) == len(set(bodies(server))) == 40 * 6
    assert result.counts["sft"] == 40


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("shard", [10, 1])
def test_a_server_that_is_down_ends_a_run_and_fails_no_row_for_good(
    cluster, serve, good_script, recipe_file, replies, tmp_path, shard
):
    made, _ = cluster
    server = serve(lambda body: (503, {}, b"down"))
    path = recipe_file(server.url, 20, run={"retries": 1, "in_flight": 3, "timeout": 5.0})
    on_ray = on(made, path, f"run.shard_rows={shard}", "run.workers=2")
    with pytest.raises(Failure, match="tries in a row failed" if shard > 1 else "rows failed"):
        run_recipe(on_ray, tmp_path / "out")

    def script(body):
        replies.sleep(0.05)
        return good_script(body)

    server.script = script
    result = run_recipe(on_ray, tmp_path / "out")
    assert result.counts["sft"] == 20 and not result.tally.failed.total()
    assert server.most_in_flight <= 3


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("default")
def test_what_fails_for_good_is_what_fails_on_one_machine(
    cluster, serve, good_script, recipe_file, tmp_path, monkeypatch
):
    def script(body):
        if body["seed"] % 6 == 0:
            return 400, {}, b"this conversation exceeds the context length in tokens"
        return good_script(body)

    server = serve(script)
    path = recipe_file(server.url, 30, run={"max_reject_rate": 1.0, "in_flight": 8})
    on_ray = on(cluster[0], path, "run.shard_rows=4")
    result = run_recipe(on_ray, tmp_path / "ray")
    assert failed_keys(result)
    asked = len(server.requests)
    run_recipe(on_ray, tmp_path / "ray")
    assert len(server.requests) == asked
    monkeypatch.setenv("CHARTER_CACHE", str(tmp_path / "other"))
    here = run_recipe(load_recipe(path), tmp_path / "here")
    assert failed_keys(result) == failed_keys(here)
    assert published(result) == published(here)


def test_of_a_trace_the_user_is_told_what_was_raised():
    from charter.run.shards import said

    try:
        try:
            {}["prompt"]
        except KeyError as error:
            raise ValueError("a block cannot be mapped") from error
    except ValueError as error:
        trace = "".join(traceback.format_exception(error))
        told = said(ray.exceptions.RayTaskError("map", f"\x1b[36m{trace}\x1b[39m", error))
    assert told == "RayTaskError: KeyError: 'prompt'"


def test_limits_cannot_be_held_over_workers(serve, good_script, recipe_file, tmp_path):
    recipe = load_recipe(recipe_file(serve(good_script).url), ["run.engine=ray"])
    with pytest.raises(InputError, match="several workers"):
        run_recipe(recipe, tmp_path / "out", limits=Limits(max_calls=3))


def test_an_address_is_rays_alone(recipe_file):
    with pytest.raises(InputError, match="engine"):
        load_recipe(recipe_file("http://x"), ["run.address=auto"])


def test_without_ray_the_user_is_told(serve, good_script, recipe_file, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    recipe = load_recipe(recipe_file(serve(good_script).url), ["run.engine=ray"])
    with pytest.raises(InputError, match="pip install"):
        run_recipe(recipe, tmp_path / "out")


@pytest.mark.parametrize(("address", "asked"), [(None, "local"), ("ray://far:10001",) * 2])
def test_without_an_address_no_cluster_of_others_is_joined(
    serve, good_script, recipe_file, tmp_path, monkeypatch, address, asked
):
    given = []

    def start(address, **_):
        given.append(address)
        raise ConnectionError("nobody there")

    monkeypatch.setattr(ray, "init", start)
    path = recipe_file(serve(good_script).url, run={"engine": "ray", "address": address})
    with pytest.raises(InputError, match=r"run\.address.*nobody there") as caught:
        run_recipe(load_recipe(path), tmp_path / "out")
    assert given == [asked]
    assert caught.value.faults[0].place == (address or "")
