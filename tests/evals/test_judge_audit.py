"""The audit of a judge: figures by hand, what must not change them, and real judges' votes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.evals.judge_audit import audit_judge
from charter.evals.judge_figures import FIGURES
from charter.evals.judge_page import audit_page
from charter.evals.judge_pairs import comparisons
from charter.evals.judge_votes import JudgedVote, read_votes, swapped, votes_of_rows
from charter.rows import Order, Verdict
from charter.steps.keep import KeepRule, label_votes
from charter.steps.verdict import Labels

A, B, TIE, UNPARSED = Verdict.A, Verdict.B, Verdict.TIE, Verdict.UNPARSED


def both(pair, ab, ba, human=A, **more):
    """The votes on a pair in both orders."""
    return [
        JudgedVote(pair, order, verdict, human=human, **more)
        for order, verdict in ((Order.AB, ab), (Order.BA, ba))
    ]


def test_figures_by_hand():
    votes = [
        *both("right", A, A, length_a=9, length_b=3),
        *both("wrong", B, B, length_a=3, length_b=9),
        *both("first", A, B, length_a=5, length_b=5),
        *both("unread", A, UNPARSED),
        *both("tie", TIE, TIE, human=TIE, length_a=2, length_b=4),
        *both("alone", A, A, human=None),
        JudgedVote("half", Order.AB, A, human=A),
    ]
    audit = audit_judge(votes)
    found = {name: (each.value, each.n) for name, each in audit.figures.estimates.items()}
    assert found["accuracy"] == (1.5 / 4, 4)
    assert found["accuracy_decided"] == (0.5, 2)
    assert found["accuracy_ab"] == (4 / 5, 5)
    assert found["accuracy_ba"] == (1 / 4, 4)
    assert found["accuracy_both"] == (1 / 4, 4)
    assert found["order_consistency"] == (3 / 6, 6)
    # A first in AB, and B first in BA, are votes for the first place.
    assert found["first_position_rate"] == (pytest.approx(7 / 10), 10)
    assert found["tie_rate"] == (pytest.approx(2 / 13), 13)
    assert found["unparsed_rate"] == (pytest.approx(1 / 13), 13)
    assert found["longer_wins"] == (1.0, 2)
    assert found["people_longer_wins"] == (0.5, 2)
    assert found["length_controlled_accuracy"] == (None, 3)
    assert audit.figures.counts["one_order"] == 1
    assert audit.figures.counts["ties"] == 2
    assert audit.figures.counts["without_label"] == 1
    assert audit.figures.counts["people_not_asked"] == 1
    assert any("one order only" in warning for warning in audit.warnings)
    assert any("1 of 13 votes" in warning for warning in audit.warnings)


def test_an_unread_vote_disagrees_with_no_other():
    audit = audit_judge([*both("x", A, A), *both("y", B, B), *both("z", A, UNPARSED)])
    assert audit.figures["votes_alpha"].value == 1


def test_without_people_the_figures_that_need_none_are_there():
    audit = audit_judge([*both("x", A, A, human=None), *both("y", A, B, human=None)])
    got = audit.as_json()
    for name in ("accuracy", "accuracy_ab", "cohen_kappa", "ece", "people_longer_wins"):
        assert got[name] == {"value": None, "low": None, "high": None, "n": 0}
    assert got["order_consistency"]["value"] == 0.5
    assert got["first_position_rate"]["value"] == 0.75
    assert "no labels of people" in " ".join(got["warnings"])


def test_votes_of_one_order_alone_make_labels_with_a_warning():
    votes = [vote for i in range(6) for vote in both(f"c{i}", A, A)[:1]]
    audit = audit_judge(votes)
    assert audit.figures["accuracy"].value == 1
    assert audit.figures["accuracy_both"].value is None
    assert audit.figures["order_consistency"].value is None
    assert "no comparison was asked in both orders" in audit.warnings[0]


def test_groups_have_their_own_figures():
    votes = [
        *both("x", A, A, principle_id="kind", category="one"),
        *both("x", B, B, principle_id="short", category="one"),
        *both("y", A, B, principle_id="kind", category="two", length_a=3, length_b=30),
    ]
    audit = audit_judge(votes)
    kind = audit.groups["by_principle"]["kind"]
    assert kind["order_consistency"].value == 0.5 and kind.counts["comparisons"] == 2
    assert audit.groups["by_principle"]["short"]["accuracy"].value == 0
    assert set(audit.groups["by_category"]) == {"one", "two"}
    assert set(audit.groups["by_length"]) == {"over 4 times"}
    assert audit.groups["by_judge"] == {}


def test_two_judges_are_two_comparisons():
    votes = both("x", A, A, judge_model="m1") + both("x", B, B, judge_model="m2")
    audit = audit_judge(votes)
    assert audit.figures.counts["comparisons"] == 2
    assert audit.groups["by_judge"]["m1"]["accuracy"].value == 1
    assert "2 judges" in audit.warnings[0] and "too narrow" in audit.warnings[0]


def test_people_who_say_two_things_of_a_pair_are_refused():
    with pytest.raises(ValueError, match="not the same"):
        audit_judge(both("x", A, A) + both("x", A, A, human=B, judge_model="m2"))


def test_a_longer_is_better_judge_is_found_out():
    # Always for the longer one; people prefer the longer one in three of four pairs.
    votes = []
    for i in range(80):
        human, length = (A, 100) if i % 4 else (B, 60 + i)
        votes += both(f"c{i}", A, A, human=human, length_a=length, length_b=20)
    found = audit_judge(votes).figures
    assert found["longer_wins"].value == 1
    assert found["people_longer_wins"].value == 0.75
    assert found["accuracy"].value == found["accuracy_both"].value == 0.75
    controlled = found["length_controlled_accuracy"]
    # Being right is all length here: at no difference nothing is left but chance.
    assert controlled.value == pytest.approx(0.5, abs=0.15) and controlled.low < 0.5
    fair = [vote for i in range(80) for vote in both(f"c{i}", A, A, length_a=i % 9, length_b=i % 7)]
    assert audit_judge(fair).figures["length_controlled_accuracy"].value > 0.95


def test_people_on_a_part_say_something_of_all():
    votes = []
    for i in range(600):
        sure = 0.55 + i % 40 / 100
        right = i * 7919 % 100 / 100 < sure
        human = (A if right else B) if i % 6 == 0 else None
        for order in Order:
            votes.append(JudgedVote(f"c{i}", order, A, p_a=sure, human=human))
    audit = audit_judge(votes)
    powered = audit.powered
    assert audit.partly_seen
    assert powered.ppi_accuracy.n == powered.classical_accuracy.n == 100
    assert powered.ppi_accuracy == powered.ppi_win_rate
    assert powered.ppi_accuracy.low < 0.745 < powered.ppi_accuracy.high
    sampled = audit_judge(votes, sampling={f"c{i}": 6.0 for i in range(600)})
    assert sampled.powered.classical_accuracy.value == powered.classical_accuracy.value
    with pytest.raises(ValueError, match="sampling"):
        audit_judge(votes, sampling={})
    some = audit_judge(votes, published={f"c{i}" for i in range(60)})
    assert some.powered.ppi_accuracy.n == 10 and some.figures["accuracy"].n == 100


PROBABILITIES = st.floats(0.001, 0.999)
VOTES = st.lists(
    st.builds(
        lambda pair, order, verdict, p, principle, sample: JudgedVote(
            f"c{pair}", order, verdict, p_a=p, principle_id=principle, sample=sample
        ),
        st.integers(0, 4),
        st.sampled_from(list(Order)),
        st.sampled_from(list(Verdict)),
        st.none() | PROBABILITIES,
        st.sampled_from(["", "kind", "short"]),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=30,
)
HUMANS = st.dictionaries(st.integers(0, 4), st.sampled_from([A, B, TIE]))
LENGTHS = st.dictionaries(st.integers(0, 4), st.tuples(st.integers(0, 99), st.integers(0, 99)))


def _known(votes, humans, lengths):
    full = []
    for vote in votes:
        pair = int(vote.comparison_id[1:])
        a, b = lengths.get(pair, (None, None))
        full.append(replace(vote, human=humans.get(pair), length_a=a, length_b=b))
    return full


def _renamed(vote):
    """The same vote with the candidates' names exchanged: who was first stays first."""
    return replace(
        vote,
        order=Order.BA if vote.order is Order.AB else Order.AB,
        verdict=swapped(vote.verdict),
        p_a=None if vote.p_a is None else 1 - vote.p_a,
        human=None if vote.human is None else swapped(vote.human),
        length_a=vote.length_b,
        length_b=vote.length_a,
    )


