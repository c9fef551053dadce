"""Whole runs of judging: what a judge can give, pairs that were there before, plans that hold."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
import yaml

from charter.hub import open_version
from charter.models.cache import CallCache, default_cache_path
from charter.recipes import load_recipe
from charter.recipes.schema import ModelSettings, RunSettings
from charter.run.execute import run_recipe
from charter.run.plan import plan_run
from charter.run.progress import Silent
from charter.run.settle import Prober


class Told(Silent):
    """Keeps what is said."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def plan(path, overrides=()):
    cache = CallCache(default_cache_path())
    try:
        return plan_run(load_recipe(path, overrides), cache).as_json()
    finally:
        cache.close()


def run(path, out, overrides=()):
    told = Told()
    return run_recipe(load_recipe(path, overrides), out, told), told.said


LOGPROB = {"mode": "logprob", "keep": "margin", "votes": 3}


@pytest.mark.parametrize("how", ["ignores", "refuses"])
def test_a_judge_without_log_probabilities_votes_and_it_is_said(
    serve, good_script, recipe_file, replies, tmp_path, how
):
    def script(body):
        if body.get("logprobs"):
            if how == "refuses":
                return 400, {}, b"logprobs are not supported by this model"
            return good_script({**body, "logprobs": False})
        return good_script(body)

    server = serve(script)
    models = {"generator": {"llm": "openai", "model": "scripted", "base_url": server.url}}
    if how == "refuses":  # greedy as this judge is, its votes would be one vote
        models["judge"] = {**models["generator"], "temperature": 0}
    path = recipe_file(server.url, preference=LOGPROB, models=models)
    result, said = run(path, tmp_path / "out")
    (warning,) = [line for line in said if "log-probabilities" in line]
    assert "scripted" in warning and "`vote`, 3 answers" in warning
    version = open_version(result.published.path)
    votes = version.rows("judgments", None)
    assert set(votes["sample"]) == {0, 1, 2}
    judge = [b for b in server.requests if replies.role_of(b) == "judge" and not b.get("logprobs")]
    probes = 1 if how == "refuses" else 0
    assert {b["temperature"] for b in judge[probes:]} == {0.7}
    # Every request stands in the account, those that found it out included.
    assert result.tally.calls.total() == len(server.requests)
    assert version.manifest.figures["judge_logprobs"] is False
    card = (result.published.path / "README.md").read_text()
    assert "gives no log-probabilities" in card and "`mode` vote" in card
    assert "mode: vote" in (result.published.path / "recipe.yaml").read_text()
    # A second run knows, and so does a plan.
    asked = len(server.requests)
    again, said = run(path, tmp_path / "out")
    assert len(server.requests) == asked and again.published.tag == result.published.tag
    assert again.tally.calls.total() == again.tally.cached.total()
    found = plan(path)
    assert found["calls"] == found["cached_calls"] == again.tally.calls.total()


def test_a_judge_without_log_probabilities_that_gives_its_reasons_is_read_as_a_text(
    serve, good_script, recipe_file, tmp_path
):
    def script(body):
        framed = [m for m in body["messages"] if "[response A " in m["content"]]
        return good_script({**body, "messages": framed or body["messages"], "logprobs": False})

    path = recipe_file(serve(script).url, preference={"mode": "cot", "keep": "margin"})
    result, said = run(path, tmp_path / "out")
    assert any("`mode: cot` reads the label that follows the reasons as a text" in s for s in said)
    version = open_version(result.published.path)
    assert version.manifest.figures["judge_logprobs"] is False
    assert version.manifest.figures["preference"]["mode"] == "cot"
    # One label for each reasoning, held to the clamp as a likely one is.
    assert result.tally.calls["judge"] == result.tally.calls["reason"] > 0
    assert set(version.rows("judgments", None)["p_a"]) <= {0.4, 0.5, 0.6}


def test_a_judge_that_says_nothing_is_asked_but_once_what_it_gives(serve, replies):
    server = serve(lambda body: replies.say(""))
    judge = ModelSettings(llm="openai", model="m", base_url=server.url, temperature=0.0)
    with closing(CallCache(default_cache_path())) as cache:
        for _ in range(2):
            assert Prober(RunSettings(retries=0), cache).gives_logprobs(judge) is False
    assert len(server.requests) == 1


