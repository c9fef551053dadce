"""A recipe on a local Ray cluster of two nodes, of which one dies half way."""

from __future__ import annotations

import json
import threading
import time

import pytest

from charter.errors import Failure, InputError
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
    on_ray = load_recipe(
        path,
        [
            "run.engine=ray",
            f"run.address={made.address}",
            "run.workers=2",
            f"run.shard_rows={SHARD}",
        ],
    )
    calls = ROWS * 6

    def kill_half_way():
        until = time.monotonic() + 120
        while len(server.requests) < calls // 2 and time.monotonic() < until:
            time.sleep(0.01)
        made.remove_node(nodes[0], allow_graceful=False)

    killer = threading.Thread(target=kill_half_way)
    killer.start()
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
@pytest.mark.filterwarnings("default")
def test_a_server_that_is_down_ends_a_run_on_the_cluster(cluster, serve, recipe_file, tmp_path):
    made, _ = cluster
    server = serve(lambda body: (503, {}, b"down"))
    path = recipe_file(server.url, 20, run={"retries": 1, "in_flight": 4, "timeout": 5.0})
    on_ray = load_recipe(path, ["run.engine=ray", f"run.address={made.address}"])
    with pytest.raises(Failure, match="tries in a row failed"):
        run_recipe(on_ray, tmp_path / "out")


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
