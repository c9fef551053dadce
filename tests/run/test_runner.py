"""The runner against a scripted server: order, cache, limits, faults."""

from __future__ import annotations

import json
import threading

import pytest

from charter.errors import Failure
from charter.models.cache import CallCache, default_cache_path
from charter.recipes import load_recipe, read_prompts
from charter.run.execute import preview_rows
from charter.run.progress import Silent


def walk(path, overrides=()):
    loaded = load_recipe(path, overrides)
    cache = CallCache(default_cache_path())
    try:
        return preview_rows(loaded, read_prompts(loaded), cache, Silent())
    finally:
        cache.close()


def test_rows_come_out_in_input_order_whatever_the_order_of_answers(
    serve, good_script, recipe_file, replies
):
    def script(body):
        replies.sleep((body["seed"] % 5) / 200)
        return good_script(body)

    rows, tally = walk(recipe_file(serve(script).url, prompts=20))
    assert [row["prompt_id"] for row in rows] == [f"p{i}" for i in range(20)]
    assert all(row["labels"] for row in rows)
    # respond, critique, revise, one sampled candidate, one pair in both orders
    assert tally.calls.total() == 20 * 6


def test_a_second_run_asks_nothing(serve, good_script, recipe_file):
    server = serve(good_script)
    path = recipe_file(server.url)
    first, _ = walk(path)
    asked = len(server.requests)
    second, tally = walk(path)
    assert len(server.requests) == asked
    assert tally.cached.total() == tally.calls.total() == asked
    assert second == first


def test_a_changed_principle_asks_again_what_it_touches_and_no_more(
    serve, good_script, recipe_file, tmp_path
):
    from charter.constitutions import shipped_constitutions

    text = shipped_constitutions()["concise"].read_text()
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    server = serve(good_script)
    path = recipe_file(server.url, constitution=str(mine))
    walk(path)
    before = len(server.requests)
    mine.write_text(text.replace("critique: >-\n", "critique: >-\n      Be exact.\n"))
    rows, _ = walk(path)
    again = server.requests[before:]
    roles = {message["messages"][0]["content"][:8] for message in again}
    assert again and roles
    # First answers and sampled candidates do not depend on the constitution.
    assert not any(len(body["messages"]) == 1 for body in again)
    assert all(row["labels"] for row in rows)


def test_calls_in_flight_stay_under_the_limit(serve, good_script, recipe_file, replies):
    def script(body):
        replies.sleep(0.02)
        return good_script(body)

    server = serve(script)
    walk(recipe_file(server.url, prompts=30, run={"in_flight": 4, "retries": 0}))
    assert 2 <= server.most_in_flight <= 4


def test_what_fails_for_a_while_is_asked_again(serve, good_script, recipe_file, replies):
    seen: dict[int, int] = {}
    lock = threading.Lock()

    def script(body):
        with lock:
            seen[body["seed"]] = seen.get(body["seed"], 0) + 1
            first = seen[body["seed"]] == 1
        if first and body["seed"] % 3 == 0:
            return 429, {"Retry-After": "0.01"}, b"slow down"
        if first and body["seed"] % 3 == 1:
            return 200, {}, b'{"choices": [{"mess'
        return good_script(body)

    rows, tally = walk(recipe_file(serve(script).url, prompts=8))
    assert tally.failed.total() == 0
    assert not any(row["faults"] for row in rows)


def test_a_call_that_fails_for_good_is_a_reject_and_not_in_the_cache(
    serve, good_script, recipe_file, replies
):
    server = serve(good_script)

    def script(body):
        if (
            "Question number 3" in json.dumps(body["messages"])
            and replies.role_of(body) == "critique"
        ):
            return 400, {}, b"no such thing"
        return good_script(body)

    server.script = script
    path = recipe_file(server.url)
    rows, tally = walk(path)
    assert tally.failed.total() == 1
    assert [row["prompt_id"] for row in rows if row["faults"]] == ["p3"]
    assert rows[3]["faults"][0]["reason"] == "CALL_FAILED"
    server.script = good_script
    rows, tally = walk(path)
    assert tally.failed.total() == 0 and not any(row["faults"] for row in rows)


