"""From votes to a label: the rule of the design, and the laws that it must obey."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charter.constitutions import load_constitution, shipped_constitutions
from charter.models.call import Answer
from charter.rows import Order
from charter.steps.keep import kept
from charter.steps.label import KeepRule, label_votes
from charter.steps.votes import logprob_vote

P_OF = {"A": 1.0, "TIE": 0.5, "B": 0.0, "UNPARSED": None}


def vote(principle, order, verdict, p_a=..., log_odds=None, error=""):
    return {
        "principle_id": principle,
        "order": order,
        "verdict": verdict,
        "p_a": P_OF[verdict] if p_a is ... else p_a,
        "log_odds": log_odds,
        "error": error,
    }


def text_votes(*verdicts):
    """Votes from pairs of letters: `AB` is A in order AB and B in order BA; `-` is unparsed."""
    full = {"A": "A", "B": "B", "T": "TIE", "-": "UNPARSED"}
    return [
        vote(f"p{i}", order, full[letter])
        for i, pair in enumerate(verdicts)
        for order, letter in zip(("AB", "BA"), pair, strict=True)
    ]


def odds_votes(*pairs):
    """Votes from pairs of log-odds of A, in order AB and in order BA."""
    return [
        vote(
            f"p{i}",
            order,
            "A" if x > 0 else "B" if x < 0 else "TIE",
            1 / (1 + math.exp(-x)),
            x,
        )
        for i, pair in enumerate(pairs)
        for order, x in zip(("AB", "BA"), pair, strict=True)
    ]


def label(votes, weights=None, **rule):
    return label_votes(votes, KeepRule(**rule), weights or {})


@pytest.mark.parametrize(
    ("votes", "winner", "reason", "p_a", "n", "consistent"),
    [
        (["AA"], "A", "", 1.0, 2, True),
        (["BB"], "B", "", 0.0, 2, True),
        (["AB"], "", "TIE", 0.5, 2, False),
        (["BA"], "", "TIE", 0.5, 2, False),
        (["TT"], "", "TIE", 0.5, 2, False),
        (["AT"], "", "INCONSISTENT", 0.75, 2, False),
        (["TB"], "", "INCONSISTENT", 0.25, 2, False),
        (["A-"], "", "UNPARSED", None, 1, False),
        (["--"], "", "UNPARSED", None, 0, False),
        (["A-", "B-"], "", "UNPARSED", None, 2, False),
        (["AA", "--"], "A", "", 1.0, 2, True),
        (["AA", "A-"], "A", "", 1.0, 3, True),
        (["A-", "-A"], "A", "", 1.0, 2, True),
        (["A-", "-B"], "", "TIE", 0.5, 2, False),
        (["AA", "AA", "BB"], "A", "", 2 / 3, 6, True),
        (["AA", "AB", "BB"], "", "TIE", 0.5, 6, False),
        (["AA", "AB", "TT"], "", "INCONSISTENT", 4 / 6, 6, False),
        (["AA", "BB", "-A"], "", "INCONSISTENT", (0.5 + 2 / 3) / 2, 5, False),
        ([], "", "UNPARSED", None, 0, False),
    ],
    ids=str,
)
def test_verdicts_to_a_label(votes, winner, reason, p_a, n, consistent):
    found = label(text_votes(*votes))
    assert (found.winner, found.reason, found.n_votes) == (winner, reason, n)
    assert found.order_consistent is consistent
    assert found.p_a == (p_a if p_a is None else pytest.approx(p_a))
    assert bool(found.detail) == bool(reason)


def test_a_failed_call_is_told_from_a_text_that_cannot_be_read():
    votes = [vote("p", "AB", "A"), vote("p", "BA", "UNPARSED", error="the server is down")]
    assert label(votes).reason == "CALL_FAILED" and label(votes).detail.startswith(
        "the server is down"
    )
    longer = [{**vote, "overflow": bool(vote["error"])} for vote in votes]
    assert label(longer).reason == "CONTEXT_OVERFLOW"
    # A failure that takes no order away takes no label away.
    votes += [vote("q", "BA", "A")]
    assert label(votes).winner == "A"


def test_weights_weigh_principles():
    votes = text_votes("AA", "BB")
    assert label(votes, {"p0": 2.0, "p1": 1.0}).p_a == pytest.approx(2 / 3)
    assert label(votes, {"p0": 1.0, "p1": 3.0}).winner == "B"
    assert label(votes, {"p0": 2.0, "p1": 2.0}).reason == "TIE"
    # A weight that a constitution does not have is 1.
    assert label(votes, {"p0": 3.0}).p_a == pytest.approx(0.75)


@pytest.mark.parametrize("n", [3, 6, 7, 10, 60])
def test_equal_weight_on_both_sides_is_a_tie_however_the_sums_round(n):
    weights = {f"p{i}": w for i, w in enumerate([0.1, 0.2, 0.3, 0.7, 1.1] * 12)}
    votes = text_votes(*["AB" if i % 2 else "BA" for i in range(n)])
    assert label(votes, weights, keep="margin").reason == "TIE"


@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize("share", [0.6, 0.7, 0.8, 0.9])
def test_boundaries_hold_for_both_candidates_alike(share, turn):
    """Seven votes of ten are 0.2 from one half, for A as for B, whatever floats make of 0.7."""
    ahead = round(share * 10)
    votes = text_votes(*["AA"] * ahead, *["BB"] * (10 - ahead))
    if turn:
        votes = text_votes(*["BB"] * ahead, *["AA"] * (10 - ahead))
    margin = round(share - 0.5, 1)
    assert label(votes, keep="margin", min_margin=margin).winner == "AB"[turn]
    assert label(votes, keep="margin", min_margin=margin + 0.001).reason == "BELOW_MARGIN"
    assert label(votes, tie_band=margin).reason == "TIE"
    assert label(votes, tie_band=margin - 0.001).winner == "AB"[turn]


def test_the_rules_come_in_their_order():
    # TIE before INCONSISTENT before (under margin) BELOW_MARGIN.
    assert label(text_votes("AT"), tie_band=0.25).reason == "TIE"
    assert label(text_votes("AT"), tie_band=0.24).reason == "INCONSISTENT"
    margin = {"keep": "margin", "min_margin": 0.3}
    assert label(text_votes("AT"), **margin).reason == "BELOW_MARGIN"
    assert label(text_votes("AT"), tie_band=0.3, **margin).reason == "TIE"
    assert label(text_votes("A-"), tie_band=0.3, **margin).reason == "UNPARSED"
    assert "orders disagree" in label(text_votes("AT")).detail
    assert "orders agree" in label(text_votes("AA", "AA", "BB"), tie_band=0.2).detail
    # A margin is asked for under `keep: margin` alone.
    assert label(text_votes("AA", "AA", "BB"), min_margin=0.3).winner == "A"
    kept_anyway = label(text_votes("AT"), keep="margin", min_margin=0.25)
    assert kept_anyway.winner == "A" and not kept_anyway.order_consistent


@pytest.mark.parametrize("bias", [0.0, 0.3, 3.0, 20.0, 45.0, 300.0])
@pytest.mark.parametrize("truth", [0.0, 0.4, -2.5])
def test_a_judge_that_likes_a_place_is_cancelled(bias, truth):
    """In terms of the candidates a place's bias adds in one order and takes off in the other."""
    found = label(odds_votes((truth + bias, truth - bias)), mode="logprob", keep="margin")
    if truth == 0:
        assert found.reason == "TIE" and found.p_a == pytest.approx(0.5)
    else:
        assert found.p_a == pytest.approx(1 / (1 + math.exp(-truth)))
        assert found.winner == ("A" if truth > 0 else "B")
    assert found.order_consistent == (abs(truth) > bias)


