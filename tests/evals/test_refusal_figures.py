"""Figures of refusals against closed forms and kept libraries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from charter.evals.refusal import Reading, Refusal
from charter.evals.refusal_figures import (
    agreement,
    figures_of,
    mcnemar,
    paired,
    paired_difference,
)
from charter.evals.refusal_judge import UNPARSED
from charter.evals.refusal_page import refusal_page
from charter.evals.refusal_report import report_on
from charter.evals.refusal_sources import AnswerSet, RefusalAnswer


def answer(number, outcome, kind="benign", **more):
    reading = None if outcome is None else Reading(outcome, hedges=more.pop("hedges", False))
    category = more.pop("category", kind or "")
    return RefusalAnswer(
        str(number), "How?", more.pop("text", "x"), category, kind, reading, **more
    )


C, F, P, E = Refusal.COMPLIANCE, Refusal.FULL, Refusal.PARTIAL, Refusal.EMPTY


def test_shares_are_among_what_says_something():
    found = figures_of([answer(i, o) for i, o in enumerate((C, F, P, C, E, None))])
    assert found.shares["refused"].value == 0.5 and found.shares["refused"].n == 4
    assert found.shares["full"].value == found.shares["partial"].value == 0.25
    assert found.counts == {"complied": 2, "empty": 1, "failed": 1, "n": 6}
    assert found.judged is None


def test_a_judge_counts_what_it_could_read():
    words = [F, P, P, C, UNPARSED, None]
    found = figures_of([answer(i, C, judged=word) for i, word in enumerate(words)]).judged
    assert [found[name]["value"] for name in ("refused", "full", "partial")] == [0.75, 0.25, 0.5]
    assert (found["unparsed"], found["n"]) == (1, 5)


def test_nothing_said_is_no_figure():
    found = figures_of([answer(1, E), answer(2, None)])
    assert found.shares["refused"].value is None and found.counts["empty"] == 1


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_sign_test(b, c):
    if b + c == 0:
        assert mcnemar(b, c) is None
    else:
        assert mcnemar(b, c) == pytest.approx(binomtest(b, b + c).pvalue)
        assert mcnemar(b, c) == mcnemar(c, b)


def test_mcnemar_of_many():
    assert mcnemar(3000, 3000) == 1.0
    assert 0 <= mcnemar(0, 5000) < 1e-300


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 40))
def test_paired_difference_holds_its_value_and_turns_with_its_sides(b, c, rest):
    n = b + c + rest
    found, turned = paired_difference(b, c, n), paired_difference(c, b, n)
    assert found.value == pytest.approx((c - b) / n)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert turned.low == pytest.approx(-found.high)


def test_paired_difference_by_hand():
    # (10.5 - 2.5) / 102 and its standard error by Agresti and Min
    found = paired_difference(2, 10, 100)
    half = 1.959964 * (13 - 64 / 102) ** 0.5 / 102
    assert (found.low, found.high) == pytest.approx((8 / 102 - half, 8 / 102 + half), abs=1e-6)


def test_no_difference_has_an_interval():
    found = paired_difference(0, 0, 50)
    assert found.value == 0 and found.low < 0 < found.high
    assert paired_difference(0, 0, 0).value is None


def test_models_are_paired_by_prompt():
    first = [answer(1, F, "harmful"), answer(2, C), answer(3, C), answer(9, F), answer(5, E)]
    second = [answer(3, F), answer(2, F), answer(1, F, "harmful"), answer(7, F), answer(5, F)]
    found = {each.kind: each for each in paired(first, second)}
    assert list(found) == ["harmful", "benign", "all"]
    assert (found["all"].difference.n, found["all"].only_second, found["all"].only_first) == (
        3,
        2,
        0,
    )
    assert found["harmful"].p is None


def test_agreement_leaves_out_what_has_no_class():
    rows = [
        answer(1, F, label=F, judged="2_full_refusal"),
        answer(2, C, label=C, judged="UNPARSED"),
        answer(3, P, label=F, judged="1_full_compliance"),
        answer(4, E, label=F),
        answer(5, C),
    ]
    found = agreement(rows, "rules", "people")
    assert found.kappa.value == 1 and found.kappa.n == 3
    assert 0 < found.three.value < 1
    assert agreement(rows, "judge", "people").kappa.n == 2
    assert agreement([answer(1, C)], "rules", "people") is None


def test_a_report_of_two_models_and_its_page():
    one = AnswerSet("<b>base</b>", [answer(1, F, "harmful"), answer(2, F), answer(3, C, None)])
    two = AnswerSet(
        "tuned",
        [answer(1, C, "harmful", text="<script>"), answer(2, C, label=F), answer(3, C, None)],
    )
    report = report_on([one, two])
    found = report.as_json()
    assert list(found["models"]) == ["<b>base</b>", "tuned"] and found["base"] == "<b>base</b>"
    assert found["over_refusal"]["value"] == 0 and found["over_refusal"]["n"] == 1
    assert found["models"]["<b>base</b>"]["refusal_harmful"]["value"] == 1
    assert found["comparisons"]["tuned"]["all"]["only_first"] == 2
    assert found["kappa"]["n"] == 1 and found["judge_kappa"] is None
    shown = refusal_page("Refusals", report, [one, two])
    assert "<b>base</b>" not in shown and "&lt;script&gt;" in shown and "<svg" in shown
