"""What a run may use: calls, money, failed rows; and rows that failed, later."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.errors import Failure, InputError, Interrupted
from charter.models.call import Call
from charter.recipes import load_recipe
from charter.recipes.schema import Price
from charter.run import run_recipe
from charter.run.limits import Budget, Limits, RejectRate, bound

PRICED = {"prompt": 2.0, "completion": 10.0}


def priced(url):
    return {"generator": {"llm": "openai", "model": "m", "base_url": url, "price": PRICED}}


def run(path, out, **kw):
    limits = Limits(**kw.pop("limits", {"max_reject_rate": 1.0}))
    return run_recipe(load_recipe(path), out, limits=limits, **kw)


def test_max_calls_stops_there_and_a_higher_limit_goes_on(
    serve, good_script, recipe_file, tmp_path
):
    server = serve(good_script)
    path = recipe_file(server.url, 20)
    with pytest.raises(Interrupted, match="50 calls were made"):
        run(path, tmp_path / "out", limits={"max_calls": 50})
    assert len(server.requests) == 50
    with pytest.raises(Interrupted):
        run(path, tmp_path / "out", limits={"max_calls": 0})
    assert len(server.requests) == 50
    assert not list((tmp_path / "out").glob("versions/*/*/v*"))
    result = run(path, tmp_path / "out", limits={"max_calls": 70})
    assert len(server.requests) == 120 and result.published.tag == "v0.1.0"


def test_max_cost_is_not_gone_over(serve, good_script, recipe_file, tmp_path):
    server = serve(good_script)
    path = recipe_file(server.url, 20, models=priced(server.url))
    each = (11 * 2.0 + 5 * 10.0) / 1e6
    whole = run(path, tmp_path / "whole")
    assert whole.cost == pytest.approx(120 * each)
    path = recipe_file(server.url, 20, models=priced(server.url), seed=4)
    limit = 0.009
    with pytest.raises(Interrupted, match="max-cost"):
        run(path, tmp_path / "out", limits={"max_cost": limit})
    made = len(server.requests) - 120
    assert 0 < made * each <= limit


def test_empty_answers_that_are_paid_do_not_go_over_it(
    serve, replies, recipe_file, tmp_path, monkeypatch
):
    monkeypatch.setattr("charter.models.lane.FIRST_WAIT", 0.001)
    server = serve(lambda body: replies.say(""))
    models = priced(server.url)
    models["generator"]["max_tokens"] = 5  # as many as each empty answer costs
    path = recipe_file(server.url, 20, models=models)
    limit = 0.002
    with pytest.raises(Interrupted, match="max-cost"):
        run(path, tmp_path / "out", limits={"max_cost": limit, "max_reject_rate": 1.0})
    each = (11 * 2.0 + 5 * 10.0) / 1e6
    assert 0 < len(server.requests) * each <= limit


def test_a_bound_holds_in_scripts_of_a_token_a_letter():
    stage = SimpleNamespace(price=Price(prompt=1e6, completion=0.0), max_tokens=1)
    for text, most in (("word " * 60, 108.0), ("漢字" * 150, 308.0)):
        call = Call("respond", "p", 0, 1, ({"role": "user", "content": text},))
        assert bound(stage, call) == pytest.approx(most)


def test_max_cost_needs_a_price(serve, good_script, recipe_file, tmp_path):
    server = serve(good_script)
    with pytest.raises(InputError, match=r"models\.ROLE\.price"):
        run(recipe_file(server.url), tmp_path / "out", limits={"max_cost": 1.0})
    assert server.requests == []


LOGPROB = {"mode": "logprob", "keep": "margin"}


def test_what_a_judge_gives_is_asked_under_the_limits_as_well(
    serve, good_script, recipe_file, tmp_path
):
    server = serve(good_script)
    unpriced = recipe_file(server.url, 4, preference=LOGPROB)
    with pytest.raises(InputError, match=r"models\.ROLE\.price"):
        run(unpriced, tmp_path / "out", limits={"max_cost": 1.0})
    path = recipe_file(server.url, 4, preference=LOGPROB, models=priced(server.url))
    for limits in ({"max_calls": 0}, {"max_cost": 1e-9}):
        with pytest.raises(Interrupted):
            run(path, tmp_path / "out", limits=limits)
        assert server.requests == []
    with pytest.raises(Interrupted, match="10 calls were made"):
        run(path, tmp_path / "out", limits={"max_calls": 10})
    assert len(server.requests) == 10


def test_what_a_judge_gives_is_found_by_a_call_that_is_paid(
    serve, good_script, recipe_file, tmp_path
):
    server = serve(good_script)
    path = recipe_file(server.url, 4, preference=LOGPROB, models=priced(server.url))
    result = run(path, tmp_path / "out")
    made = len(server.requests)
    tokens = [sum(pair[i] for pair in result.tally.tokens.values()) for i in (0, 1)]
    assert tokens == [made * 11, made * 5] and result.tally.calls["probe"] == 1
    assert result.cost == pytest.approx(made * (11 * 2.0 + 5 * 10.0) / 1e6)


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0, 5), st.integers(0, 20))
def test_what_is_admitted_stays_under_both_limits(costs, limit, calls):
    budget = Budget(Limits(max_calls=calls, max_cost=limit))
    spent, made = 0.0, 0
    for most in costs:
        if budget.fits(most):
            budget.take(most)
            budget.settle(most, most / 2)
            spent, made = spent + most / 2, made + 1
    assert spent <= limit + 1e-9 and made <= calls


def ended_at(most, rows, lost):
    """The row at which a run ends of which so many of every ten rows lose a call; None: never."""
    rate = RejectRate(most, rows)
    for number in range(rows):
        faults = [{"reason": "CALL_FAILED", "stage": "respond", "detail": "no"}]
        try:
            rate.see({"faults": faults if number % 10 < lost else [], "votes": []})
        except Failure:
            return number + 1
    return None


@pytest.mark.parametrize(
    ("rows", "lost", "row"),
    [
        (10, 10, 3),  # the third of ten is more than a fifth of them
        (10, 2, None),
        (10_000, 10, 200),  # too many, however the rest will be
        (10_000, 3, 213),  # four standard deviations above a fifth
        (10_000, 2, None),
    ],
)
def test_a_run_ends_as_soon_as_too_many_rows_are_lost(rows, lost, row):
    assert ended_at(0.2, rows, lost) == row


def test_a_row_that_lost_a_vote_is_a_lost_row():
    votes = [{"error": ""}, {"error": "the server says 400"}]
    with pytest.raises(Failure, match=r"1 of 1 rows failed.*the last: the server says 400"):
        RejectRate(0.0, 4).see({"faults": [], "votes": votes})


def failing(good_script, share):
    def script(body):
        if body["seed"] % 100 < share:
            return 400, {}, b"no"
        return good_script(body)

    return script


def test_too_many_failed_rows_end_a_run(serve, good_script, recipe_file, tmp_path):
    server = serve(failing(good_script, 60))
    with pytest.raises(Failure, match="max-reject-rate") as caught:
        run(recipe_file(server.url, 40), tmp_path / "out", limits={})
    assert "--retry-rejects" in str(caught.value)
    assert not list((tmp_path / "out").glob("versions/*/*/v*"))


def test_a_run_of_few_failures_goes_on(serve, good_script, recipe_file, tmp_path):
    server = serve(failing(good_script, 1))
    result = run(recipe_file(server.url, 60), tmp_path / "out", limits={"max_reject_rate": 0.3})
    assert result.published.new and result.tally.failed.total() > 0


def test_empty_answers_of_a_judge_are_the_same_rows_when_a_run_is_made_again(
    serve, good_script, replies, recipe_file, tmp_path, monkeypatch
):
    monkeypatch.setattr("charter.models.lane.FIRST_WAIT", 0.001)

    def script(body):
        mute = replies.role_of(body) == "judge" and body["seed"] % 2
        return replies.say(" ") if mute else good_script(body)

    server = serve(script)
    path = recipe_file(server.url, 10)
    first = run(path, tmp_path / "out")
    asked = len(server.requests)
    failed = (first.folder / "failed.jsonl").read_text().splitlines()
    assert len(failed) == first.tally.failed.total() > 0
    again = run(path, tmp_path / "out")
    assert len(server.requests) == asked
    assert again.published.tag == first.published.tag and not again.published.new


def test_rejects_are_made_again_when_asked_and_only_those(
    serve, good_script, recipe_file, tmp_path
):
    server = serve(failing(good_script, 5))
    path = recipe_file(server.url, 40)
    first = run(path, tmp_path / "out")
    failed = first.tally.failed.total()
    assert failed > 0 and first.counts["rejects"] > 0
    asked = len(server.requests)
    # The same command again: the same version, and not one call, though the server is well now.
    server.script = good_script
    second = run(path, tmp_path / "out")
    assert len(server.requests) == asked and second.published.tag == first.published.tag
    assert second.tally.failed.total() == failed
    third = run(path, tmp_path / "out", retry_rejects=True)
    assert third.tally.failed.total() == 0 and third.counts["sft"] == 40
    seeds = [body["seed"] for body in server.requests[asked:]]
    assert len(seeds) == third.tally.calls.total() - third.tally.cached.total()
    # What had been answered is not asked again.
    answered = {body["seed"] for body in server.requests[:asked] if body["seed"] % 100 >= 5}
    assert not answered & set(seeds)
    assert third.published.tag == "v0.1.1"


def test_an_empty_answer_is_tried_again_and_never_a_result(
    serve, good_script, recipe_file, tmp_path, replies
):
    seen: dict[int, int] = {}

    def script(body):
        seen[body["seed"]] = seen.get(body["seed"], 0) + 1
        if body["seed"] % 10 == 0:
            return replies.say("  ")
        if body["seed"] % 10 == 1 and seen[body["seed"]] == 1:
            return replies.say("")
        return good_script(body)

    server = serve(script)
    path = recipe_file(server.url, 30)
    first = run(path, tmp_path / "out")
    assert all(count == 2 for seed, count in seen.items() if seed % 10 == 1)
    assert first.counts["rejects"] > 0
    server.script = good_script
    again = run(path, tmp_path / "out", retry_rejects=True)
    assert again.counts["sft"] == 30


def test_the_events_of_a_run_are_written_down(serve, good_script, recipe_file, tmp_path):
    server = serve(failing(good_script, 5))
    result = run(recipe_file(server.url, 20), tmp_path / "out")
    lines = (result.folder / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    names = [event["event"] for event in events]
    assert names[0] == "start" and names[-1] == "done" and "tick" in names
    walk = next(event for event in events if event["event"] == "walk")
    assert walk["calls"] == result.tally.calls.total() and walk["cached"] == 0
    assert walk["account"] == result.tally.as_json()
    assert names.count("call_failed") == result.tally.failed.total()
    keys = (result.folder / "calls.keys").read_bytes()
    assert len(keys) == 32 * result.tally.calls.total()