def test_a_biased_judge_is_cancelled_from_its_answers_on():
    """The whole way: what the judge's tokens say of the places shown."""
    votes = []
    for order in Order:
        shown = {"A": -0.0 if order is Order.AB else -0.4, "B": -50.0}
        cast = logprob_vote(Answer(label_logprobs=shown), order)
        votes.append(vote("p", order.value, cast.verdict.value, cast.p_a, cast.log_odds))
    # p is 1 and 2e-22: only the odds still say that the answer in order AB was the surer one.
    assert votes[0]["p_a"] == 1.0
    found = label(votes, mode="logprob", keep="margin")
    assert found.winner == "A" and found.p_a == pytest.approx(1 / (1 + math.exp(-0.2)))


def test_votes_without_odds_have_those_of_their_p():
    votes = [vote("p", "AB", "A", 1.0), vote("p", "BA", "B", 0.0)]
    assert label(votes, mode="logprob", keep="margin").reason == "TIE"
    votes = [vote("p", "AB", "A", 0.9), vote("p", "BA", "A", 0.6)]
    odds = math.sqrt(0.9 / 0.1 * 0.6 / 0.4)
    assert label(votes, mode="logprob").p_a == pytest.approx(odds / (1 + odds))
    assert label(turned(votes), mode="logprob").p_a == pytest.approx(1 / (1 + odds))


