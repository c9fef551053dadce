"""Plans: what is exact is exact at the server, and what is not is at most that."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from charter.constitutions import shipped_constitutions
from charter.models.build import identity
from charter.models.cache import CallCache, Entry, default_cache_path
from charter.models.call import Answer
from charter.models.keys import Keys
from charter.pipeline import asking_steps, prompt_row
from charter.recipes import load_recipe, read_prompts
from charter.run.plan import plan_run
from charter.steps.principles import round_principle
from charter.steps.rank import most_rounds, round_pairs


def plan(loaded):
    with closing(CallCache(default_cache_path())) as cache:
        return plan_run(loaded, cache)


@pytest.fixture
def by_messages(replies):
    """A model whose every answer hangs on all that it reads."""

    def script(body):
        if replies.role_of(body) == "judge":
            return replies.say("A")
        read = hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()
        return replies.say(f"{body['seed']} {read}")

    return script


@pytest.fixture
def constitution(tmp_path):
    """A copy of `hhh` to edit."""
    path = tmp_path / "mine.yaml"
    path.write_bytes(shipped_constitutions()["hhh"].read_bytes())
    return path


def edit(path: Path, number: int, field: str) -> str:
    """Change one text of a principle; its id."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    found["principles"][number][field] += " Be precise."
    path.write_text(yaml.safe_dump(found, sort_keys=False), encoding="utf-8")
    return found["principles"][number]["id"]


def fill(loaded, steps, rows=None, text=lambda step, call: f"{step.name} {call.seed}"):
    """Put the answers of these steps into the cache, as a run would have."""
    entries = []
    for number, prompt in enumerate(read_prompts(loaded).prompts):
        if rows is not None and number not in rows:
            continue
        row = prompt_row(prompt)
        for step in asking_steps(loaded):
            if step.name not in steps:
                continue
            keys = Keys(identity(loaded.recipe.models.role(step.role)))
            calls = step.calls(row)
            answers = [Answer(text(step, c), {}, "stop", 10, 5, seconds=0.5) for c in calls]
            for call, answer in zip(calls, answers, strict=True):
                entries.append(Entry(keys.key(call), keys.model, answer))
            row = step.fold(row, answers)
    with closing(CallCache(default_cache_path())) as cache:
        cache.put(entries)


def test_an_edited_principle_costs_the_calls_of_the_rows_that_drew_it(
    serve, by_messages, recipe_file, constitution, tmp_path
):
    from charter.run import run_recipe

    server = serve(by_messages)
    blocks = {
        "constitution": str(constitution),
        "sft": {"rounds": 2, "principles": "round-robin"},
        "preference": False,
    }
    path = recipe_file(server.url, 40, **blocks)
    first = run_recipe(load_recipe(path), tmp_path / "out")
    asked = len(server.requests)
    assert asked == 40 * 5 == first.tally.calls.total()
    done = plan(load_recipe(path))
    assert (done.missing, done.as_json()["cached_calls"], done.minutes) == (0, asked, 0.0)

    edited = edit(constitution, 3, "critique")
    loaded = load_recipe(path)
    drawn = [
        [round_principle(loaded.constitution, "round-robin", 3, f"p{i}", k).id for k in (0, 1)]
        for i in range(40)
    ]
    # Drawn in round 1 all four calls of the chain are new, in round 2 the last two.
    expected = sum(4 if edited == one else 2 if edited == two else 0 for one, two in drawn)
    assert 0 < expected < asked
    found = plan(loaded)
    assert found.missing == expected
    missing = {p.principle: p.calls - p.cached_calls for p in found.principles}
    after = {two for one, two in drawn if one == edited}
    assert {name for name, count in missing.items() if count} == {edited} | after
    assert sum(p.calls for p in found.principles) == 40 * 4
    under = Counter(name for pair in drawn for name in pair)
    assert {p.principle: p.calls for p in found.principles if p.calls} == {
        name: 2 * count for name, count in under.items()
    }

    run_recipe(loaded, tmp_path / "out")
    assert len(server.requests) - asked == expected
    assert plan(loaded).missing == 0


def test_a_regenerated_text_that_is_the_same_makes_it_fewer_calls(
    serve, good_script, recipe_file, constitution, tmp_path
):
    from charter.run import run_recipe

    # This model's texts hang on seeds alone: the new revision is what the old one was.
    server = serve(good_script)
    blocks = {
        "constitution": str(constitution),
        "sft": {"rounds": 2, "principles": "round-robin"},
        "preference": False,
    }
    path = recipe_file(server.url, 40, **blocks)
    run_recipe(load_recipe(path), tmp_path / "out")
    asked = len(server.requests)
    edit(constitution, 3, "revision")
    loaded = load_recipe(path)
    most = plan(loaded).missing
    run_recipe(loaded, tmp_path / "out")
    assert 0 < len(server.requests) - asked < most


