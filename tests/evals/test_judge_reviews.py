"""A judge held to what a version's own reviewers said."""

from __future__ import annotations

import pytest
from answered import answer
from drafts import RECIPE, draft

from charter.evals.judge_audit import audit_judge
from charter.evals.judge_sources import votes_of_version
from charter.hub import open_version, publish_local
from charter.review.publish import publish_reviews
from charter.review.spot_check import Human, Share
from charter.rows import Verdict


@pytest.fixture
def reviewed(tmp_path):
    store = tmp_path / "store"
    version = open_version(publish_local(draft(), store).path)
    ids = version.rows("preference")["id"].to_list()
    checks = [
        answer(version, ids[0], "ann", "CHOSEN", inclusion=0.5, first="rejected"),
        answer(version, ids[1], "ann", "REJECTED", inclusion=0.25),
        answer(version, ids[2], "ann", "BOTH_BAD", inclusion=0.25),
        # Neither of these is what people say of the label.
        answer(version, ids[3], "ann", "REJECTED", saw_ai=True),
        answer(version, ids[4], "ann", "REJECTED", share="gold", gold="CHOSEN"),
    ]
    done = publish_reviews(version, checks, store=store, rule="none")
    return open_version(f"me/small@{done.tag}", store=store), ids


def test_answers_are_labels_in_terms_of_the_candidates(reviewed):
    version, ids = reviewed
    found = votes_of_version(version)
    winners = {vote.comparison_id: vote.verdict for vote in found.votes}
    other = {Verdict.A: Verdict.B, Verdict.B: Verdict.A}
    assert found.people.labels == {
        ids[0]: winners[ids[0]],
        ids[1]: other[winners[ids[1]]],
        ids[2]: Verdict.TIE,
    }
    assert found.people.sampling == {ids[0]: 2.0, ids[1]: 4.0, ids[2]: 4.0}
    assert found.people.noted["rows seen with the AI's label (left out)"] == 1


def test_the_audit_counts_them(reviewed):
    version, _ = reviewed
    found = votes_of_version(version)
    audit = audit_judge(
        found.votes, sampling=found.people.sampling, published=found.published, seed=1
    )
    assert audit.partly_seen
    assert audit.figures["accuracy"].n >= 2


def test_who_fails_the_gold_rows_does_not_count(tmp_path):
    store = tmp_path / "store"
    recipe = RECIPE + "review: {min_gold_accuracy: 0.9}\n"
    version = open_version(publish_local(draft(recipe_yaml=recipe), store).path)
    ids = version.rows("preference")["id"].to_list()
    checks = [
        answer(version, ids[0], "ann", "CHOSEN", inclusion=0.5),
        answer(version, ids[1], "bob", "REJECTED", inclusion=0.5),
        answer(version, ids[4], "ann", "CHOSEN", share=Share.GOLD, gold=Human.CHOSEN),
        answer(version, ids[4], "bob", "REJECTED", share=Share.GOLD, gold=Human.CHOSEN),
    ]
    done = publish_reviews(version, checks, store=store, rule="none")
    found = votes_of_version(open_version(f"me/small@{done.tag}", store=store))
    assert set(found.people.labels) == {ids[0]}


@pytest.mark.parametrize(
    ("recipe", "rule"),
    [
        (RECIPE.replace("keep", "mode: cot, orders: single, keep"), ("cot", "single")),
        (RECIPE, ("verdict", "both")),
        ("schema_version: 1\nname: small\n", None),
    ],
)
def test_how_the_judge_was_asked_is_the_recipes(tmp_path, recipe, rule):
    version = open_version(publish_local(draft(recipe_yaml=recipe), tmp_path).path)
    votes = votes_of_version(version).votes
    assert {vote.rule and (vote.rule.mode, vote.rule.orders) for vote in votes} == {rule}