@given(VOTES, HUMANS, LENGTHS)
def test_figures_do_not_depend_on_which_candidate_is_called_a(votes, humans, lengths):
    votes = _known(votes, humans, lengths)
    one, two = audit_judge(votes).figures, audit_judge([_renamed(v) for v in votes]).figures
    exchanged = {"accuracy_ab": "accuracy_ba", "accuracy_ba": "accuracy_ab"}
    for name in FIGURES:
        mine, theirs = one[name], two[exchanged.get(name, name)]
        assert mine.n == theirs.n
        assert (mine.value is None) == (theirs.value is None)
        if mine.value is not None:
            assert mine.value == pytest.approx(theirs.value, abs=1e-5), name
    assert one.counts == two.counts


@given(VOTES, HUMANS, LENGTHS)
def test_every_figure_is_a_share_or_there_is_none(votes, humans, lengths):
    got = audit_judge(_known(votes, humans, lengths)).as_json()
    for name in FIGURES:
        value, low, high = (got[name][key] for key in ("value", "low", "high"))
        assert got[name]["n"] >= 0
        if value is not None:
            least = -1 if name in ("cohen_kappa", "krippendorff_alpha", "votes_alpha") else 0
            assert math.isfinite(value) and least - 1e-9 <= value <= 1 + 1e-9
        if low is not None:
            assert low <= value <= high
    assert all(got[name]["value"] is None or got[name]["n"] for name in FIGURES)


