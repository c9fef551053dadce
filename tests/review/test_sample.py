"""The draw: its size, its chances, and that estimates by them are unbiased."""

from __future__ import annotations

import random
from collections import Counter
from statistics import fmean, stdev

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from versions import version_of

from charter.review import Candidate, candidates, draw_rows
from charter.review.spot_check import Share


def population(n, seed=0):
    """Rows of two principles and two categories, some of them inconsistent."""
    rng = random.Random(seed)
    return [
        Candidate(
            f"p{i}#a~b",
            f"p{i}",
            rng.choice(["kind", "honest", None]),
            rng.choice(["forum", "mail"]),
            0.5 + (1 + rng.randrange(100)) / 202,
            rng.random() < 0.8,
        )
        for i in range(n)
    ]


rows_of = st.lists(
    st.tuples(
        st.sampled_from(["kind", "honest", None]),
        st.sampled_from(["", "forum"]),
        st.floats(0.5, 1, exclude_min=True),
        st.booleans(),
    ),
    max_size=50,
).map(lambda found: [Candidate(f"r{i}", "p", *each) for i, each in enumerate(found)])


@settings(deadline=None)
@given(rows_of, st.integers(0, 60), st.integers(0, 2**40), st.floats(0, 0.99))
def test_a_draw_has_its_size_and_chances_that_add_up(rows, n, seed, uncertain):
    drawn = draw_rows(rows, n, seed, uncertain)
    wanted = min(n, len(rows))
    assert len(drawn) == wanted
    assert len({each.row.row_id for each in drawn}) == wanted
    assert all(0 < each.inclusion <= 1 for each in drawn)
    shares = Counter(each.share for each in drawn)
    asked = min(round(wanted * uncertain), max(wanted - 1, 0))
    assert abs(shares[Share.UNCERTAIN] - asked) <= 1
    assert shares[Share.GOLD] == 0


@settings(deadline=None)
@given(rows_of, st.integers(1, 60), st.integers(0, 2**40), st.randoms(use_true_random=False))
def test_a_draw_hangs_on_seed_and_ids_and_not_on_the_order_of_rows(rows, n, seed, rng):
    mixed = list(rows)
    rng.shuffle(mixed)
    assert draw_rows(rows, n, seed) == draw_rows(mixed, n, seed)


def test_another_seed_is_another_draw():
    rows = population(200)
    one, two = ({e.row.row_id for e in draw_rows(rows, 20, seed, 0.0)} for seed in (1, 2))
    assert one != two


SEEDS = 1200


@pytest.mark.parametrize(("n", "uncertain"), [(12, 0.5), (7, 0.3), (30, 0.6), (9, 0.0)])
def test_the_recorded_chance_is_the_true_one_of_every_row(n, uncertain):
    rows = population(40, seed=n)
    taken: Counter[str] = Counter()
    fair: Counter[str] = Counter()
    said: dict[str, set[float]] = {}
    for seed in range(SEEDS):
        for each in draw_rows(rows, n, seed, uncertain):
            taken[each.row.row_id] += 1
            fair[each.row.row_id] += each.share is Share.UNIFORM
            said.setdefault(each.row.row_id, set()).add(each.inclusion)
    assert len(taken) == len(rows), "a row was never drawn"
    n2 = round(n * uncertain)
    for row_id, chances in said.items():
        (chance,) = chances
        # Five standard errors: one in two million for each of 200 rows.
        room = 5 * (chance * (1 - chance) / SEEDS) ** 0.5 + 1e-12
        assert abs(taken[row_id] / SEEDS - chance) <= room
        share = (n - n2) / len(rows)
        assert abs(fair[row_id] / SEEDS - share) <= 5 * (share * (1 - share) / SEEDS) ** 0.5
    assert sum(next(iter(chances)) for chances in said.values()) == pytest.approx(n)


def test_weights_by_the_chances_give_unbiased_totals_though_doubtful_rows_differ():
    rows = population(60, seed=5)
    # People agree with sure labels and not with doubtful ones: a plain mean would be far off.
    agree = {row.row_id: float(row.p_chosen > 0.7) for row in rows}
    truth = sum(agree.values())
    totals, plain, fair = [], [], []
    for seed in range(800):
        drawn = draw_rows(rows, 20, seed, 0.5)
        totals.append(sum(agree[e.row.row_id] / e.inclusion for e in drawn))
        plain.append(fmean(agree[e.row.row_id] for e in drawn))
        uniform = [e.row.row_id for e in drawn if e.share is Share.UNIFORM]
        fair.append(sum(agree[row_id] for row_id in uniform) * len(rows) / 10)
    for found in (totals, fair):
        assert abs(fmean(found) - truth) < 5 * stdev(found) / len(found) ** 0.5
    assert abs(fmean(plain) - truth / 60) > 0.1


