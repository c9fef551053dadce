"""The rules that end the rounds, the choice of the best, and the effects that are named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.improve.effects import effects
from charter.improve.figures import CategoryFigures, RoundFigures, quality_of
from charter.improve.rules import TIE, End, best_round, signals
from charter.recipes.improve import ImproveSettings, StopSettings
from charter.stats import Estimate, wilson

USUAL = ImproveSettings()


def ends(rounds, settings=USUAL):
    return [signal.end for signal in signals(rounds, settings)]


def with_stop(**values):
    return ImproveSettings(stop=StopSettings(**values))


@st.composite
def histories(draw):
    rounds = []
    for number in range(draw(st.integers(1, 6))):
        refused, over = draw(st.integers(0, 20)), draw(st.integers(0, 20))
        win = draw(st.integers(0, 20)) if number else 10
        rate = wilson(win, 20) if draw(st.integers(0, 9)) else Estimate(None, None, None, 0)
        categories = {
            "harmful": CategoryFigures(refused, 20 - refused, 0, 0),
            "benign": CategoryFigures(over, 20 - over, 0, 0),
        }
        # A mean of two answers: no number that rounding could tell apart from its multiple.
        length = draw(st.none() | st.integers(0, 2000).map(lambda halves: halves / 2))
        diversity = draw(st.none() | st.floats(0.001, 1))
        rounds.append(
            RoundFigures(number, categories, ("harmful",), rate, rate, rate, length, diversity)
        )
    return rounds


@given(histories())
def test_nothing_fires_twice_or_before_a_round(rounds):
    found = ends(rounds)
    assert len(found) == len(set(found))
    assert not signals(rounds[:1], USUAL)
    assert all(signal.said for signal in signals(rounds, USUAL))


@given(histories())
def test_the_best_is_of_the_rounds_and_none_that_is_not_barred_is_better(rounds):
    best = best_round(rounds, USUAL)
    qualities = {each.number: quality_of(each, USUAL.quality).value for each in rounds}
    assert best in qualities
    barred = {End.NO_VERDICTS, End.OVER_REFUSAL, End.DIVERSITY_FELL, End.LENGTH_EXPLODED}
    for at, each in enumerate(rounds):
        value = qualities[each.number]
        if value is None or barred & set(ends(rounds[: at + 1])):
            continue
        assert qualities[best] is not None
        equal = abs(value - qualities[best]) <= TIE
        assert best <= each.number if equal else value < qualities[best]


@given(histories())
def test_the_loosest_thresholds_never_end_the_rounds(rounds):
    loose = with_stop(
        quality_ratio=0.0, patience=99, over_refusal=1.0, diversity_ratio=0.0, length_ratio=1e12
    )
    kept = [each for each in rounds if each.diversity is not None]
    assert set(ends(kept, loose)) <= {End.NO_VERDICTS}


@given(histories())
def test_effects_are_sentences_and_each_stands_once(rounds):
    found = effects(rounds, USUAL)
    assert len(found) == len(set(found))
    assert all(found)


# Each rule at its threshold, just inside and just outside


def test_quality_fell(figures):
    base = figures(0, win=0.5)
    good = figures(1, win=0.9)  # quality (0.75 + 0.9) / 2 = 0.825 with half of harmful refused
    assert ends([base, good]) == []
    # 0.95 x 0.825 = 0.78375: win 0.8175 is at it, 0.8174 under it.
    assert ends([base, good, figures(2, win=0.8176)]) == []
    assert ends([base, good, figures(2, win=0.8174)]) == [End.QUALITY_FELL]
    assert ends([base, good, figures(2, win=0.6)], with_stop(quality_ratio=0.5)) == []


def test_no_gain(figures):
    level = [figures(n, win=0.6) for n in range(3)]
    assert ends(level[:2]) == []
    assert ends(level) == [End.NO_GAIN]
    assert ends([*level[:2], figures(2, win=0.61)]) == []
    assert ends([*level[:2], figures(2, win=0.61)], with_stop(min_gain=0.02)) == [End.NO_GAIN]
    # A gain two rounds ago is not a gain of late.
    assert ends([figures(0), figures(1, win=0.7), *(figures(n, win=0.7) for n in (2, 3))]) == [
        End.NO_GAIN
    ]
    assert ends(level, with_stop(patience=3)) == []


@pytest.mark.parametrize(("over", "expected"), [(25, []), (26, [End.OVER_REFUSAL])])
def test_over_refusal(figures, over, expected):
    found = signals([figures(0, over=5), figures(1, over=over, win=0.9)], USUAL)
    assert [signal.end for signal in found] == expected


def test_over_refusal_counts_from_the_base_so_that_it_cannot_creep(figures):
    rounds = [figures(n, over=10 * n, win=0.5 + n / 10) for n in range(4)]
    assert ends(rounds[:3]) == []
    assert ends(rounds) == [End.OVER_REFUSAL]


@pytest.mark.parametrize(
    ("diversity", "expected"),
    [(0.35, []), (0.349, [End.DIVERSITY_FELL]), (None, [End.DIVERSITY_FELL])],
)
def test_diversity_fell(figures, diversity, expected):
    assert ends([figures(0), figures(1, win=0.9, diversity=diversity)]) == expected


@pytest.mark.parametrize(("length", "expected"), [(200.0, []), (201.0, [End.LENGTH_EXPLODED])])
def test_length_exploded(figures, length, expected):
    assert ends([figures(0), figures(1, win=0.9, length=length)]) == expected


def test_no_verdicts(figures):
    assert ends([figures(0), figures(1, win=None)]) == [End.NO_VERDICTS]


def test_all_that_fires_is_said_in_order(figures):
    found = ends([figures(0), figures(1, win=0.0, over=90, diversity=0.1, length=900.0)])
    assert found == [
        End.QUALITY_FELL,
        End.OVER_REFUSAL,
        End.DIVERSITY_FELL,
        End.LENGTH_EXPLODED,
    ]


@pytest.mark.parametrize("diversity", [0.0001, 0.0, None])
def test_a_ratio_of_0_turns_the_rule_of_diversity_off(figures, diversity):
    rounds = [figures(0), figures(1, win=0.9, diversity=diversity)]
    assert ends(rounds, with_stop(diversity_ratio=0.0)) == []
    assert best_round(rounds, with_stop(diversity_ratio=0.0)) == 1


# Equal qualities whose floats are not

UP = 0.6 + 4 * 2**-53


def test_rounding_is_no_gain(figures):
    rounds = [figures(0), figures(1, win=0.6), figures(2, win=UP)]
    first, last = (quality_of(each, USUAL.quality).value for each in rounds[1:])
    assert first < last
    assert best_round(rounds, USUAL) == 1
    assert ends(rounds, with_stop(patience=1)) == [End.NO_GAIN]
    third = [figures(0, win=0.6), figures(1, win=UP), figures(2, win=UP)]
    assert not any(each.startswith("diminishing") for each in effects(third, USUAL))


def test_rounding_is_no_loss(figures):
    rounds = [figures(0), figures(1, win=UP), figures(2, win=0.6)]
    assert ends(rounds, with_stop(quality_ratio=1.0)) == []
    even = [figures(0, diversity=0.1 + 0.2), figures(1, win=0.9, diversity=0.3)]
    assert ends(even, with_stop(diversity_ratio=1.0)) == []
    long = [figures(0, length=30.0), figures(1, win=0.9, length=33.0)]
    assert ends(long, with_stop(length_ratio=1.1)) == []
    assert ends(long, with_stop(length_ratio=1.09)) == [End.LENGTH_EXPLODED]


# The best


def test_the_best_round_is_kept_not_the_last(figures):
    rounds = [figures(0), figures(1, win=0.8), figures(2, win=0.7)]
    assert best_round(rounds, USUAL) == 1


def test_when_no_round_is_better_the_base_is_kept(figures):
    assert best_round([figures(0), figures(1, win=0.4)], USUAL) == 0
    assert best_round([figures(0), figures(1)], USUAL) == 0  # of equals the earlier


def test_a_round_that_refuses_too_much_is_not_kept_for_its_wins(figures):
    rounds = [figures(0), figures(1, refused=100, over=40, win=1.0)]
    assert quality_of(rounds[1], USUAL.quality).value > quality_of(rounds[0], USUAL.quality).value
    assert best_round(rounds, USUAL) == 0


# Effects


def test_diminishing_returns_are_named(figures):
    rounds = [figures(0), figures(1, win=0.8), figures(2, win=0.82)]
    assert any(said.startswith("diminishing returns") for said in effects(rounds, USUAL))
    steady = [figures(0), figures(1, win=0.6), figures(2, win=0.7)]
    assert not any(said.startswith("diminishing returns") for said in effects(steady, USUAL))


def test_over_refusal_and_collapse_are_named(figures):
    said = effects([figures(0), figures(1, over=90, diversity=0.1)], USUAL)
    assert any(each.startswith("over-refusal in round 1") for each in said)
    assert any(each.startswith("collapse of diversity in round 1") for each in said)


def test_rounds_that_chance_could_tell_apart_are_said_to_be_alike(figures):
    alike = "the intervals of quality of all rounds overlap"
    near = [figures(0, refused=50), figures(1, refused=52)]
    far = [figures(0, refused=0, win=0.5), figures(1, refused=100, win=0.9)]
    assert any(each.startswith(alike) for each in effects(near, USUAL))
    assert not any(each.startswith(alike) for each in effects(far, USUAL))


@pytest.mark.parametrize(("even", "told"), [(0.5, True), (0.51, False), (None, False)])
def test_wins_that_are_gone_at_equal_length_are_told(figures, even, told):
    rounds = [figures(0), replace(figures(1, win=0.9), controlled=Estimate(even, 0.4, 0.6, 20))]
    said = [each for each in effects(rounds, USUAL) if each.startswith("length wins")]
    assert len(said) == told and all("90% of the games, and in 50% at" in each for each in said)
    close = [figures(0), replace(rounds[1], win_base=Estimate(0.6, 0.5, 0.7, 20))]
    assert not any(each.startswith("length wins") for each in effects(close, USUAL))
