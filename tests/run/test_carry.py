"""What people said goes on to the version that the next run makes, where texts are the same."""

from __future__ import annotations

import pytest
from answered import answer

from charter.errors import Failure
from charter.hub import list_versions, open_version
from charter.hub.verify import verify_version
from charter.recipes import load_recipe
from charter.review.publish import publish_reviews
from charter.run import run_recipe
from charter.run.progress import Silent


def test_answers_and_labels_of_people_are_carried(serve, good_script, recipe_file, tmp_path):
    server = serve(good_script)
    out, store = tmp_path / "out", tmp_path / "out" / "versions"
    first = run_recipe(load_recipe(recipe_file(server.url, 20)), out)
    version = open_version(first.published.path)
    turned, removed, agreed = version.rows("preference", "train")["id"].to_list()[:3]
    checks = [
        answer(version, turned, "ann", "REJECTED"),
        answer(version, removed, "ann", "BOTH_BAD"),
        answer(version, agreed, "ann", "CHOSEN", comment="so it is"),
    ]
    done = publish_reviews(version, checks, store=store)
    reviewed = open_version(done.path)

    same = run_recipe(load_recipe(recipe_file(server.url, 20)), out)
    assert (same.published.new, same.published.tag) == (False, done.tag)

    more = run_recipe(load_recipe(recipe_file(server.url, 30)), out)
    new = open_version(more.published.path)
    assert more.published.new
    assert verify_version(new).passed
    assert new.rows("reviews").equals(reviewed.rows("reviews"))
    before = {row["id"]: row for row in reviewed.rows("preference").to_dicts()}
    after = {row["id"]: row for row in new.rows("preference").to_dicts()}
    assert before.items() <= after.items()
    assert after[turned]["label_source"] == "human"
    assert removed not in after
    assert new.manifest.figures["label_sources"]["human"] == 1
    # Other prompts: what was measured is not of these rows, and no gate may take it for it.
    reviews = new.manifest.reviews
    assert "agreement" not in reviews
    assert reviews["carried"] == {"from": done.tag, "answers": 3}
    # Who failed the gold rows still fails them: `charter score` goes by it.
    assert reviews["left_out"] == reviewed.manifest.reviews["left_out"]
    assert set(reviews["overruled"]["labels"]) == {turned, removed}
    counted = publish_reviews(new, checks, store=store)
    assert counted.figures["n"] >= 2
    assert open_version(counted.path).rows("preference").equals(new.rows("preference"))

    # Ann takes two of her answers back: the judge's labels are there again, all of them.
    gone = [checks[0].id, checks[1].id]
    publish_reviews(open_version(counted.path), checks[2:], gone=gone, store=store)
    last = open_version(run_recipe(load_recipe(recipe_file(server.url, 30)), out).published.path)
    assert {row["label_source"] for row in last.rows("preference").to_dicts()} == {"ai"}
    assert {turned, removed} <= set(last.rows("preference")["id"])


def test_a_run_does_not_take_back_answers_that_were_published_meanwhile(
    serve, good_script, recipe_file, tmp_path
):
    server = serve(good_script)
    out, store = tmp_path / "out", tmp_path / "out" / "versions"
    first = open_version(run_recipe(load_recipe(recipe_file(server.url, 20)), out).published.path)
    checks = [answer(first, first.rows("preference")["id"][0], "ann", "REJECTED")]

    class Reviewing(Silent):
        """Ann's answer is published when all rows are made."""

        def say(self, line):
            if line == "checking and writing the version":
                publish_reviews(first, checks, store=store)

    longer = load_recipe(recipe_file(server.url, 30))
    with pytest.raises(Failure, match=r"v0\.1\.1 has answers of people's.*run it again"):
        run_recipe(longer, out, Reviewing())
    reviewed = open_version(f"{first.repo}@v0.1.1", store=store)
    assert len(list_versions(store, first.repo)) == 2
    again = run_recipe(longer, out)
    assert again.tally.calls == again.tally.cached
    assert open_version(again.published.path).rows("reviews").equals(reviewed.rows("reviews"))
