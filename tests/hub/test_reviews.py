"""The config `reviews`: its words, and the labels that stand on it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from answered import answer, name_of
from drafts import draft

from charter.errors import Failure
from charter.hub import CONFIGS, check_rows, open_version, publish_local
from charter.hub.relabel import Label, pair_digest, relabelled
from charter.hub.retract import What, retract
from charter.hub.reviews import WORDS
from charter.hub.schema import NULLABLE
from charter.hub.verify import verify_version
from charter.review.publish import publish_reviews
from charter.review.spot_check import Human, Kind, Share, SpotCheck, Sure

GOOD: dict[str, Any] = {
    "id": "0" * 32,
    "kind": "preference",
    "row_id": "p6#a~b",
    "prompt_id": "p6",
    "principle_id": None,
    "category": "",
    "reviewer": "0123456789abcdef",
    "verdict": "REJECTED",
    "sure": None,
    "critique_right": None,
    "still_harmful": None,
    "over_refusing": None,
    "comment": None,
    "first": "chosen",
    "saw_ai": False,
    "share": "uniform",
    "stratum": "kind/made up/0.6",
    "inclusion": 1.0,
    "gold": None,
    "p_chosen": 0.66,
    "texts": "ab" * 32,
    "version": "v0.1.0-rc.1",
    "submitted": "2026-01-01T00:00:00Z",
}


def failing(*reviews: dict[str, Any], human: int = 0) -> dict[str, str]:
    made = draft()
    rows: dict[str, Any] = {**made.rows, **({"reviews": list(reviews)} if reviews else {})}
    if human:
        pair = next(row for row in rows["preference"] if row["id"] == "p6#a~b")
        pair.update(label_source="human", n_votes=human)
    found = check_rows(rows, made.splits, made.ledgers)
    return {each.check: each.detail for each in found if not each.passed}


def test_the_columns_and_words_are_those_of_a_spot_check() -> None:
    assert CONFIGS["reviews"].names == [each.name for each in fields(SpotCheck)]
    words = {
        "kind": set(get_args(Kind)),
        "verdict": set(Human),
        "sure": {*Sure, None},
        "first": {"chosen", "rejected", None},
        "share": set(Share),
        "gold": {*Human, None},
    }
    assert words == WORDS
    optional = {each.name for each in fields(SpotCheck) if "None" in str(each.type)}
    assert optional == NULLABLE["reviews"]


def test_sound_answers_pass() -> None:
    gold = {**GOOD, "id": "1" * 32, "row_id": "own", "prompt_id": "own", "gold": "TIE"}
    assert failing(GOOD, gold) == failing() == {}


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("verdict", "A", "reviews.verdict: unknown A"),
        ("share", "", "reviews.share: unknown"),
        ("reviewer", "ann@firm.example", "reviews.reviewer: not of its form in 000"),
        ("texts", "ab", "reviews.texts: not of its form"),
        ("version", "main", "reviews.version: not of its form"),
        ("submitted", "yesterday", "reviews.submitted: not of its form"),
        ("inclusion", 0.0, "reviews.inclusion: no probability above 0"),
        ("inclusion", 1.5, "reviews.inclusion: no probability above 0"),
    ],
)
def test_odd_answers_are_named(column: str, value: Any, what: str) -> None:
    found = failing({**GOOD, column: value})
    assert list(found) == ["enums"]
    assert what in found["enums"]


def test_an_answer_is_there_once() -> None:
    assert "reviews: id twice" in failing(GOOD, GOOD)["ids"]


def test_a_label_of_people_stands_on_their_answers() -> None:
    bare = "label of people without as many answers in reviews: p6#a~b"
    assert failing(human=1) == {"votes": bare}
    assert failing(GOOD, human=1) == {}
    assert failing(GOOD, human=2) == {"votes": bare}
    for other in ({"gold": "CHOSEN"}, {"row_id": "p5#a~b"}, {"kind": "sft"}):
        assert failing({**GOOD, **other}, human=1) == {"votes": bare}


def test_the_card_says_how_many_labels_are_of_people(tmp_path: Path) -> None:
    made = draft()
    rows: dict[str, Any] = {**made.rows, "reviews": [GOOD]}
    pair = next(row for row in rows["preference"] if row["id"] == "p6#a~b")
    pair.update(label_source="human", n_votes=1)
    card = (publish_local(draft(rows=rows), tmp_path).path / "README.md").read_text()
    assert "- Of the labels 1 are people's, the others a model's." in card
    assert "- expert-generated\n" in card


def test_answers_do_not_say_which_split_a_prompt_is_in(tmp_path: Path) -> None:
    made = draft()
    gold = {**GOOD, "row_id": "own", "prompt_id": "never seen", "gold": "TIE", "share": "gold"}
    rows = {
        **made.rows,
        "reviews": [gold, {**GOOD, "id": "2" * 32, "row_id": "p3#a~b", "prompt_id": "p3"}],
    }
    version = open_version(publish_local(draft(rows=rows), tmp_path).path)
    assert [r["prompt_id"] for r in version.rows("reviews", "test").to_dicts()] == ["p3"]
    # A later version may put that prompt where its own hash says.
    later = draft(9, rows={**draft(9).rows, "reviews": rows["reviews"]})
    publish_local(later, tmp_path)


def test_what_is_said_of_retracted_rows_goes_with_them(tmp_path: Path) -> None:
    version = open_version(publish_local(draft(), tmp_path).path)
    checks = [
        answer(version, "p6#a~b", "ann", "REJECTED"),
        answer(version, "p5#a~b", "ann", "REJECTED"),
        answer(version, "p4#a~b", "ann", "CHOSEN"),
        answer(version, "p4#sft", "ann", "BETTER"),
    ]
    reviewed = open_version(publish_reviews(version, checks, store=tmp_path).path)
    done = retract(reviewed, What(ids=("p6#a~b",), prompts=("p4",)), "taken back", store=tmp_path)
    assert done.path is not None
    new = open_version(done.path)
    assert new.rows("reviews")["row_id"].to_list() == ["p5#a~b"]
    assert new.manifest.reviews is not None
    overruled: Any = new.manifest.reviews["overruled"]
    assert list(overruled["labels"]) == ["p5#a~b"]
    assert (overruled["turned"], overruled["removed"]) == (1, 0)
    failed = [each.check for each in verify_version(new).checks if not each.passed]
    assert failed == ["constitution"]  # the draft's fingerprint is made up


def test_figures_that_count_answers_on_retracted_rows_go_with_them(tmp_path: Path) -> None:
    recipe = f"{draft().recipe_yaml}review: {{min_gold_accuracy: 0.9}}\n"
    version = open_version(publish_local(draft(recipe_yaml=recipe), tmp_path).path)
    checks = [
        answer(version, "p6#a~b", "ann", "CHOSEN"),
        answer(version, "p5#a~b", "ann", "REJECTED"),
        answer(version, "p4#a~b", "ben", "CHOSEN"),
        answer(version, "p7#a~b", "ben", "CHOSEN", gold=Human.REJECTED),
    ]
    reviewed = open_version(publish_reviews(version, checks, store=tmp_path).path)
    assert reviewed.manifest.reviews is not None and reviewed.manifest.reviews["n"] == 2

    def without(version: Any, prompt: str) -> Any:
        done = retract(version, What(prompts=(prompt,)), "taken back", store=tmp_path)
        assert done.path is not None
        return open_version(done.path)

    # Nobody spoke of p3: the figures stand.
    spared = without(reviewed, "p3")
    assert spared.manifest.reviews == reviewed.manifest.reviews
    new = without(spared, "p6")
    assert new.manifest.reviews == {
        "carried": {"from": spared.tag, "answers": 3},
        "left_out": [name_of("ben")],
        "overruled": reviewed.manifest.reviews["overruled"],
    }
    assert "agree with" not in (new.path / "README.md").read_text()
    # They are counted anew from the answers that the version holds.
    again = open_version(publish_reviews(new, [], store=tmp_path).path)
    assert again.manifest.reviews is not None
    assert (again.manifest.reviews["n"], again.manifest.reviews["answers"]) == (1, 1)


def test_a_pair_is_known_by_its_texts_whichever_is_the_chosen_one() -> None:
    row = draft().rows["preference"][0]
    turned = relabelled(row, Label(True, 1.0, 2))
    assert (turned["chosen"], turned["log_odds"]) == (row["rejected"], None)
    assert pair_digest(turned) == pair_digest(row)
    for text in ("prompt", "chosen", "rejected"):
        other = {**row, text: [{"role": "user", "content": "another"}]}
        assert pair_digest(other) != pair_digest(row)


def test_a_secret_in_a_comment_stops_the_publication(tmp_path: Path) -> None:
    said = {**GOOD, "comment": "it is ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6"}
    with pytest.raises(Failure, match=r"reviews\.comment of 0000"):
        publish_local(draft(rows={**draft().rows, "reviews": [said]}), tmp_path)