@given(VOTES)
def test_a_label_here_is_the_label_of_the_engine(votes):
    for each in comparisons(votes):
        rows = [
            {
                "principle_id": vote.principle_id,
                "order": vote.order.value,
                "verdict": vote.verdict.value,
                "p_a": {A: 1.0, B: 0.0, TIE: 0.5}.get(vote.verdict)
                if vote.p_a is None
                else vote.p_a,
            }
            for vote in each.votes
        ]
        # What is 0, 0.5 or 1 throughout is a count of verdicts, not a probability.
        soft = any(vote.p_a not in (None, 0.0, 0.5, 1.0) for vote in each.votes)
        rule = KeepRule(keep="margin", mode="logprob" if soft else "verdict")
        label = label_votes(rows, rule, {})
        if each.both_orders:
            assert (each.p_a is None) == (label.p_a is None)
            assert each.p_a is None or each.p_a == pytest.approx(label.p_a, abs=1e-9)


P_OF_MODE = {
    "verdict": st.sampled_from([0.0, 0.5, 1.0]),
    "vote": st.sampled_from([0.0, 0.5, 1.0]),
    # what is nearly or wholly certain, and exactly open
    "logprob": st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
    "cot": st.sampled_from([0.4, 0.45, 0.5, 0.55, 0.6]),
}
WEIGHTS = {"kind": 1.0, "short": 2.0, "true": 0.5}


@st.composite
def rows_of(draw, mode, orders):
    """The votes on one pair, some unread and some never given."""
    rows = []
    for name in draw(st.lists(st.sampled_from([*WEIGHTS]), min_size=1, unique=True)):
        drawn = draw(st.sampled_from(["AB", "BA"]))
        for order in ("AB", "BA") if orders == "both" else (drawn,):
            for sample in range(draw(st.integers(0, 3 if mode == "vote" else 1))):
                p = draw(st.none() | P_OF_MODE[mode])
                said = UNPARSED if p is None else TIE if p == 0.5 else A if p > 0.5 else B
                vote = {"principle_id": name, "order": order, "verdict": said.value, "p_a": p}
                rows.append({**vote, "comparison_id": "c", "sample": sample})
    return rows


