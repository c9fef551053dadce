"""Quality, its interval, and diversity."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.evals.depth import Prefilled, depth_figures
from charter.evals.measure import JudgedAnswer
from charter.evals.refusal import Refusal
from charter.improve.figures import (
    CategoryFigures,
    RoundFigures,
    categories_of,
    distinct,
    quality_of,
)
from charter.recipes.improve import QualitySettings
from charter.stats import Estimate, wilson

EVEN = QualitySettings()
counts = st.builds(
    CategoryFigures, st.integers(0, 40), st.integers(0, 40), st.integers(0, 9), st.integers(0, 9)
).filter(lambda c: c.n > 0)
rates = st.integers(1, 60).flatmap(lambda n: st.integers(0, n).map(lambda k: wilson(k, n)))


@st.composite
def measured(draw):
    categories = {"harmful": draw(counts), "benign": draw(counts), "borderline": draw(counts)}
    win = draw(rates)
    return RoundFigures(
        draw(st.integers(0, 9)),
        categories,
        ("harmful",),
        win,
        draw(rates),
        draw(rates),
        draw(st.none() | st.floats(0, 1e4)),
        draw(st.none() | st.floats(0, 1)),
        draw(st.floats(0, 1)),
    )


@given(measured())
def test_figures_come_back_from_json(found):
    assert RoundFigures.from_json(json.loads(json.dumps(found.as_json()))) == found


@given(measured())
def test_figures_of_before_depths_were_measured_are_read(found):
    old = found.as_json()
    del old["depth"], old["depth_notes"]
    assert RoundFigures.from_json(old) == found


@given(measured(), st.lists(st.floats(0, 3), min_size=36, max_size=36), rates)
def test_a_depth_comes_back_from_json(found, kl, rate):
    figures = depth_figures(np.array(kl).reshape(6, 6), [Prefilled(0, rate, 0)])
    deep = replace(found, depth=figures, depth_notes=("2 prompts left out",))
    assert RoundFigures.from_json(json.loads(json.dumps(deep.as_json(), allow_nan=False))) == deep


@given(measured(), st.floats(0, 5), st.floats(0.01, 5))
def test_quality_lies_in_its_interval_and_in_0_to_1(found, behaviour, preference):
    quality = quality_of(found, QualitySettings(behaviour=behaviour, preference=preference))
    assert 0 <= quality.low <= quality.value + 1e-12
    assert quality.value - 1e-12 <= quality.high <= 1


@given(measured())
def test_one_weight_alone_is_that_part(found):
    liked = quality_of(found, QualitySettings(behaviour=0.0))
    assert liked.value == pytest.approx(found.win_base.value)
    assert (liked.low, liked.high) == pytest.approx((found.win_base.low, found.win_base.high))
    behaves = quality_of(found, QualitySettings(preference=0.0))
    refused, answered = found.refused_harmful.value, found.answered_harmless.value
    assert behaves.value == pytest.approx((refused + answered) / 2)


def test_quality_by_hand(figures):
    # (30 % refused + 80 % answered) / 2 = 0.55; with a win rate of 0.65: 0.6.
    found = figures(1, refused=30, over=20, win=0.65)
    quality = quality_of(found, EVEN)
    assert quality.value == pytest.approx(0.6)
    # MOVER by hand: weights 1/4, 1/4 and 1/2; the win rate here has no width.
    below = (0.25 * (0.3 - wilson(30, 100).low)) ** 2 + (0.25 * (0.8 - wilson(80, 100).low)) ** 2
    assert quality.low == pytest.approx(0.6 - below**0.5)


@pytest.mark.parametrize("share", [0, 100])
def test_refusing_everything_is_as_bad_as_refusing_nothing(figures, share):
    assert quality_of(figures(1, refused=share, over=share), EVEN).value == pytest.approx(0.5)


def test_without_a_verdict_there_is_no_quality_unless_it_has_no_weight(figures):
    found = figures(1, win=None)
    assert quality_of(found, EVEN).value is None
    assert quality_of(found, QualitySettings(preference=0.0)).value is not None


def test_an_empty_answer_is_never_right():
    answers = [
        JudgedAnswer("a", "harmful", "", Refusal.EMPTY),
        JudgedAnswer("b", "benign", "", Refusal.EMPTY),
        JudgedAnswer("c", "harmful", "no", Refusal.PARTIAL),
        JudgedAnswer("d", "benign", "yes", Refusal.COMPLIANCE),
        JudgedAnswer("e", "benign", "", None, error="gone"),
    ]
    found = categories_of(answers)
    assert found["harmful"] == CategoryFigures(1, 0, 1, 0)
    assert found["benign"] == CategoryFigures(0, 1, 1, 1)
    assert list(found) == ["harmful", "benign"]


def test_distinct_by_hand():
    assert distinct(["a b c", "A b d"]) == pytest.approx(3 / 4)  # a b, b c, a b, b d
    assert distinct(["a b"] * 10) == pytest.approx(0.1)
    assert distinct(["a", ""]) is None
    assert distinct([]) is None


@given(st.lists(st.text("ab ", max_size=30), max_size=8), st.integers(1, 3))
def test_distinct_is_a_share(texts, n):
    found = distinct(texts, n)
    assert found is None or 0 < found <= 1


def test_only_the_first_words_count():
    head = " ".join(f"w{i}" for i in range(40))
    assert distinct([f"{head} {'x ' * 500}"]) == distinct([head]) == 1.0


def test_round_0_is_even_with_itself(figures):
    assert RoundFigures(0, {}, ()).win_base == Estimate(0.5, 0.5, 0.5, 0)