def test_a_principle_that_was_read_in_one_order_only_does_not_bias_log_odds():
    votes = [*odds_votes((1.0, 1.0)), vote("q", "AB", "B", 0.01, -4.6)]
    found = label(votes, mode="logprob", keep="margin")
    assert found.p_a == pytest.approx(1 / (1 + math.exp(-1))) and found.n_votes == 3
    # With no principle in both orders there is nothing to cancel: the orders' means are averaged.
    votes = [vote("p", "AB", "A", 0.9, 2.2), vote("q", "BA", "A", 0.7, 0.85)]
    assert label(votes, mode="logprob").p_a == pytest.approx(0.8)


def test_orders_that_agree_against_the_merged_odds_are_not_consistent():
    odds = [(1.646, -2.867), (-8.204, 2.661), (8.812, 0.780)]
    assert label(odds_votes(*odds), mode="logprob").reason == "INCONSISTENT"
    found = label(odds_votes(*odds), mode="logprob", keep="margin")
    assert found.winner == "B" and not found.order_consistent
    by_order = [sum(1 / (1 + math.exp(-x)) for x in xs) / 3 for xs in zip(*odds, strict=True)]
    assert min(by_order) > 0.5  # each order alone says A


VERDICTS = st.sampled_from(["A", "B", "TIE", "UNPARSED"])
WEIGHTS = st.dictionaries(
    st.sampled_from([f"p{i}" for i in range(5)]), st.floats(0.01, 100), max_size=5
)
RULES = st.builds(
    KeepRule,
    keep=st.sampled_from(["consistent", "margin"]),
    min_margin=st.sampled_from([0.0, 0.1, 0.25, 0.4]) | st.floats(0, 0.49),
    tie_band=st.sampled_from([0.0, 0.05, 0.25]) | st.floats(0, 0.49),
    mode=st.sampled_from(["verdict", "logprob"]),
)


@st.composite
def votes_of_a_pair(draw):
    count = draw(st.integers(1, 5))
    if draw(st.booleans()):
        return [
            vote(f"p{i}", order, draw(VERDICTS)) for i in range(count) for order in ("AB", "BA")
        ]
    odds = st.floats(-60, 60) | st.sampled_from([0.0, 1.0, -1.0])
    votes = odds_votes(*[(draw(odds), draw(odds)) for _ in range(count)])
    return [
        vote(v["principle_id"], v["order"], "UNPARSED") if draw(st.integers(0, 3)) == 0 else v
        for v in votes
    ]


def turned(votes):
    """The same votes with the candidates' names exchanged."""
    names = {"A": "B", "B": "A", "TIE": "TIE", "UNPARSED": "UNPARSED"}
    return [
        {
            **v,
            "order": "BA" if v["order"] == "AB" else "AB",
            "verdict": names[v["verdict"]],
            "p_a": None if v["p_a"] is None else 1 - v["p_a"],
            "log_odds": None if v["log_odds"] is None else -v["log_odds"],
        }
        for v in votes
    ]


@settings(deadline=None, max_examples=300)
@given(votes_of_a_pair(), RULES, WEIGHTS)
def test_exchanging_the_candidates_exchanges_the_winner_and_nothing_else(votes, rule, weights):
    one = label_votes(votes, rule, weights)
    two = label_votes(turned(votes), rule, weights)
    margin = None if one.p_a is None else abs(one.p_a - 0.5)
    # On a boundary, 1 - p rounds where p does not.
    assume(margin is None or min(abs(margin - rule.tie_band), abs(margin - rule.min_margin)) > 1e-8
           or margin in (0.0, 0.25, 0.5))  # fmt: skip
    assert two.winner == {"A": "B", "B": "A", "": ""}[one.winner]
    assert (two.reason, two.n_votes, two.order_consistent) == (
        one.reason,
        one.n_votes,
        one.order_consistent,
    )
    if one.p_a is not None:
        assert two.p_a == pytest.approx(1 - one.p_a, abs=1e-12)
        assert two.p_chosen == pytest.approx(one.p_chosen, abs=1e-12)


@settings(deadline=None, max_examples=300)
@given(votes_of_a_pair(), RULES, WEIGHTS)
def test_a_label_is_a_winner_or_a_reason(votes, rule, weights):
    found = label_votes(votes, rule, weights)
    assert bool(found.winner) != bool(found.reason)
    assert bool(found.reason) == bool(found.detail)
    if found.winner:
        assert 0.5 < found.p_chosen <= 1
        assert found.winner == ("A" if found.p_a > 0.5 else "B")
        assert found.p_chosen - 0.5 > rule.tie_band
        if rule.keep == "consistent":
            assert found.order_consistent
        else:
            assert found.p_chosen - 0.5 >= rule.min_margin - 1e-8
    elif found.p_a is not None:
        assert 0 <= found.p_a <= 1
    assert found.n_votes == sum(v["verdict"] != "UNPARSED" for v in votes)


