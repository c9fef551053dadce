"""Ranking candidates from pairwise p's, and asking about as few pairs as that takes."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.rows import draw_unit
from charter.steps.rank import best_and_worst, most_rounds, next_pairs, strengths

Pair = tuple[int, int]
Results = dict[Pair, float]

# A judge's answers: votes of 0, 1/2 and 1, soft ones, and mixtures of both.
_P = st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1)


def _pairs(n: int) -> list[Pair]:
    return [(i, j) for i in range(n) for j in range(i + 1, n)]


@st.composite
def _tables(draw: st.DrawFn, least: int = 2, most: int = 8) -> tuple[int, Results]:
    """A number of candidates and the judge's fixed answer to each of their pairs."""
    n = draw(st.integers(least, most))
    pairs = _pairs(n)
    answers = draw(st.lists(_P, min_size=len(pairs), max_size=len(pairs)))
    return n, dict(zip(pairs, answers, strict=True))


@st.composite
def _partial(draw: st.DrawFn) -> tuple[int, Results]:
    n, full = draw(_tables())
    keep = draw(st.lists(st.booleans(), min_size=len(full), max_size=len(full)))
    return n, {pair: p for (pair, p), kept in zip(full.items(), keep, strict=True) if kept}


def _play(
    n: int, answers: Results, failing: frozenset[Pair] = frozenset(), given: Results | None = None
) -> tuple[Results, list[list[Pair]]]:
    """Ask what `next_pairs` wants until it is settled; pairs in `failing` get no result."""
    results = dict(given or {})
    asked: list[Pair] = []
    rounds: list[list[Pair]] = []
    while pairs := next_pairs(n, results, asked):
        assert len(set(pairs)) == len(pairs)
        assert not set(pairs) & {*results, *asked}
        rounds.append(pairs)
        asked += pairs
        results |= {pair: answers[pair] for pair in pairs if pair not in failing}
    return results, rounds


def _renumbered(results: Results, places: list[int]) -> Results:
    moved: Results = {}
    for (i, j), p in results.items():
        a, b = places[i], places[j]
        moved[min(a, b), max(a, b)] = p if a < b else 1 - p
    return moved


# strengths


def test_a_soft_answer_is_a_difference_in_strength() -> None:
    a, b = strengths(2, {(0, 1): 0.8})
    assert a is not None and b is not None
    assert a == -b
    # The fifth of a drawn game each: 0.1 of a win to both sides.
    assert a - b == pytest.approx(math.log((0.8 + 0.1) / (0.2 + 0.1)))


def test_answers_that_follow_the_model_give_its_strengths_back() -> None:
    true = [1.2, 0.4, -0.1, -0.5, -1.0]
    answers = {(i, j): 1 / (1 + math.exp(true[j] - true[i])) for i, j in _pairs(5)}
    found = strengths(5, answers)
    slope = [f / t for f, t in zip(found, true, strict=True) if f is not None]
    assert all(0.85 < s < 1 for s in slope)  # drawn a little to 0, all alike


def test_the_undefeated_are_finite_and_on_top() -> None:
    found = strengths(16, dict.fromkeys(_pairs(16), 1.0))
    values = [s for s in found if s is not None]
    assert len(values) == 16 and all(map(math.isfinite, values))
    assert values == sorted(values, reverse=True)


def test_who_was_never_compared_has_no_strength() -> None:
    assert strengths(4, {(1, 3): 0.5}) == [None, 0.0, None, 0.0]
    assert strengths(3, {}) == [None, None, None]
    assert strengths(0, {}) == []


@settings(deadline=None)  # the first fit loads `choix`
@given(_partial(), st.randoms(use_true_random=False))
def test_another_numbering_gives_the_same_strengths(table: tuple[int, Results], random) -> None:  # type: ignore[no-untyped-def]
    n, results = table
    places = list(range(n))
    random.shuffle(places)
    found, moved = strengths(n, results), strengths(n, _renumbered(results, places))
    for i in range(n):
        assert moved[places[i]] == (None if found[i] is None else pytest.approx(found[i], abs=1e-9))