@pytest.mark.parametrize("orders", ["both", "single"])
@pytest.mark.parametrize("mode", P_OF_MODE)
@given(st.data())
def test_a_winner_here_is_the_labels_winner_in_each_mode(mode, orders, data):
    rows = data.draw(rows_of(mode, orders))
    rule = KeepRule(keep="margin", mode=mode, orders=orders)
    label = label_votes(rows, rule, WEIGHTS)
    found = comparisons(votes_of_rows(rows, {}, weights=WEIGHTS, rule=rule))
    if not found:
        return
    (each,) = found
    if orders == "both" and not each.both_orders:
        return  # an order that was never asked: the audit takes the other one alone
    assert each.label.value == (label.winner or label.reason)
    assert (each.p_a is None) == (label.p_a is None)
    assert each.p_a is None or each.p_a == pytest.approx(label.p_a, abs=1e-9)


def test_clamped_votes_are_no_log_odds():
    cells = [("kind", 0.6, 0.6), ("short", 0.4, 0.5), ("true", 0.4, 0.5)]
    rows = [
        {"comparison_id": "c", "principle_id": name, "order": order, "verdict": "A", "p_a": p}
        for name, *both in cells
        for order, p in zip(("AB", "BA"), both, strict=True)
    ]
    labels = {}
    for mode in ("cot", "logprob"):
        (each,) = comparisons(votes_of_rows(rows, {}, rule=KeepRule(mode=mode)))
        labels[mode] = each.label
    # The mean of log-odds is a little below the half that the plain mean is.
    assert labels == {"cot": TIE, "logprob": B}


def test_a_page_takes_no_text_for_markup():
    evil = "<img src=x onerror=alert(1)>"
    votes = both("x", A, B, principle_id=evil, category=evil, judge_model=evil, recorded=A)
    page = audit_page(evil, {evil: audit_judge(votes), "final": audit_judge(votes)})
    assert "<img" not in page and "onerror" in page


# Right in AB, in BA, in both, the same winner in both: as recorded, first and final pass.
RECORDED = {
    "ChatGPT_Swap": ((0.69, 0.77, 0.54, 0.62), (0.77, 0.78, 0.72, 0.89)),
    "ChatGPT_Swap_CoT": ((0.71, 0.78, 0.56, 0.63), (0.77, 0.77, 0.63, 0.72)),
    "Falcon_Swap": ((0.49, 0.65, 0.14, 0.14), (0.58, 0.73, 0.37, 0.43)),
    "Falcon_Swap_CoT": ((0.49, 0.65, 0.14, 0.14), (0.53, 0.67, 0.30, 0.40)),
}
NAMES = ("accuracy_ab", "accuracy_ba", "accuracy_both", "order_consistency")


@pytest.mark.parametrize("model", RECORDED)
@pytest.mark.parametrize("only", ["first", "final"])
def test_figures_of_real_judges(shared_data, model, only):
    path = shared_data / "llmbar" / f"votes_{model}.jsonl.gz"
    found = read_votes(path, Labels.parse("Output (a)/(b)"), only)
    audit = audit_judge(found.passes[only])
    assert not found.noted and audit.recorded is not None
    wanted = RECORDED[model][only == "final"]
    theirs = audit.recorded.figures
    assert [theirs[name].value for name in NAMES] == pytest.approx(wanted)
    assert all(theirs[name].n == 100 for name in NAMES)
    ours = [audit.figures[name].value for name in NAMES]
    apart = len(audit.recorded.disagreements)
    assert audit.recorded.agreement.value == 1 - apart / 200
    if (model, only) == ("ChatGPT_Swap_CoT", "final"):
        # The source took the first debater quoted for the conclusion; ours is the conclusion.
        assert audit.recorded.agreement.value == pytest.approx(0.96, abs=0.011)
        assert ours[-1] == pytest.approx(0.78, abs=0.011)
    else:
        assert audit.recorded.agreement.value >= 0.99
        assert ours == pytest.approx(wanted, abs=0.0101)
    if (model, only) == ("ChatGPT_Swap", "final"):
        assert ours == pytest.approx(wanted)
        assert audit.figures["accuracy"].value == pytest.approx(0.775)