def test_after_an_earlier_draw_the_total_is_what_is_known_and_an_estimate_of_the_rest():
    rows = population(50, seed=9)
    agree = {row.row_id: float(row.p_chosen > 0.75) for row in rows}
    totals = []
    for seed in range(800):
        first = {e.row.row_id for e in draw_rows(rows, 12, seed, 0.5)}
        left = [row for row in rows if row.row_id not in first]
        second = draw_rows(left, 12, seed, 0.5)
        assert not first & {e.row.row_id for e in second}
        known = sum(agree[row_id] for row_id in first)
        totals.append(known + sum(agree[e.row.row_id] / e.inclusion for e in second))
    room = 5 * stdev(totals) / len(totals) ** 0.5
    assert abs(fmean(totals) - sum(agree.values())) < room


def test_each_principle_and_cell_gets_its_part():
    rows = [
        Candidate(f"{principle}{source}{i}", "p", principle, source, 0.95)
        for principle, count in (("a", 60), ("b", 30), ("c", 10))
        for source in ("x", "y")
        for i in range(count)
    ]
    for seed in range(50):
        drawn = draw_rows(rows, 20, seed, 0.0)
        by_principle = Counter(each.row.principle_id for each in drawn)
        assert by_principle == {"a": 12, "b": 6, "c": 2}
        assert Counter(each.row.stratum for each in drawn)["a/x/0.9-1"] == 6


def test_the_uncertain_share_has_the_nearest_to_half_and_the_inconsistent():
    rows = [Candidate(f"r{i}", "p", "kind", "", 0.51 + i / 250, i % 40 != 39) for i in range(120)]
    doubted = [e.row for e in draw_rows(rows, 12, 3, 0.5) if e.share is Share.UNCERTAIN]
    # Of 120 rows the pool has 7: in turn the nearest to 0.5 and the inconsistent ones.
    assert {row.row_id for row in doubted} <= {"r0", "r1", "r2", "r3", "r39", "r79", "r119"}
    assert 5 <= len(doubted) <= 7
    assert doubted == sorted(doubted, key=lambda row: row.p_chosen)


def test_rows_without_confidence_come_by_the_uniform_share():
    rows = [Candidate(f"r{i}", "p", "kind", "") for i in range(30)]
    drawn = draw_rows(rows, 10, 1, 0.5)
    assert {each.share for each in drawn} == {Share.UNIFORM}
    assert {each.inclusion for each in drawn} == {1 / 3}
    assert drawn[0].row.stratum == "kind/-/-"


@pytest.mark.parametrize(
    ("p", "cell"), [(0.500001, "0.5-0.6"), (0.6, "0.5-0.6"), (0.61, "0.6-0.75"), (1.0, "0.9-1")]
)
def test_a_stratum_names_principle_category_and_confidence(p, cell):
    assert Candidate("r", "p", "kind", "forum", p).stratum == f"kind/forum/{cell}"
    assert Candidate("r", "p", None, "", p).stratum == f"-/-/{cell}"


class Overruled:
    """A version in which people have overruled the label of p0."""

    def __init__(self, version):
        self._version = version
        self.configs = version.configs

    def rows(self, config, split=None):
        frame = self._version.rows(config, split)
        said = pl.when(pl.col("id") == "p0#a~b").then(pl.lit("human"))
        return frame.with_columns(said.otherwise("label_source").alias("label_source"))


def test_candidates_are_rows_with_an_ai_label(tmp_path):
    def change(rows):
        rows["preference"][1]["principle_ids"] = ["kind", "other"]
        for row, last in zip(rows["preference"][2:4], "st", strict=True):
            row["source"] = "s" * 499 + last
        rows["sft"][2]["revisions"] *= 2  # two rounds under one principle

    version = version_of(tmp_path, 8, change)
    found = {row.row_id: row for row in candidates(Overruled(version), "preference")}
    assert "p0#a~b" not in found
    assert found["p3#a~b"].principle_id is None
    assert found["p4#a~b"].principle_id == "kind"
    one, other = (found[f"p{i}#a~b"].category for i in (4, 5))
    assert len(one) == len(other) == 200 and one[:150] == other[:150] == "s" * 150
    assert one != other
    test = [row.row_id for row in candidates(version, "preference", "test")]
    assert test == ["p3#a~b"]
    revised = {row.row_id: row for row in candidates(version, "sft")}
    assert set(revised) == {"p3#sft", "p5#sft", "p7#sft"}
    plain = revised["p3#sft"]
    assert (plain.principle_id, plain.p_chosen, plain.order_consistent) == ("kind", None, True)