@settings(deadline=None)
@given(_partial())
def test_turned_answers_turn_the_signs(table: tuple[int, Results]) -> None:
    n, results = table
    turned = strengths(n, {pair: 1 - p for pair, p in results.items()})
    for a, b in zip(strengths(n, results), turned, strict=True):
        assert b == (None if a is None else pytest.approx(-a, abs=1e-8))


@settings(deadline=None)
@given(_tables())
def test_with_all_pairs_the_order_is_that_of_the_summed_p(table: tuple[int, Results]) -> None:
    n, results = table
    sums = [0.0] * n
    for (i, j), p in results.items():
        sums[i] += p
        sums[j] += 1 - p
    found = strengths(n, results)
    for i, j in _pairs(n):
        a, b = found[i], found[j]
        assert a is not None and b is not None
        if abs(sums[i] - sums[j]) > 1e-6:
            assert (a > b) == (sums[i] > sums[j])


@pytest.mark.parametrize(
    ("results", "what"),
    [
        ({(1, 0): 0.5}, "no pair"),
        ({(0, 0): 0.5}, "no pair"),
        ({(0, 3): 0.5}, "no pair"),
        ({(0, 1): 1.5}, "in \\[0, 1\\]"),
        ({(0, 1): math.nan}, "in \\[0, 1\\]"),
    ],
)
def test_what_is_no_result_is_refused(results: Results, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        strengths(3, results)
    with pytest.raises(ValueError, match=what):
        next_pairs(3, results)


# best_and_worst


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([0.1, 0.5, -0.6], (1, 2)),
        ([0.0, 0.0, 0.0], (0, 2)),
        ([None, -1.0, None, 1.0], (3, 1)),
        ([1.0, 1.0 + 1e-12, -2.0], (0, 2)),  # the same but for rounding
        ([-1e-8, 0.0, 1e-8], (1, 0)),
        ([None, 0.0], None),
        ([], None),
    ],
)
def test_best_and_worst(found: list[float | None], expected: Pair | None) -> None:
    assert best_and_worst(found) == expected


@settings(deadline=None)
@given(st.lists(st.none() | st.floats(-1e-7, 1e-7) | st.floats(-5, 5), max_size=6))
def test_best_and_worst_are_two(found: list[float | None]) -> None:
    pair = best_and_worst(found)
    if sum(s is not None for s in found) < 2:
        assert pair is None
        return
    assert pair is not None
    best, worst = found[pair[0]], found[pair[1]]
    assert pair[0] != pair[1] and best is not None and worst is not None
    assert best >= worst - 2e-8


# next_pairs


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_compare(n: int) -> None:
    assert next_pairs(n, {}) == []
    assert most_rounds(n) == 0


def test_two_candidates_are_one_question() -> None:
    assert next_pairs(2, {}) == [(0, 1)]
    assert next_pairs(2, {(0, 1): 0.5}) == []
    assert next_pairs(2, {}, [(0, 1)]) == []
    assert most_rounds(2) == 1


def test_in_the_first_round_every_candidate_meets_one() -> None:
    for n in range(2, 17):
        met = [i for pair in next_pairs(n, {}) for i in pair]
        assert len(met) == len(set(met)) == n // 2 * 2


def test_a_clear_leader_ends_it_early() -> None:
    true = [0, 0, 6, 0, 0, 0]
    answers = {(i, j): 1 / (1 + math.exp(true[j] - true[i])) for i, j in _pairs(6)}
    results, _ = _play(6, answers)
    assert len(results) <= 7
    assert (best_and_worst(strengths(6, results)) or (-1,))[0] == 2


