"""The account of a run."""

from __future__ import annotations

import pytest

from charter.cli.account import print_account
from charter.cli.output import Output
from charter.recipes import load_recipe
from charter.run import run_recipe
from charter.run.report_account import account_of

PRICE = {"prompt": 1000.0, "completion": 10000.0}


@pytest.fixture
def priced():
    """A model that costs something, at a server."""

    def models(url):
        model = {"llm": "openai", "model": "scripted", "base_url": url, "price": PRICE}
        return {"generator": model}

    return models


def test_an_account_has_what_was_made_used_and_paid(
    serve, good_script, recipe_file, priced, tmp_path, capsys
):
    url = serve(good_script).url
    path = recipe_file(url, 10, models=priced(url))
    result = run_recipe(load_recipe(path), tmp_path / "out")
    found = account_of(result)
    made = 10 * 6
    assert found["tokens"] == {"read": made * 11, "written": made * 5}
    assert result.cost == pytest.approx(made * (11 * 1000 + 5 * 10000) / 1e6)
    judged = result.summary.pairs_judged
    assert found["cost_per_comparison"] == pytest.approx(result.cost / judged)
    assert found["hours"] == pytest.approx(result.seconds / 3600)
    assert found["calls_per_second"] == pytest.approx(made / result.seconds)
    assert (found["failed_calls"], found["cut_answers"]) == (0, 0)
    print_account(Output(as_json=False), result)
    said = capsys.readouterr().out
    assert f"cost per comparison: ${result.cost / judged:.4f} (0.50-5.00 dollars of a human" in said
    trace, pair = said.partition("One revision trace")[2].split("One judged pair")
    assert result.summary.trace["prompt"][0]["content"] in trace
    (row, label) = result.summary.pair
    assert row["prompt"][-1]["content"] in pair and f"{label['winner']} is chosen, p(A)" in pair
    assert "votes: " in said and "pairs: " in said
    assert "--retry-rejects" not in said

    again = run_recipe(load_recipe(path), tmp_path / "out")
    found = account_of(again)
    assert again.cost == 0.0 and found["cost_per_comparison"] is None
    assert found["calls_per_second"] is None
    print_account(Output(as_json=False), again)
    said = capsys.readouterr().out
    assert "nothing changed" in said and "cost per comparison" not in said


def test_comparisons_are_paid_for_as_far_as_they_were_made(
    serve, good_script, recipe_file, priced, tmp_path
):
    url = serve(good_script).url
    first = recipe_file(url, 10, models=priced(url))
    run_recipe(load_recipe(first), tmp_path / "out")
    second = recipe_file(url, 20, models=priced(url))
    result = run_recipe(load_recipe(second), tmp_path / "out")
    half = result.summary.pairs_judged * (
        1 - result.tally.cached["judge"] / result.tally.calls["judge"]
    )
    assert account_of(result)["cost_per_comparison"] == pytest.approx(result.cost / half)


def test_comparisons_of_a_tournament_have_their_cost(
    serve, good_script, recipe_file, priced, tmp_path
):
    url = serve(good_script).url
    preference = {"candidates": 4, "sources": ["sampled"], "pairs": "adaptive"}
    path = recipe_file(url, models=priced(url), sft=False, preference=preference)
    result = run_recipe(load_recipe(path), tmp_path / "out")
    each = result.cost / result.summary.pairs_judged
    assert account_of(result)["cost_per_comparison"] == pytest.approx(each)


def test_what_failed_is_named_with_the_way_to_ask_again(
    serve, good_script, recipe_file, replies, tmp_path, capsys
):
    def script(body):
        if replies.role_of(body) == "critique" and body["seed"] % 3 == 0:
            return 400, {}, b"this conversation exceeds the context length in tokens"
        if replies.role_of(body) == "respond":
            return replies.say("cut short", finish_reason="length")
        return good_script(body)

    blocks = {"preference": False, "run": {"retries": 0, "max_reject_rate": 1.0}}
    result = run_recipe(load_recipe(recipe_file(serve(script).url, 12, **blocks)), tmp_path / "out")
    found = account_of(result)
    assert found["failed_calls"] == sum(result.summary.faults.values()) > 0
    assert found["cut_answers"] == 12 and found["cost_per_comparison"] is None
    print_account(Output(as_json=False), result)
    said = capsys.readouterr().out
    assert "critique-1  CONTEXT_OVERFLOW" in said and "--retry-rejects" in said
    assert "12 answers were cut at max_tokens" in said
    assert "cost not known" in said and "no price is given for" in said
    # Taken up again it tells the same of all calls, though none is made.
    again = run_recipe(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "out")
    assert again.tally.cached == again.tally.calls
    assert (again.tally.failed, again.tally.cut) == (result.tally.failed, result.tally.cut)
