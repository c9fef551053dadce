"""Rows that fit the model's window, those that don't, and what becomes of either."""

from types import SimpleNamespace

import datasets
import pytest
from transformers import AutoTokenizer

from charter.errors import InputError
from charter.trainers import METHODS
from charter.trainers.fit import fitted
from charter.trainers.rows import Rows
from charter.trainers.truncation import count_truncated


@pytest.fixture
def tokenizer(tiny_model):
    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture
def rows(preference_row):
    """Six pairs of either split; the second has a prompt of 60 tokens, the third such an answer."""

    def part():
        made = [preference_row(i) for i in range(6)]
        made[1]["prompt"][0]["content"] = "bike " * 60
        made[2]["rejected"][0]["content"] = "rude " * 60
        return datasets.Dataset.from_list(made)

    return Rows(part(), part(), "preference")


def fit(rows, tokenizer, method="dpo", **values):
    settings = SimpleNamespace(fields=values)
    found, truncation = fitted(settings, METHODS[method], rows, tokenizer)
    kept = [each["prompt_id"] if each else [] for each in (found.train, found.test)]
    return kept, (truncation.cut, truncation.dropped)


ALL = [f"p{i}" for i in range(6)]


@pytest.mark.parametrize(
    ("method", "values", "left_out", "counts"),
    [
        ("dpo", {"max_length": 40}, {"p1"}, (1, 1)),
        ("reward", {"max_length": 40}, {"p1", "p2"}, (0, 2)),
        ("dpo", {"max_length": 40, "truncation_mode": "keep_end"}, set(), (2, 0)),
        ("dpo", {"max_length": None}, set(), (0, 0)),
        ("dpo", {}, set(), (0, 0)),
    ],
)
def test_rows_of_both_splits_are_left_out_as_the_trainer_does(
    rows, tokenizer, method, values, left_out, counts
):
    kept, found = fit(rows, tokenizer, method, **values)
    assert kept == [[each for each in ALL if each not in left_out]] * 2
    assert found == counts


def test_where_nothing_of_test_fits_there_is_none(rows, tokenizer):
    long = Rows(rows.train, rows.test.select([1]), "preference")
    found, _ = fitted(SimpleNamespace(fields={"max_length": 40}), METHODS["dpo"], long, tokenizer)
    assert found.test is None
    none = Rows(rows.train.select([1]), None, "preference")
    with pytest.raises(InputError, match="max_length: the prompts of all 1 rows fill its 40"):
        fit(none, tokenizer, max_length=40)
    with pytest.raises(InputError, match="max_length: all 2 rows fill its 40"):
        fit(Rows(rows.train.select([1, 2]), None, "preference"), tokenizer, "reward", max_length=40)


def test_the_window_is_that_of_trl_where_nothing_is_said(rows, tokenizer, preference_row):
    row = preference_row(0)
    counts = []
    for words in (900, 1100):
        row["chosen"][0]["content"] = "kind " * words
        part = datasets.Dataset.from_list([row])
        counts.append(fit(Rows(part, None, "preference"), tokenizer)[1])
    assert counts == [(0, 0), (1, 0)]


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ({"packing": True}, (2, 1)),
        ({"packing": True, "packing_strategy": "wrapped"}, (0, 0)),
        ({"packing_strategy": "wrapped"}, (2, 1)),
    ],
)
def test_what_is_split_over_sequences_loses_nothing(tokenizer, sft_row, values, counts):
    made = [sft_row(0), *(sft_row(i, words=49) for i in (1, 2)), sft_row(3)]
    made[3]["prompt"][0]["content"] = "bike " * 40
    rows = Rows(datasets.Dataset.from_list(made), None, "sft")
    assert fit(rows, tokenizer, "sft", max_length=32, **values)[1] == counts


def test_answers_that_are_made_while_training_have_no_window(rows, tokenizer):
    assert fit(rows, tokenizer, "grpo", max_length=1) == ([ALL, ALL], (0, 0))


def test_a_place_counts_through_all_batches(tokenizer, preference_row):
    made = [preference_row(i) for i in range(600)]
    for place in (3, 300, 599):
        made[place]["prompt"][0]["content"] = "bike " * 60
    found = count_truncated(made, tokenizer, ("chosen", "rejected"), 40)
    assert found.dropped_at == (3, 300, 599)
