"""Win rates, length taken out, and ratings."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.errors import InputError
from charter.evals.answers import answers_of_file, read_asked
from charter.evals.bradley_terry import elo_ratings, points
from charter.evals.winrate import Game, game_of, win_rates
from charter.evals.winrate_page import winrate_page
from charter.stats import Estimate


def _vote(order: str, verdict: str, principle: str = "p") -> dict[str, Any]:
    p_a = {"A": 1.0, "B": 0.0, "TIE": 0.5}.get(verdict)
    return {"order": order, "verdict": verdict, "p_a": p_a, "principle_id": principle}


def _game(votes: list[dict[str, Any]], texts: tuple[str, str] = ("one", "other")) -> Game:
    return game_of(("p1", "c"), ("x", "y"), texts, votes, "verdict", {})


VERDICTS = [
    ("A", "A", 1.0, True),
    ("B", "B", 0.0, True),
    ("A", "B", 0.5, False),  # always the first
    ("TIE", "TIE", 0.5, False),
    ("A", "TIE", 1.0, False),
]


@pytest.mark.parametrize(("ab", "ba", "score", "consistent"), VERDICTS)
def test_a_game_is_what_both_orders_say(ab: str, ba: str, score: float, consistent: bool) -> None:
    game = _game([_vote("AB", ab), _vote("BA", ba)])
    assert (game.score, game.consistent) == (score, consistent)


def test_answers_that_are_the_same_are_a_tie_and_no_verdict_is_none() -> None:
    same = _game([])
    assert (same.score, same.reason) == (0.5, "IDENTICAL")
    unread = _game([_vote("AB", "UNPARSED"), _vote("BA", "A")])
    assert (unread.score, unread.p, unread.reason) == (None, None, "UNPARSED")
    found = win_rates(["x", "y"], [same, unread])
    assert (found.pairs[0].ties, dict(found.pairs[0].without)) == (1, {"UNPARSED": 1})
    assert any("1 games have no verdict" in warning for warning in found.warnings)


def test_a_judge_that_takes_the_first_is_named() -> None:
    games = [_game([_vote("AB", "A"), _vote("BA", "B")]) for _ in range(20)]
    found = win_rates(["x", "y"], games)
    assert found.first_position.value == 1.0
    assert any("shown first in 100%" in warning for warning in found.warnings)
    assert any("both orders in 0% of the games only" in warning for warning in found.warnings)
    assert found.pairs[0].rate.value == 0.5 and not found.pairs[0].better
    assert found.pairs[0].as_json()["better"] is None
    won = [_game([_vote("AB", "B"), _vote("BA", "B")]) for _ in range(20)]
    assert win_rates(["x", "y"], won).pairs[0].as_json()["better"] == "y"
    # Answers that are the same were shown in no order.
    assert win_rates(["x", "y"], [*games, _game([])]).order_consistency == found.order_consistency


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["A", "B", "TIE", "UNPARSED"]),
            st.sampled_from(["A", "B", "TIE", "UNPARSED"]),
            st.integers(1, 400),
            st.integers(1, 400),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_the_other_model_has_the_other_part(rows: list[tuple[str, str, int, int]]) -> None:
    swap = {"A": "B", "B": "A"}
    ours, theirs = [], []
    for number, (ab, ba, one, other) in enumerate(rows):
        texts = ("x" * one, "y" * other)
        prompt = (f"p{number}", "")
        votes = [_vote("AB", ab), _vote("BA", ba)]
        ours.append(game_of(prompt, ("x", "y"), texts, votes, "verdict", {}))
        turned = [_vote("BA", swap.get(ab, ab)), _vote("AB", swap.get(ba, ba))]
        theirs.append(game_of(prompt, ("y", "x"), texts[::-1], turned, "verdict", {}))
    a, b = win_rates(["x", "y"], ours), win_rates(["y", "x"], theirs)
    one, other = a.pairs[0], b.pairs[0]
    assert (one.wins, one.ties, one.losses) == (other.losses, other.ties, other.wins)
    for mine, yours in ((one.rate, other.rate), (one.controlled, other.controlled)):
        assert mine.n == yours.n
        if mine.value is None:
            assert yours.value is None
        else:
            assert mine.value == pytest.approx(1 - yours.value, abs=1e-4)


def _simulated(n: int, theta: float, per_length: float, seed: int) -> list[Game]:
    """Games whose winner hangs on quality and on length, the first model's being longer."""
    random = np.random.default_rng(seed)
    games = []
    for number in range(n):
        ours, theirs = int(random.integers(200, 800)), int(random.integers(100, 400))
        lead = math.log((ours + 1) / (theirs + 1))
        won = random.random() < 1 / (1 + math.exp(-(theta + per_length * lead)))
        games.append(
            Game(f"p{number}", "", "x", "y", float(won), float(won), "", True, ours, theirs)
        )
    return games


