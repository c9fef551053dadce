"""Choosing rows for people: the least sure and a fair draw, the same for the same seed."""

from __future__ import annotations

import random
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.review import choose_rows


class Held:
    """As much of a version as choosing reads."""

    def __init__(self, ps, ids=None):
        self.frame = pl.DataFrame(
            {
                "id": ids or [f"p{i:04}#a~b" for i in range(len(ps))],
                "p_chosen": ps,
                "order_consistent": [p > 0.7 for p in ps],
                "other": ["x"] * len(ps),
            },
            schema={
                "id": pl.String,
                "p_chosen": pl.Float64,
                "order_consistent": pl.Boolean,
                "other": pl.String,
            },
        )

    def configs(self):
        return ("preference",) if self.frame.height else ("sft",)

    def rows(self, config, split):
        assert (config, split) == ("preference", None)
        return self.frame


def spread(n):
    return Held([0.5 + (i + 1) / (2 * n) for i in range(n)])


@pytest.mark.parametrize(
    ("rows", "n", "uncertain", "least_sure", "uniform"),
    [
        (100, 20, 0.5, 10, 10),
        (100, 20, 0.0, 0, 20),
        (100, 21, 0.5, 10, 11),
        (100, 3, 0.9, 3, 0),
        (10, 20, 0.5, 10, 0),
        (10, 12, 0.25, 3, 7),
        (10, 10, 0.5, 5, 5),
        (1, 20, 0.5, 1, 0),
        (5, 0, 0.5, 0, 0),
        (0, 20, 0.5, 0, 0),
    ],
)
def test_how_many_are_taken_of_which_kind(rows, n, uncertain, least_sure, uniform):
    chosen = choose_rows(spread(rows) if rows else Held([]), n, 1, uncertain)
    assert len(chosen) == least_sure + uniform
    assert len({c.row_id for c in chosen}) == len(chosen)
    assert [c.row_id for c in chosen[:least_sure]] == [f"p{i:04}#a~b" for i in range(least_sure)]
    assert all(c.inclusion == 1.0 for c in chosen[:least_sure])
    for c in chosen[least_sure:]:
        assert c.inclusion == pytest.approx(uniform / (rows - least_sure))
        assert c.order_consistent == (c.p_chosen > 0.7)


def test_a_draw_hangs_on_seed_and_ids_and_not_on_the_order_of_rows():
    ps = [0.6] * 200
    one = choose_rows(Held(ps), 20, 1)
    assert one == choose_rows(Held(ps), 20, 1)
    assert {c.row_id for c in one} != {c.row_id for c in choose_rows(Held(ps), 20, 2)}
    ids = [f"p{i:04}#a~b" for i in range(200)]
    random.Random(0).shuffle(ids)
    assert choose_rows(Held(ps, ids), 20, 1) == one


def test_the_draw_is_fair():
    counts: Counter[str] = Counter()
    for seed in range(400):
        counts.update(c.row_id for c in choose_rows(spread(40), 10, seed, 0.0))
    assert all(60 < counts[f"p{i:04}#a~b"] < 145 for i in range(40))


@settings(deadline=None)
@given(
    st.lists(st.floats(0.5, 1), max_size=40),
    st.integers(0, 60),
    st.floats(0, 0.99),
    st.integers(0, 2**40),
)
def test_weights_by_inclusion_add_up_to_all_rows(ps, n, uncertain, seed):
    chosen = choose_rows(Held(ps), n, seed, uncertain)
    assert len(chosen) == min(n, len(ps))
    least_sure = min(round(n * uncertain), len(ps))
    drawn = chosen[least_sure:]
    # Horvitz and Thompson: each drawn row stands for 1/inclusion rows.
    if drawn:
        total = least_sure + sum(1 / c.inclusion for c in drawn)
        assert total == pytest.approx(len(ps))
    sure = [c.p_chosen for c in chosen[:least_sure]]
    assert all(p <= other for p in sure for other in sorted(ps)[len(sure) :])