def test_judging_is_exact_for_pairs_whose_texts_are_known(
    serve, by_messages, recipe_file, constitution, tmp_path
):
    from charter.run import run_recipe

    server = serve(by_messages)
    blocks = {
        "constitution": str(constitution),
        "sft": {"rounds": 1, "principles": "round-robin"},
        "preference": {"candidates": 4, "sources": ["initial", "revised", "sampled"]},
    }
    path = recipe_file(server.url, 30, **blocks)
    run_recipe(load_recipe(path), tmp_path / "out")
    asked = len(server.requests)
    edited = edit(constitution, 5, "revision")
    loaded = load_recipe(path)
    rows = sum(
        round_principle(loaded.constitution, "round-robin", 3, f"p{i}", 0).id == edited
        for i in range(30)
    )
    # The revision, and three of six pairs in two orders; the comparison text is the same.
    assert plan(loaded).missing == rows * (1 + 3 * 2) > 0
    run_recipe(loaded, tmp_path / "out")
    assert len(server.requests) - asked == rows * 7


def test_a_changed_comparison_costs_the_votes_under_it(
    serve, by_messages, recipe_file, constitution, tmp_path
):
    from charter.run import run_recipe

    server = serve(by_messages)
    blocks = {"constitution": str(constitution), "preference": {"principles": 2}}
    path = recipe_file(server.url, 30, **blocks)
    run_recipe(load_recipe(path), tmp_path / "out")
    asked = len(server.requests)
    edited = edit(constitution, 7, "comparison")
    loaded = load_recipe(path)
    found = plan(loaded)
    missing = {p.principle: p.calls - p.cached_calls for p in found.principles}
    assert set(missing) >= {edited} and found.missing == missing[edited] > 0
    run_recipe(loaded, tmp_path / "out")
    assert len(server.requests) - asked == found.missing


@pytest.mark.parametrize(
    ("blocks", "calls"),
    [
        ({}, 6 * (3 + 1 + 2)),
        ({"preference": False}, 6 * 3),
        ({"sft": False, "preference": {"sources": ["sampled"], "candidates": 3}}, 6 * (3 + 6)),
        ({"sft": {"rounds": 1, "principles": "all"}, "preference": False}, None),
        ({"sft": {"rounds": 3, "principles": {"brief": 2.0}}}, 6 * (1 + 6 + 1 + 2)),
        ({"preference": {"sources": ["initial", "revised"], "pairs": "revised-vs-initial"}}, 30),
        ({"preference": {"principles": "all", "candidates": 3}}, None),
        # What has no weight is not asked about.
        ({"preference": {"principles": {"brief": 2, "concrete": 0, "no-filler": 0}}}, 36),
    ],
    ids=str,
)
def test_an_empty_cache_gives_the_most_calls_of_every_kind_of_recipe(recipe_file, blocks, calls):
    loaded = load_recipe(recipe_file("http://127.0.0.1:1/v1", 6, **blocks))
    found = plan(loaded)
    most = 6 * sum(step.most_calls() for step in asking_steps(loaded))
    assert found.missing == found.as_json()["calls"] == most
    assert calls in (None, most)
    of_principles = sum(step.calls for step in found.steps if not step.step.startswith("respond"))
    assert sum(p.calls for p in found.principles) == of_principles
    assert found.minutes is None and found.as_json()["measured"] == {}


@pytest.mark.parametrize("mode", ["verdict", "cot"])
def test_adaptive_pairs_of_given_candidates_are_planned(recipe_file, tmp_path, mode):
    """There are rounds for the most candidates that a prompt may bring, more than a row needs."""
    given = tmp_path / "given.jsonl"
    records = [
        {"id": f"g{n}", "prompt": f"Question {n}?", "candidates": [f"{n}: {k}." for k in range(n)]}
        for n in (2, 3, 5)
    ]
    given.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    preference = {"candidates": "given", "pairs": "adaptive", "mode": mode}
    url = "http://127.0.0.1:1/v1"
    path = recipe_file(url, 1, sft=False, preference=preference)
    found = plan(load_recipe(path, [f"prompts.path={given}"]))
    # All pairs of two and of three, and those of a tournament of five, in both orders.
    of_five = sum(round_pairs(5, k) for k in range(1, most_rounds(5) + 1))
    assert found.missing == 2 * (1 + 3 + of_five) * (2 if mode == "cot" else 1)