def test_a_kind_of_model_without_log_probabilities_is_not_asked(recipe_file, tmp_path):
    models = {
        "generator": {"llm": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"},
        "judge": {"llm": "anthropic", "model": "claude-x"},
    }
    path = recipe_file("", models=models, preference=LOGPROB)
    steps = {step["step"]: step["calls"] for step in plan(path)["steps"]}
    assert steps["judge"] == 6 * 2 * 3


@pytest.mark.parametrize(
    ("preference", "calls"),
    [
        ({"mode": "cot", "keep": "margin"}, 6 * 4),
        ({"mode": "vote", "votes": 2}, 6 * 4),
        ({"mode": "logprob", "keep": "margin", "candidates": 3, "pairs": "best-worst"}, 6 * 6),
        ({"mode": "verdict", "orders": "single", "keep": "margin"}, 6),
        ({"principles": {"brief": 1.0, "concrete": 2.0}}, 6 * 4),
        ({"mode": "cot", "keep": "margin", "candidates": 4, "pairs": "adaptive"}, None),
    ],
    ids=str,
)
def test_every_mode_runs_and_its_plan_holds(
    serve, good_script, recipe_file, tmp_path, preference, calls
):

    def script(body):
        """After its reasons the judge is asked in a message of their own."""
        framed = [m for m in body["messages"] if "[response A " in m["content"]]
        return good_script({**body, "messages": framed or body["messages"]})

    server = serve(script)
    path = recipe_file(server.url, preference=preference)
    before = plan(path)
    result, _ = run(path, tmp_path / "out")
    made = result.tally.calls
    judged = sum(n for step, n in made.items() if step.startswith(("judge", "reason")))
    planned = sum(
        step["calls"] for step in before["steps"] if step["step"].startswith(("judge", "reason"))
    )
    if calls is None:
        assert 0 < judged <= planned
    else:
        assert judged <= calls == planned  # equal candidates are not judged
    after = plan(path)
    assert after["calls"] == after["cached_calls"] == made.total() - made["probe"]
    assert len(server.requests) == made.total()
    counts = result.counts
    assert counts["judgments"] > 0 and counts["preference"] > 0
    again, _ = run(path, tmp_path / "out")
    assert again.published.tag == result.published.tag and not again.published.new
    card = (result.published.path / "README.md").read_text()
    assert ("in one order alone" in card) == (preference.get("orders") == "single")
    assert "votes for the response shown first" in card and "Soft labels" in card


def given_recipe(tmp_path, url, records, **blocks):
    data = tmp_path / "pairs.jsonl"
    data.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    recipe = {
        "name": "again",
        "constitution": "concise",
        "prompts": {"path": str(data), "test_fraction": 0.2},
        "models": {"judge": {"llm": "openai", "model": "scripted", "base_url": url}},
        "sft": False,
        "preference": {"candidates": "given", **blocks},
        "publish": {"repo": "me/again"},
    }
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def test_what_others_made_is_judged_and_compared(serve, good_script, tmp_path, own_cache):
    """The scripted judge likes the longer response."""
    records = [
        {"id": f"r{i}", "prompt": f"Question {i} of {i * 37}?", "chosen": "x" * (5 + i % 3 * 4),
         "rejected": "y" * 9}
        for i in range(12)
    ]  # fmt: skip
    server = serve(good_script)
    path = given_recipe(tmp_path, server.url, records)
    assert plan(path)["calls"] == 24
    result, _ = run(path, tmp_path / "out")
    assert result.tally.calls.total() == len(server.requests) == 24
    assert "sft" not in result.published.manifest.counts or result.counts["sft"] == 0
    rows = open_version(result.published.path).rows("preference", None).to_dicts()
    assert len(rows) == 8  # four of twelve are as long as each other
    for row in rows:
        longer = "chosen" if len(row["chosen"][0]["content"]) == 13 else "rejected"
        assert row["source_label"] == longer
        assert row["id"] == f"{row['prompt_id']}#chosen~rejected"
    votes = open_version(result.published.path).rows("judgments", None)
    assert set(votes["source_label"]) == {"A"}
    assert result.published.manifest.figures["source_labels"] == {"chosen": 4, "rejected": 4}
    assert "4 are the same" in (result.published.path / "README.md").read_text()
    assert list(result.published.manifest.models) == ["judge"]


def test_a_published_version_is_judged_again(serve, good_script, recipe_file, tmp_path):
    """Another constitution over the pairs of a version, from its own files."""
    server = serve(good_script)
    first, _ = run(recipe_file(server.url), tmp_path / "out")
    files = str(first.published.path / "preference" / "*.parquet")
    path = given_recipe(tmp_path, server.url, [])
    # The second judge likes what the first one liked: length.
    settings = [f"prompts.path={files}", "constitution=hhh"]
    second, _ = run(path, tmp_path / "out", settings)
    ours = open_version(second.published.path).rows("preference", None)
    theirs = open_version(first.published.path).rows("preference", None)
    assert set(ours["prompt_id"]) == set(theirs["id"]) and len(ours) == len(theirs)
    assert set(ours["source_label"]) == {"chosen"}
    assert set(ours["chosen_model"]) == {"scripted"}


@pytest.mark.parametrize("most", [6, 20])
def test_tournaments_of_given_candidates(serve, good_script, tmp_path, own_cache, most):
    counts = (2, 3, most - 1, most)
    records = [
        {"id": f"r{i}", "prompt": f"Q {i}?", "candidates": ["x" * (k * 5 + 1) for k in range(n)],
         "label": n - 1}
        for i, n in enumerate(counts)
    ]  # fmt: skip
    server = serve(good_script)
    path = given_recipe(
        tmp_path, server.url, records, pairs="adaptive", mode="logprob", keep="margin"
    )
    result, _ = run(path, tmp_path / "out")
    made = result.tally.calls.total() - result.tally.calls["probe"]
    assert made < sum(n * (n - 1) for n in counts)
    votes = open_version(result.published.path).rows("judgments", None).to_dicts()
    for i, n in enumerate(counts):
        best = max((v for v in votes if v["prompt_id"] == f"r{i}"), key=lambda v: v["score_b"])
        assert best["candidate_b"].endswith(f"#given-{n}")
    rows = open_version(result.published.path).rows("preference", None).to_dicts()
    assert {r["source_label"] for r in rows} <= {"chosen", None}
    assert any(r["source_label"] == "chosen" for r in rows)
