"""From a recipe's steps to stages: whose calls share a limit, and what they cost."""

from __future__ import annotations

import pytest

from charter.recipes import load_recipe
from charter.run.stages import stages_of

OTHER = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("judge", "shared"),
    [({}, True), ({"base_url": OTHER}, False), ({"model": "another"}, False)],
    ids=["same", "another-server", "another-model"],
)
def test_a_limit_is_of_a_model_at_a_server_and_of_all_steps_that_ask_it(recipe_file, judge, shared):
    """Whatever else is set: a role of its own temperature waits in the same line."""
    path = recipe_file("http://127.0.0.1:8/v1", run={"in_flight": 3})
    settings = {"llm": "openai", "model": "scripted", "base_url": "http://127.0.0.1:8/v1"}
    said = {**settings, "temperature": 0.5, "price": {"prompt": 1.0, "completion": 2.0}, **judge}
    sets = [f"models.judge.{name}={value}" for name, value in said.items() if name != "price"]
    loaded = load_recipe(path, [*sets, "models.judge.price={prompt: 1.0, completion: 2.0}"])
    by_role = {stage.asking.role: stage for stage in stages_of(loaded)}
    assert by_role["critic"].lane is by_role["generator"].lane
    assert (by_role["judge"].lane is by_role["generator"].lane) == shared
    assert by_role["judge"].price.completion == 2.0 and by_role["generator"].price is None