def test_independent_steps_are_looked_up_though_the_first_answer_is_missing(recipe_file):
    blocks = {"preference": {"candidates": 3, "sources": ["revised", "sampled"]}}
    loaded = load_recipe(recipe_file("http://127.0.0.1:1/v1", 6, **blocks))
    fill(loaded, {"respond-1", "respond-2"})
    steps = {step.step: step for step in plan(loaded).steps}
    assert steps["respond"].cached_calls == 0
    assert steps["respond-1"].cached_calls == steps["respond-2"].cached_calls == 6
    assert steps["judge"].calls == 6 * 6 and steps["judge"].cached_calls == 0


def test_pairs_of_equal_texts_are_no_calls(recipe_file):
    blocks = {"sft": False, "preference": {"candidates": 3, "sources": ["sampled"]}}
    loaded = load_recipe(recipe_file("http://127.0.0.1:1/v1", 4, **blocks))
    fill(loaded, {"respond-1", "respond-2", "respond-3"}, text=lambda *_: "Yes.")
    assert plan(loaded).missing == 0
    # With one text unknown, the pair of the two known ones is still none.
    with closing(CallCache(default_cache_path())) as cache:
        (step,) = [s for s in asking_steps(loaded) if s.name == "respond-2"]
        keys = Keys(identity(loaded.recipe.models.role("generator")))
        row = prompt_row(read_prompts(loaded).prompts[0])
        cache.forget([keys.key(call) for call in step.calls(row)])
    assert plan(loaded).missing == 1 + 2 * 2


def test_a_row_that_lost_its_answer_to_a_filter_needs_no_more_calls(recipe_file):
    loaded = load_recipe(recipe_file("http://127.0.0.1:1/v1", 4, preference=False))
    fill(loaded, {"respond"})
    with closing(CallCache(default_cache_path())) as cache:
        (step, *_) = asking_steps(loaded)
        keys = Keys(identity(loaded.recipe.models.role("generator")))
        (call,) = step.calls(prompt_row(read_prompts(loaded).prompts[0]))
        cache.forget([keys.key(call)])
        cache.put([Entry(keys.key(call), "scripted", Answer("I", {}, "content_filter"))])
    assert plan(loaded).missing == 3 * 2


def test_cost_needs_a_price_only_where_calls_are_to_be_made(recipe_file):
    price = {"prompt": 1.0, "completion": 10.0}
    generator = {"llm": "openai", "model": "scripted", "base_url": "http://127.0.0.1:1/v1"}
    models = {"generator": {**generator, "price": price, "max_tokens": 100}, "judge": generator}
    loaded = load_recipe(recipe_file("", 5, models=models))
    found = plan(loaded)
    costs = {step.step: step.cost for step in found.steps}
    assert costs.pop("judge") is None and found.as_json()["cost"] is None
    respond = found.steps[0]
    assert respond.completion_tokens == 500
    assert costs["respond"] == pytest.approx((respond.prompt_tokens + 10 * 500) / 1e6)
    loaded = load_recipe(recipe_file("", 5, models=models, preference=False))
    assert plan(loaded).as_json()["cost"] > 0
    models = {"generator": generator}
    loaded = load_recipe(recipe_file("", 5, models=models, preference=False))
    assert plan(loaded).as_json()["cost"] is None
    fill(loaded, {"respond", "critique-1", "revise-1"})
    assert plan(loaded).as_json()["cost"] == 0.0


def test_minutes_come_from_the_steps_own_answers_else_from_the_models(recipe_file):
    run = {"in_flight": 2}
    loaded = load_recipe(recipe_file("http://127.0.0.1:1/v1", 60, preference=False, run=run))
    assert plan(loaded).minutes is None
    fill(loaded, {"respond"}, rows=range(10))
    found = plan(loaded)
    measured = found.as_json()["measured"]
    assert measured["respond"] == {"seconds": 0.5, "calls": 10, "of": "step"}
    assert measured["critique-1"] == {"seconds": 0.5, "calls": 10, "of": "model"}
    assert found.missing == 170
    assert found.minutes == pytest.approx(170 * 0.5 / 2 / 60, rel=0.01)
    # One row's calls wait for each other, however many may be in flight.
    loaded = load_recipe(recipe_file("http://127.0.0.1:1/v1", 60, preference=False))
    loaded = load_recipe(loaded.path, ["run.in_flight=1000"])
    assert plan(loaded).minutes == pytest.approx(3 * 0.5 / 60, rel=0.01)


def test_a_plan_leaves_the_cache_as_it_is_and_is_linear(recipe_file, monkeypatch):
    loaded = load_recipe(recipe_file("http://127.0.0.1:1/v1", 450, preference=False))
    fill(loaded, {"respond", "critique-1", "revise-1"})
    asked = []
    get = CallCache.get

    def counted(self, keys):
        asked.append(len(keys))
        return get(self, keys)

    monkeypatch.setattr(CallCache, "get", counted)
    assert plan(loaded).missing == 0
    # One query a step for each hundred rows.
    assert asked == [100] * 12 + [50] * 3
