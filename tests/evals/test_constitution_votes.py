"""The audit of a constitution, from votes whose makers are known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.evals.constitution_report import audit_page, findings
from charter.evals.constitution_votes import measure_constitution
from charter.stats import wilson
from charter.steps.label import KeepRule

CONSISTENT = KeepRule()
SWAP = {"A": "B", "B": "A", "TIE": "TIE", "UNPARSED": "UNPARSED"}
P_OF = {"A": 1.0, "B": 0.0, "TIE": 0.5, "UNPARSED": None}


def vote(pair, principle, order, verdict, sample=0, **more):
    return {
        "comparison_id": pair,
        "principle_id": principle,
        "order": order,
        "sample": sample,
        "verdict": verdict,
        "p_a": P_OF[verdict],
        **more,
    }


def judged(judges, n=40, samples=2):
    """Votes of principles, each a function of (pair number, order, sample) to a verdict."""
    return [
        [
            vote(f"pair{i}", name, order, judge(i, order, sample), sample)
            for name, judge in judges.items()
            for order in ("AB", "BA")
            for sample in range(samples)
        ]
        for i in range(n)
    ]


def truth(i, order="AB", sample=0):
    return "A" if (i * 7919) % 5 < 2 else "B"


def opposite(i, order, sample):
    return SWAP[truth(i)]


def noisy(error, seed):
    """The truth, but for some pairs."""

    def judge(i, order, sample):
        wrong = random.Random(f"{seed} {i}").random() < error
        return SWAP[truth(i)] if wrong else truth(i)

    return judge


def coin(i, order, sample):
    return random.Random(f"coin {i} {order} {sample}").choice("AB")


def measured(judges, rule=CONSISTENT, weights=None, **more):
    return measure_constitution(list(judges), judged(judges, **more), rule, weights or {})


def by_id(found):
    return {p.principle_id: p for p in found.principles}


def test_a_principle_that_votes_against_another_contradicts_it():
    found = measured({"x": truth, "y": opposite, "z": noisy(0.3, 1)})
    (pair,) = [a for a in found.contradictions if a.principles == ("x", "y")]
    assert pair.share.value == 0.0 and pair.share.n == 40
    assert pair.share == wilson(0, 40)
    assert pair.kappa == pytest.approx(-0.92, abs=0.02)
    assert pair.p == 2.0**-40
    assert not [a for a in found.contradictions if set(a.principles) == {"x", "z"}]
    assert any("x and y contradict" in line for line in findings(found))


def test_a_copy_is_redundant_and_says_so_only_with_enough_pairs():
    judges = {"x": truth, "copy": truth, "other": noisy(0.4, 2)}
    found = measured(judges)
    assert [a.principles for a in found.redundant] == [("x", "copy")]
    assert found.redundant[0].kappa == 1.0
    few = measured(judges, n=20)
    assert few.redundant == []
    assert any("takes 35 pairs" in line and "at most 20" in line for line in findings(few))
    assert not any("takes 35 pairs" in line for line in findings(found))


def test_a_principle_that_is_read_by_chance_is_unreliable():
    found = by_id(measured({"x": truth, "coin": coin}))
    assert not found["x"].unreliable
    assert found["x"].order_consistency.value == found["x"].retest.value == 1.0
    assert found["coin"].unreliable == "orders"
    assert 0.2 < found["coin"].order_consistency.value < 0.8
    assert found["coin"].retest.n == 80
    # Few pairs are no ground for such a word.
    assert not by_id(measured({"coin": coin}, n=9))["coin"].unreliable


def test_a_principle_that_is_steady_in_each_order_and_not_when_asked_again():
    def moody(i, order, sample):
        return random.Random(f"mood {i} {sample}").choice("AB")

    found = by_id(measured({"moody": moody}))["moody"]
    assert found.order_consistency.value == 1.0
    assert found.unreliable == "retest"


def test_a_judge_that_takes_the_first_place():
    def first(i, order, sample):
        return order[0]

    found = measured({"x": truth, "first": first})
    each = by_id(found)["first"]
    assert each.first_position.value == 1.0 and each.first_position.n == 80
    assert each.order_consistency.value == 0.0 and each.retest.value == 1.0
    assert each.applies.value == 0.0 and each.unreliable == "place"
    assert not any("unreliable" in line for line in findings(found))
    assert by_id(found)["x"].first_position.value == 0.5
    assert any("shown first under 1 of 2 principles (first)" in line for line in findings(found))
    assert any("first decides hardly any" in line for line in findings(found))


def test_ties_and_unread_votes_are_counted_and_never_decide():
    def tied(i, order, sample):
        return "TIE" if i % 2 else truth(i)

    def garbled(i, order, sample):
        return "UNPARSED" if i % 4 == 0 else truth(i)

    found = by_id(measured({"tied": tied, "garbled": garbled}))
    assert found["tied"].ties.value == 0.5 and found["tied"].applies.value == 0.5
    assert found["garbled"].unparsed.value == 0.25 and found["garbled"].unparsed.n == 160
    assert found["garbled"].applies.value == 0.75
    assert found["garbled"].order_consistency.n == 30 and found["garbled"].retest.n == 60


def test_failed_calls_are_said():
    votes = judged({"x": truth, "y": truth})
    for each in votes[0]:
        each.update(verdict="UNPARSED", p_a=None, error="no answer")
    found = measure_constitution(["x", "y"], votes, CONSISTENT, {})
    assert by_id(found)["x"].failed == 4
    assert any("x: 4 calls failed" in line for line in findings(found))


def test_a_heavy_principle_flips_labels_and_a_light_one_does_not():
    judges = {"x": truth, "heavy": opposite, "light": truth}
    found = measured(judges, weights={"x": 1.0, "heavy": 5.0, "light": 0.1})
    flips = {f.principle_id: f for f in found.flips}
    assert flips["heavy"].changed.value == flips["heavy"].reversed.value == 1.0
    assert flips["light"].changed.value == 0.0
    assert flips["x"].changed.value == 0.0
    assert found.again.value == 0.0
    assert any(line.startswith("Most labels hang on heavy") for line in findings(found))


def test_a_label_that_is_lost_is_changed_and_not_reversed():
    # Without x the other two are even: a tie.
    found = measured({"x": truth, "y": truth, "z": opposite})
    x = next(f for f in found.flips if f.principle_id == "x")
    assert (x.changed.value, x.reversed.value) == (1.0, 0.0)


def test_what_changes_when_asked_again_is_set_beside_the_flips():
    def moody(i, order, sample):
        return SWAP[truth(i)] if sample else truth(i)

    found = measured({"x": moody, "y": moody})
    assert found.again.value == 1.0
    once = measured({"x": truth, "y": truth}, samples=1)
    assert once.again.value is None and by_id(once)["x"].retest.value is None


def test_one_principle_alone_has_no_agreement_and_no_flips():
    found = measured({"x": truth})
    assert found.agreement == () and found.flips == () and found.matrix() == [[1.0]]
    assert findings(found) == ["Nothing stands out on these pairs."]


def test_no_pair_gives_no_figure():
    found = measure_constitution(["x", "y"], [], CONSISTENT, {})
    assert found.pairs == 0
    assert by_id(found)["x"].applies.as_json() == {"value": None, "low": None, "high": None, "n": 0}
    assert found.agreement[0].share.value is None and not found.agreement[0].contradicts
    audit_page("t", [], [], found)


def test_log_odds_are_averaged_over_the_orders_as_labels_are():
    rule = KeepRule(keep="margin", min_margin=0.02, mode="logprob")

    def odds(pair, name, order, value):
        p = 1 / (1 + math.exp(-value))
        verdict = "A" if value > 0 else "B"
        return vote(pair, name, order, verdict, log_odds=value) | {"p_a": p}

    # A strong pull to the first place on top of a small preference for A.
    votes = [
        [
            odds(f"p{i}", "x", "AB", 3.0),
            odds(f"p{i}", "x", "BA", -2.5),
            odds(f"p{i}", "y", "AB", 3.0),
            odds(f"p{i}", "y", "BA", -3.01),
        ]
        for i in range(20)
    ]
    found = by_id(measure_constitution(["x", "y"], votes, rule, {}))
    assert found["x"].applies.value == 1.0 and found["x"].order_consistency.value == 0.0
    assert found["y"].applies.value == 0.0  # within the margin


def test_votes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="no principle here"):
        measure_constitution(["x"], judged({"y": truth}, n=1), CONSISTENT, {})
    one = judged({"x": truth}, n=1)
    with pytest.raises(ValueError, match="two votes"):
        measure_constitution(["x"], [*one, *one], CONSISTENT, {})


def test_many_coins_seldom_contradict_each_other():
    """Twenty constitutions of ten principles that are coins: 900 pairs, held to 5 % each time."""
    false_alarms = 0
    for trial in range(20):

        def judge(name, trial=trial):
            return lambda i, order, sample: random.Random(f"{trial} {name} {i}").choice("AB")

        found = measured({str(name): judge(name) for name in range(10)}, n=30, samples=1)
        false_alarms += bool(found.contradictions)
    assert false_alarms <= 3


VERDICTS = st.sampled_from(["A", "B", "TIE", "UNPARSED"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(VERDICTS, min_size=12, max_size=12), max_size=8),
    st.randoms(use_true_random=False),
)
def test_swapping_the_candidates_changes_no_figure_and_the_order_of_votes_neither(table, shuffle):
    names = ["x", "y", "z"]
    places = [(n, o, s) for n in names for o in ("AB", "BA") for s in (0, 1)]
    votes = [
        [vote(f"p{i}", n, o, v, s) for (n, o, s), v in zip(places, row, strict=True)]
        for i, row in enumerate(table)
    ]
    turned = [
        [{**v, "verdict": SWAP[v["verdict"]], "order": v["order"][::-1]} for v in pair]
        for pair in votes
    ]
    for pair in turned:
        for each in pair:
            each["p_a"] = P_OF[each["verdict"]]
        shuffle.shuffle(pair)
    weights = {"x": 1.5, "y": 1.0, "z": 0.25}
    ours = measure_constitution(names, votes, CONSISTENT, weights).as_json()
    theirs = measure_constitution(names, turned, CONSISTENT, weights).as_json()
    assert theirs == ours
    for one in names:
        for other in names:
            if one != other:
                assert ours["agreement"][one][other] == ours["agreement"][other][one]
    shares = [s for p in ours["principles"].values() for s in p.values() if isinstance(s, dict)]
    assert all(s["value"] is None or s["low"] <= s["value"] <= s["high"] for s in shares)


def test_the_page_escapes_what_stands_in_it():
    evil = "<img src=x onerror=alert(1)>"
    found = measured({evil: truth, "y": opposite})
    page = audit_page(evil, [("Judge", evil)], [], found)
    assert "<img" not in page and "&lt;img" in page
    assert "contradict" in page and "svg" in page
    assert "No warning." in audit_page("t", [], [], None)