def test_length_is_taken_out() -> None:
    equal = win_rates(["x", "y"], _simulated(3000, 0.0, 2.0, 1)).pairs[0]
    assert equal.rate.low is not None and equal.rate.low > 0.7  # longer answers win
    assert equal.controlled.value == pytest.approx(0.5, abs=0.07)
    better = win_rates(["x", "y"], _simulated(3000, 1.0, 0.0, 2)).pairs[0]
    assert better.controlled.value == pytest.approx(1 / (1 + math.exp(-1)), abs=0.07)
    assert better.better == "x"


def test_two_models_are_rated_by_their_odds() -> None:
    """Closed form of two: 400 log10 of the odds, with the drawn game added."""
    prompts = [{("x", "y"): 1.0}] * 30 + [{("x", "y"): 0.0}] * 10
    found = elo_ratings(["x", "y"], prompts)
    assert found["x"].value == 1000.0 and found["x"].low is None
    assert found["y"].value == pytest.approx(1000 + 400 * math.log10(10.5 / 30.5), abs=1e-3)
    assert found["y"].low is not None and found["y"].low < found["y"].value < found["y"].high
    assert found["y"].n == 40


def test_ratings_come_back_from_simulated_games() -> None:
    truth = {"a": 1000.0, "b": 1100.0, "c": 900.0, "d": 1250.0}
    names = list(truth)
    covered = total = 0
    for seed in range(12):
        random = np.random.default_rng(seed)
        prompts = []
        for _ in range(150):
            games = {}
            for i, one in enumerate(names):
                for other in names[i + 1 :]:
                    p = 1 / (1 + 10 ** ((truth[other] - truth[one]) / 400))
                    games[(one, other)] = float(random.random() < p)
            prompts.append(games)
        found = elo_ratings(names, prompts, seed=seed, replicates=200)
        for name in names[1:]:
            each = found[name]
            assert abs(each.value - truth[name]) < 130
            covered += each.low <= truth[name] <= each.high
            total += 1
    assert covered / total > 0.8  # of 36; 95 % is meant


def test_a_rating_is_told_with_its_interval_where_it_has_one() -> None:
    assert points(Estimate(1043.2, 1002, 1090, 9)) == "1043 [1002, 1090]"
    assert points(Estimate(1000, None, None, 9)) == "1000"
    assert points(Estimate(None, None, None, 0)) == "no figure"


def test_who_wins_all_and_who_never_played() -> None:
    found = elo_ratings(["x", "y", "z"], [{("x", "y"): 1.0}] * 6)
    # Resampling what is always the same finds no doubt, and six games are no certainty.
    assert found["y"].low is None and found["y"].high is None
    assert math.isfinite(found["y"].value) and found["y"].value < 1000
    assert found["z"].value is None and found["z"].n == 0
    assert elo_ratings(["x", "y"], [])["x"].value is None


def test_the_page_shows_texts_as_texts() -> None:
    games = [
        Game(f"p{i}", f"<script>{i % 2}", "<b>x", "y", float(i % 2), 0.5, "", True, 5, 9)
        for i in range(12)
    ]
    shown = winrate_page(win_rates(["<b>x", "y"], games), {"y": 3})
    assert "<b>x" not in shown and "<script>" not in shown and "&lt;script&gt;1" in shown
    assert "y gave no answer to 3 prompts" in shown


def test_a_rating_below_nothing_is_drawn_nowhere() -> None:
    games = [Game(f"p{i}", "", "x", "y", 1.0, 0.9, "", True, 5, 9) for i in range(400)]
    found = win_rates(["x", "y"], games)
    assert found.elo["y"].value is not None and found.elo["y"].value < 0
    assert not re.search(r'(width|height)="-', winrate_page(found, {}))


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_prompts_and_answers_are_read(tmp_path: Path) -> None:
    file = _write(
        tmp_path / "p.jsonl",
        [{"id": i, "prompt": f"Q {i}?", "category": "ab"[i % 2]} for i in range(10)],
    )
    assert [prompt.id for prompt in read_asked(file)] == [str(i) for i in range(10)]
    few = read_asked(file, 4, 1)
    assert len(few) == 4 and few == read_asked(file, 4, 1) != read_asked(file, 4, 2)
    assert {prompt.category for prompt in read_asked(file, categories={"a"})} == {"a"}
    with pytest.raises(InputError, match='category "c"'):
        read_asked(file, categories={"c"})
    prompts = read_asked(file)
    said = _write(
        tmp_path / "a.jsonl",
        [
            {"id": 1, "response": "one"},
            {"prompt": "Q 2?", "completion": "<think>hm</think>two"},
            {"id": 99, "text": "-"},
        ],
    )
    found = answers_of_file(said, prompts)
    assert found.texts == {"1": "one", "2": "two"} and len(found.failed) == 8
    twice = _write(
        tmp_path / "b.jsonl", [{"id": 1, "text": "a"}, {"id": 1, "text": "b"}, {"id": 2}]
    )
    with pytest.raises(InputError) as caught:
        answers_of_file(twice, prompts)
    assert [fault.what for fault in caught.value.faults] == [
        'a second answer to "1"',
        "has no answer that is text",
    ]
