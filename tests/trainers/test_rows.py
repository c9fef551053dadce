"""Which rows of a version a trainer sees, and what stands beside them."""

import pytest

from charter.trainers import METHODS, read_settings
from charter.trainers.rows import read_rows


def rows_of(version, method, **values):
    return read_rows(read_settings(method, version, "out", values=values), METHODS[method])


@pytest.fixture
def version(make_version, preference_row):
    """Two pairs of one prompt, and a pair of another; one on which it is measured."""
    rows = [{**preference_row(i), "p_chosen": p} for i, p in enumerate((0.6, 0.7, 1.0, 0.8))]
    rows[1] |= {"prompt_id": "p0", "prompt": rows[0]["prompt"]}
    return make_version({"preference": {"train": rows[:3], "test": rows[3:]}})


def test_a_prompt_of_two_pairs_is_two_rows_to_learn_and_one_to_answer(version):
    assert rows_of(version, "dpo").train["p_chosen"] == [0.6, 0.7, 1.0]
    answered = rows_of(version, "grpo", judge="local").train
    pairs = version.data["preference"]["train"]
    assert answered["prompt_id"] == ["p0", "p2"]
    assert answered["reference"] == [pairs[0]["chosen"], pairs[2]["chosen"]]


def test_what_is_just_sure_enough_is_kept(version):
    found = rows_of(version, "dpo", min_p=0.7)
    assert (found.train["p_chosen"], found.left_out) == ([0.7, 1.0], 1)
    assert rows_of(version, "dpo", min_p=0.9).test is None


def test_weights_are_one_on_the_mean_and_rows_of_test_have_none(version):
    found = rows_of(version, "dpo", weight="confidence")
    assert found.train["row_weight"] == pytest.approx([0.375, 0.75, 1.875])
    assert "row_weight" not in found.test.column_names


def test_margins_stand_beside_the_rows_of_both_splits(version):
    found = rows_of(version, "reward", soft_labels="margin")
    assert found.train["margin"] == pytest.approx([0.2, 0.4, 1.0])
    assert found.test["margin"] == pytest.approx([0.6])
