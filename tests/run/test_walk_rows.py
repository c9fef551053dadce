"""Rows that walk on their own: which are begun, which wait for others, and how a walk ends."""

from __future__ import annotations

import json
import threading

import pytest

from charter.errors import Failure
from charter.models.cache import CallCache, default_cache_path
from charter.recipes import load_recipe, read_prompts
from charter.run import execute, walk_rows
from charter.run.execute import preview_rows
from charter.run.progress import Silent


def walk(path):
    loaded = load_recipe(path)
    cache = CallCache(default_cache_path())
    try:
        return preview_rows(loaded, read_prompts(loaded), cache, Silent())[0]
    finally:
        cache.close()


def number(body):
    """Of the prompt that a request is about."""
    return int(json.dumps(body["messages"]).split("Question number ")[1].split()[0])


@pytest.mark.parametrize("known", [False, True], ids=["asked", "in the cache"])
def test_rows_far_ahead_of_the_oldest_are_not_held(
    serve, good_script, recipe_file, replies, monkeypatch, known
):
    monkeypatch.setattr(walk_rows, "AHEAD", 64)
    monkeypatch.setattr(walk_rows, "CHUNK", 16)
    taken, ahead = [], []
    make = execute.prompt_row

    def counted(prompt):
        taken.append(prompt.id)
        return make(prompt)

    def script(body):
        if number(body) == 0 and replies.role_of(body) == "respond":
            replies.sleep(0.8)
            ahead.append(len(taken))
        return good_script(body)

    monkeypatch.setattr(execute, "prompt_row", counted)
    server = serve(lambda body: script(body) if number(body) else (400, {}, b"no"))
    path = recipe_file(server.url, 150, preference=False)
    if known:
        walk(path)
    taken.clear()
    server.script = script
    rows = walk(path)
    assert [row["prompt_id"] for row in rows] == [f"p{i}" for i in range(150)]
    assert ahead and max(ahead) <= 64 + 16


@pytest.mark.parametrize(("count", "begun"), [(8, 8), (60, 2)])
def test_rows_are_begun_as_calls_may_be_in_flight_and_the_last_all_at_once(
    serve, good_script, recipe_file, count, begun
):
    server = serve(good_script)
    walk(recipe_file(server.url, count, preference=False, run={"in_flight": 2}))
    first = {number(body) for body in server.requests[:8]}
    assert begun <= len(first) <= begun + 2


def test_rows_that_wait_for_one_server_leave_the_other_to_further_rows(
    serve, good_script, recipe_file
):
    further = threading.Event()
    begun = set()

    def script(body):
        begun.add(number(body))
        if len(begun) > 30:
            further.set()
        return good_script(body)

    def judge(body):
        assert further.wait(20)
        return good_script(body)

    model = {"llm": "openai", "model": "scripted"}
    models = {
        "generator": {**model, "base_url": serve(script).url},
        "judge": {**model, "base_url": serve(judge).url},
    }
    rows = walk(recipe_file("unused", 80, models=models, run={"in_flight": 4, "timeout": 30.0}))
    assert len(rows) == 80 and not any(row["faults"] for row in rows)


def test_a_failure_is_told_though_calls_in_flight_take_their_time(
    serve, good_script, recipe_file, replies
):
    def script(body):
        if number(body) == 3:
            return 401, {}, b"no"
        replies.sleep(0.8)
        return good_script(body)

    server = serve(script)
    with pytest.raises(Failure, match="401"):
        walk(recipe_file(server.url, 40, run={"in_flight": 6}))
    asked = len(server.requests)
    assert asked <= 6 + 6
    server.script = good_script
    walk(recipe_file(server.url, 40, run={"in_flight": 6}))
    # Those in flight were kept.
    assert len(server.requests) - asked == 40 * 6 - (asked - 1)