def test_a_server_that_is_down_stops_the_run(recipe_file, good_script, serve):
    server = serve(lambda body: (503, {"Retry-After": "0"}, b"down"))
    with pytest.raises(Failure, match="tries in a row failed"):
        walk(recipe_file(server.url, prompts=40))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_key_or_model_stops_at_once(serve, recipe_file, status, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    server = serve(lambda body: (status, {}, b"bad key sk-very-secret"))
    with pytest.raises(Failure) as caught:
        walk(recipe_file(server.url))
    assert str(status) in str(caught.value)
    assert "sk-very-secret" not in str(caught.value)


def test_the_key_reaches_the_server_and_nothing_else(serve, recipe_file, good_script, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    server = serve(good_script)
    walk(recipe_file(server.url))
    assert server.headers[0]["Authorization"] == "Bearer sk-very-secret"
    assert b"sk-very-secret" not in default_cache_path().read_bytes()


def test_a_judge_that_talks_nonsense_gives_unparsed_votes(serve, good_script, recipe_file, replies):
    def script(body):
        if replies.role_of(body) == "judge":
            return replies.say("Both are lovely answers, who can tell?")
        return good_script(body)

    rows, _ = walk(recipe_file(serve(script).url))
    assert {vote["verdict"] for row in rows for vote in row["votes"]} == {"UNPARSED"}
    assert {label["reason"] for row in rows for label in row["labels"]} == {"UNPARSED"}


def test_logprobs_of_a_server_cancel_a_position_bias(serve, good_script, recipe_file):
    blocks = {"preference": {"mode": "logprob", "keep": "margin", "min_margin": 0.0}}
    rows, _ = walk(recipe_file(serve(good_script).url, **blocks))
    labels = [label for row in rows for label in row["labels"]]
    for row, label in zip(rows, labels, strict=True):
        texts = {c["slot"]: c["text"] for c in row["candidates"]}
        longer = len(texts[label["a"]]) - len(texts[label["b"]])
        assert label["reason"] == "TIE" if longer == 0 else (label["winner"] == "A") == (longer > 0)


def test_two_roles_with_other_settings_are_asked_as_they_are_set(serve, good_script, recipe_file):
    server = serve(good_script)
    model = {"llm": "openai", "base_url": server.url}
    models = {
        "generator": {**model, "model": "writer", "temperature": 0.9, "top_p": 0.8},
        "judge": {**model, "model": "referee", "max_tokens": 4, "options": {"seed": None, "x": 1}},
    }
    walk(recipe_file(server.url, models=models, preference={"mode": "logprob", "keep": "margin"}))
    by_model = {body["model"]: body for body in server.requests}
    assert by_model["writer"]["temperature"] == 0.9 and by_model["writer"]["top_p"] == 0.8
    judge = by_model["referee"]
    assert judge["temperature"] == 0 and judge["max_tokens"] == 1 and judge["logprobs"]
    assert "seed" not in judge and judge["x"] == 1


class Watcher(Silent):
    """Keeps the last snapshot."""

    last = None

    def update(self, now):
        self.last = now


@pytest.mark.model
def test_a_server_is_asked_again_after_a_local_model(serve, good_script, recipe_file, tmp_path):
    """Respond at a server, criticise here, revise at the server: its lane opens anew."""
    from charter.run import run_recipe

    server = serve(good_script)
    here = {"llm": "local", "max_tokens": 3}
    models = {"generator": {"llm": "openai", "model": "m", "base_url": server.url}, "critic": here}
    path = recipe_file(server.url, 3, models=models)
    watcher = Watcher()
    result = run_recipe(load_recipe(path), tmp_path / "out", watcher)
    assert result.counts["sft"] == 3 and result.counts["judgments"] == 6
    assert dict(result.tally.calls) == {
        "respond": 3,
        "critique-1": 3,
        "revise-1": 3,
        "respond-1": 3,
        "judge": 6,
    }
    assert (watcher.last.rows, watcher.last.of_rows) == (3, 3)


@pytest.mark.model
def test_rows_of_a_local_model_are_counted(recipe_file, tmp_path):
    from charter.run import run_recipe

    models = {"generator": {"llm": "local", "max_tokens": 3}}
    path = recipe_file("unused", 2, models=models, preference=False)
    watcher = Watcher()
    run_recipe(load_recipe(path, ["run.max_reject_rate=1"]), tmp_path / "out", watcher)
    assert (watcher.last.rows, watcher.last.of_rows) == (2, 2)