@settings(deadline=None)
@given(_tables())
def test_it_ends_within_its_bounds(table: tuple[int, Results]) -> None:
    n, answers = table
    _, rounds = _play(n, answers)
    assert len(rounds) <= most_rounds(n)
    assert sum(map(len, rounds)) <= math.comb(n, 2)
    assert all(len(pairs) <= n // 2 for pairs in rounds)


@settings(deadline=None)
@given(_tables(), st.data())
def test_failed_pairs_are_not_asked_again(table: tuple[int, Results], data: st.DataObject) -> None:
    n, answers = table
    failing = data.draw(st.frozensets(st.sampled_from(_pairs(n))))
    results, rounds = _play(n, answers, failing)
    assert not failing & set(results)
    assert len(rounds) <= most_rounds(n)


def test_a_last_round_in_which_a_pair_fails_is_the_last() -> None:
    """Six rounds of four pairs and one of two, in which 2 and 7 get no answer."""
    sure = {(1, 3): 1.0, (1, 5): 0.75, (1, 6): 0.5, (2, 5): 1.0, (2, 6): 0.5, (3, 4): 1.0}
    sure |= {(3, 5): 0.5, (3, 7): 0.75, (5, 6): 1.0, (5, 7): 1.0}
    _, rounds = _play(8, dict.fromkeys(_pairs(8), 0.0) | sure, frozenset({(2, 7)}))
    assert len(rounds) <= most_rounds(8)


@settings(deadline=None)
@given(_tables(), st.data())
def test_pairs_given_as_identical_are_not_asked(
    table: tuple[int, Results], data: st.DataObject
) -> None:
    n, answers = table
    same = dict.fromkeys(data.draw(st.frozensets(st.sampled_from(_pairs(n)))), 0.5)
    results, rounds = _play(n, answers, given=same)
    assert not set(same) & {pair for pairs in rounds for pair in pairs}
    assert len(rounds) <= most_rounds(n)
    assert same.items() <= results.items()


@settings(deadline=None)
@given(_tables(most=6))
def test_full_confidence_finds_the_top_of_all_pairs(table: tuple[int, Results]) -> None:
    n, answers = table
    results: Results = {}
    while pairs := next_pairs(n, results, confidence=1.0):
        results |= {pair: answers[pair] for pair in pairs}
    full = strengths(n, answers)
    best = best_and_worst(strengths(n, results))
    assert best is not None
    found, top = full[best[0]], max(s for s in full if s is not None)
    assert found is not None
    # Chances below what a float can tell from none end it too.
    assert top - found < 1e-6


def test_confidence_is_a_share() -> None:
    with pytest.raises(ValueError, match="confidence"):
        next_pairs(3, {}, confidence=95)


def test_equal_candidates_end() -> None:
    for n in (3, 6, 16):
        results, rounds = _play(n, dict.fromkeys(_pairs(n), 0.5))
        assert len(results) <= math.comb(n, 2)
        assert len(rounds) <= most_rounds(n)


# The figure that the adaptive mode must reach


def _normal(*what: str | int) -> float:
    """A standard normal draw (Box and Muller)."""
    a, b = 1 - draw_unit(13, *what, 0), draw_unit(13, *what, 1)
    return math.sqrt(-2 * math.log(a)) * math.cos(2 * math.pi * b)


def _judged(prompt: int, n: int, spread: float, votes: int) -> Results:
    """Fixed answers of a noisy Bradley-Terry judge: the mean of votes, or soft ones (votes 0)."""
    true = [spread * _normal("strength", prompt, i) for i in range(n)]
    answers: Results = {}
    for i, j in _pairs(n):
        lead = true[i] - true[j]
        if votes:
            p = 1 / (1 + math.exp(-lead))
            wins = sum(draw_unit(13, "vote", prompt, i, j, v) < p for v in range(votes))
            answers[i, j] = wins / votes
        else:
            lead += 0.5 * _normal("noise", prompt, i, j)
            answers[i, j] = 1 / (1 + math.exp(-lead))
    return answers


@pytest.mark.parametrize(("votes", "spread"), [(1, 1.0), (2, 1.0), (2, 2.0), (0, 1.0)])
def test_the_top_of_all_pairs_from_at_most_60_percent(votes: int, spread: float) -> None:
    prompts, n = 200, 6
    same = pairs = 0
    for prompt in range(prompts):
        answers = _judged(prompt, n, spread, votes)
        results, _ = _play(n, answers)
        pairs += len(results)
        found, wanted = (best_and_worst(strengths(n, r)) for r in (results, answers))
        assert found is not None and wanted is not None
        same += found[0] == wanted[0]
    share = pairs / (prompts * len(_pairs(n)))
    print(f"votes {votes}, spread {spread}: same top {same / prompts:.3f}, pairs {share:.3f}")
    assert same / prompts >= 0.95
    assert share <= 0.60


def test_importing_it_loads_no_numbers() -> None:
    code = (
        "import sys, charter.steps.rank as r; r.most_rounds(6); r.next_pairs(6, {});"
        "print(sorted({'numpy', 'scipy', 'choix'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
