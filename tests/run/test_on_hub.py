"""Runs whose versions go to a Hub hold to what is published there, from whichever machine."""

from __future__ import annotations

import pytest
from answered import answer
from pointed import pointed

from charter.hub import heads_of, open_remote
from charter.hub.embedded import User
from charter.hub.embedded.child import launch
from charter.hub.retract import retract
from charter.hub.retract_what import What
from charter.recipes import load_recipe
from charter.review.publish import publish_reviews
from charter.run import run_recipe

# The client's own, of the library beneath it.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOKEN = "hf_owner_0123456789"
REPO = "me/small"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    running = launch(tmp_path / "hub", users=[User("me", TOKEN, "write")])
    yield pointed(running.address, TOKEN, tmp_path / "hub-cache", monkeypatch)
    assert running.stop() == 0


def test_another_machine_takes_nothing_back(hub, serve, good_script, recipe_file, tmp_path):
    url, there = serve(good_script).url, {"to": "hub", "repo": REPO, "private": True}

    def run(machine, prompts, fraction=0.2):
        recipe = recipe_file(url, prompts, publish=there)
        loaded = load_recipe(recipe, [f"prompts.test_fraction={fraction}"])
        return run_recipe(loaded, tmp_path / machine).published

    run("one", 12)
    assert hub.repo_info(REPO, repo_type="dataset").private
    first = open_remote(f"{REPO}@v0.1.0")
    gone, turned = first.rows("preference", "train")["id"].to_list()[:2]
    checks = [answer(first, turned, "ann", "REJECTED")]
    store = tmp_path / "one" / "versions"
    publish_reviews(first, checks, store=store)
    retract(open_remote(f"{REPO}@v0.1.1"), What(ids=(gone,)), "asked for", store=store)

    run("other", 16, fraction=0.9)
    last = open_remote(f"{REPO}@v0.1.3")
    assert [str(tag) for tag in heads_of(hub, REPO).tags][-1] == "v0.1.3"
    assert gone not in set(last.rows("preference")["id"])
    assert last.find(turned).row["label_source"] == "human"
    assert last.rows("reviews")["row_id"].to_list() == [turned]
    for split in first.splits("sft"):
        assert set(first.rows("sft", split)["id"]) <= set(last.rows("sft", split)["id"])
