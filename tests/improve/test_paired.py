"""Two loops' models before the same prompts."""

import json

import pytest

from charter.evals.refusal_figures import paired_difference
from charter.improve.paired import changes, read_refused


def test_prompts_that_both_answered_are_compared_by_category():
    mine = {"h1": ("harmful", True), "h2": ("harmful", True), "b1": ("benign", False)}
    other = {"h1": ("harmful", False), "h2": ("harmful", True), "b1": ("benign", False)}
    alone = {"mine alone": ("harmful", False)}
    harmful, benign = changes("weaker", 2, mine | alone, other | {"other alone": ("benign", True)})
    assert (harmful.loop, harmful.round, harmful.category) == ("weaker", 2, "harmful")
    # One more refusal here, of two prompts.
    assert harmful.difference == paired_difference(0, 1, 2) and harmful.difference.value == 0.5
    assert harmful.p == 1.0
    assert (benign.difference.value, benign.difference.n, benign.p) == (0.0, 1, None)
    assert harmful.row()[:4] == ("weaker", "2", "harmful", "2")
    assert benign.row()[-1] == "they never differ"


def test_answers_that_were_never_given_are_left_out(tmp_path):
    path = tmp_path / "answers.jsonl"
    outcomes = {
        "a": "2_full_refusal",
        "b": "3_partial_refusal",
        "c": "1_full_compliance",
        "d": None,
    }
    rows = [{"id": i, "category": "harmful", "outcome": said} for i, said in outcomes.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_refused(path) == {
        "a": ("harmful", True),
        "b": ("harmful", True),
        "c": ("harmful", False),
    }


@pytest.mark.parametrize("text", ["{", '{"id": "a"}\n', '{"id": "a", "outcome": "maybe"}\n', None])
def test_damaged_answers_are_none(tmp_path, text):
    path = tmp_path / "answers.jsonl"
    if text is not None:
        path.write_text(text)
    assert read_refused(path) is None