@settings(deadline=None, max_examples=300)
@given(votes_of_a_pair(), RULES, WEIGHTS, st.lists(st.tuples(st.integers(0, 9), st.booleans())))
def test_votes_that_cannot_be_read_change_nothing(votes, rule, weights, more):
    before = label_votes(votes, rule, weights)
    unread = [vote(f"p{i}", "AB" if order else "BA", "UNPARSED") for i, order in more]
    after = label_votes([*unread, *votes, *unread], rule, weights)
    assert (after.winner, after.reason, after.p_a, after.n_votes, after.order_consistent) == (
        before.winner,
        before.reason,
        before.p_a,
        before.n_votes,
        before.order_consistent,
    )


@settings(deadline=None, max_examples=200)
@given(votes_of_a_pair(), RULES, WEIGHTS, st.randoms(use_true_random=False))
def test_the_order_in_which_votes_come_changes_nothing(votes, rule, weights, chance):
    one = label_votes(votes, rule, weights)
    mixed = list(votes)
    chance.shuffle(mixed)
    two = label_votes(mixed, rule, weights)
    assert two.p_a == (None if one.p_a is None else pytest.approx(one.p_a, abs=1e-12))
    assert two.n_votes == one.n_votes


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(0, 400)), min_size=1, max_size=5), WEIGHTS)
def test_a_bias_to_a_place_never_changes_p(truths, weights):
    fair = label(odds_votes(*[(t, t) for t, _ in truths]), weights, mode="logprob")
    biased = label(odds_votes(*[(t + b, t - b) for t, b in truths]), weights, mode="logprob")
    assert biased.p_a == pytest.approx(fair.p_a, abs=1e-9)


CONCISE = load_constitution(shipped_constitutions()["concise"])


def candidates(*texts):
    return [{"slot": f"s{i}", "text": text, "model": "m"} for i, text in enumerate(texts)]


def test_equal_candidates_are_identical_and_their_votes_count_for_nothing():
    row = {
        "prompt": "x",
        "prompt_id": "p",
        "candidates": candidates("Yes.", " yes.\n", "No."),
        "votes": [
            {**v, "comparison_id": pair}
            for pair in ("p#s0~s1", "p#s0~s2", "p#s1~s2")
            for v in text_votes("AA")
        ],
    }
    labels = kept(row, KeepRule(), CONCISE)["labels"]
    assert [(found["pair_id"], found["winner"], found["reason"]) for found in labels] == [
        ("p#s0~s1", "", "IDENTICAL"),
        ("p#s0~s2", "A", ""),
        ("p#s1~s2", "A", ""),
    ]
    assert labels[0]["n_votes"] == 0 and labels[0]["principle_ids"] == []


def test_a_pair_without_votes_is_unparsed_not_lost():
    row = {"prompt": "x", "prompt_id": "p", "candidates": candidates("a", "b")}
    (found,) = kept(row, KeepRule(), CONCISE)["labels"]
    assert found["reason"] == "UNPARSED" and found["p_a"] is None


def test_a_label_names_the_principles_that_were_read():
    votes = [
        {**v, "comparison_id": "p#s0~s1"}
        for v in [vote("plain-words", "AB", "UNPARSED"), *text_votes("AA", "-A")]
    ]
    row = {"prompt": "x", "prompt_id": "p", "candidates": candidates("a", "b"), "votes": votes}
    (found,) = kept(row, KeepRule(), CONCISE)["labels"]
    assert found["principle_ids"] == ["p0", "p1"] and found["n_votes"] == 3


def test_the_weights_are_the_constitutions():
    votes = [
        {**v, "comparison_id": "p#s0~s1", "principle_id": name}
        for name, pair in (("brief", "AA"), ("keep-what-matters", "BB"))
        for v in text_votes(pair)
    ]
    row = {"prompt": "x", "prompt_id": "p", "candidates": candidates("a", "b"), "votes": votes}
    (found,) = kept(row, KeepRule(), CONCISE)["labels"]
    assert found["winner"] == "B" and found["p_a"] == pytest.approx(1 / 2.5)
    assert row["candidates"] and "labels" not in row  # the row that came in is as it was
