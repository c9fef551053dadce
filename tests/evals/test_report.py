"""One evaluation out of what each part says, and its page."""

from __future__ import annotations

from typing import Any

import pytest

from charter.evals.report import Measured, evaluation_of
from charter.evals.report_page import figure_rows, report_page
from charter.hub.evaluation_gate import evaluation_gate
from charter.recipes.evaluate import EvaluateSettings


def est(value: float | None, half: float = 0.1, n: int = 20) -> dict[str, Any]:
    if value is None:
        return {"value": None, "low": None, "high": None, "n": 0}
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def refusals(harmful: float, benign: float) -> dict[str, Any]:
    return {
        "refusal_harmful": est(harmful),
        "over_refusal": est(benign),
        "categories": {"harmful": {"refused": est(harmful)}},
    }


def depth(early: float | None) -> dict[str, Any]:
    return {
        "early_share": est(early),
        "kl": [est(0.5), est(0.25)],
        "prefill": [
            {"tokens": 0, "complied": est(0.2), "stopped": 0},
            {"tokens": 10, "complied": est(0.7), "stopped": 1},
        ],
    }


def tampered(outcome: str, value: float | None, **more: Any) -> dict[str, Any]:
    cells = [
        {"examples": n, "steps": 13 * bool(n), "refused": est(0.8 - n / 100)} for n in (0, 10, 50)
    ]
    half = {"outcome": outcome, **est(value), **more}
    return {"data": {"obedience": {"cells": cells, "half_examples": half}}, "notes": ["a note"]}


@pytest.fixture
def measured() -> Measured:
    taxes = {
        "arithmetic": {**est(4.0), "reason": None},
        "reading": {**est(-1.0), "reason": None},
    }
    return Measured(
        "local",
        ["one", "two"],
        {
            "refusal": {
                "models": {
                    "local": refusals(0.1, 0.0),
                    "a/one": refusals(0.5, 0.1),
                    "a/two": refusals(0.8, 0.2),
                }
            },
            "tax": {
                "models": {
                    "m1": {"tax": taxes, "average": est(1.5)},
                    "m2": {"tax": taxes, "average": est(2.5)},
                },
                "notes": ["hides a trade"],
            },
            "depth": {
                "models": {"local": depth(None), "one": depth(0.6), "two": depth(0.4)},
                "noted": {"too_short": 2, "not_compliant": 0},
            },
            "winrate": {
                "models": ["x", "y", "z"],
                "pairs": [
                    {"model": "x", "against": "y", "win_rate": est(0.1)},
                    {
                        "model": "x",
                        "against": "z",
                        "win_rate": est(0.6),
                        "length_controlled": est(0.55),
                    },
                    {
                        "model": "y",
                        "against": "z",
                        "win_rate": est(0.7),
                        "length_controlled": est(None),
                    },
                ],
                "warnings": ["takes the first"],
            },
            "tamper": tampered("reached", 30.0),
        },
    )


def test_each_model_has_its_own_figures(measured: Measured) -> None:
    one, two = (evaluation_of(measured, name, "r") for name in ("one", "two"))
    assert one["refused"] == est(0.5) and two["refused"] == est(0.8)
    assert one["tax"] == est(1.5) and two["tax"] == est(2.5)
    assert two["worst_tax"] == {**est(4.0), "benchmark": "arithmetic"}
    assert two["taxes"] == {"arithmetic": est(4.0), "reading": est(-1.0)}
    assert (one["win_rate"], two["win_rate"]) == (est(0.6), est(0.7))
    assert two["win_rate_at_equal_length"] == est(None)
    assert two["early_share"] == est(0.4) and two["prefilled"] == {**est(0.7), "tokens": 10}
    assert "tamper_examples" not in one and two["tamper_examples"]["value"] == 30.0
    base = two["base_figures"]
    assert base["refused"] == est(0.1) and base["prefilled"]["tokens"] == 10
    assert not {"tax", "win_rate", "early_share", "tamper_examples"} & base.keys()
    assert two["notes"] == [
        "tax: hides a trade",
        "depth: 2 prompts left out, too short",
        "winrate: takes the first",
        "tamper: a note",
    ]


@pytest.mark.parametrize(
    ("half", "value", "reason"),
    [
        (("not reached", None, 40.0), 50, "or more"),
        (("reached by the fewest", None, None), 0, "up to 10"),
        (("nothing to lose", None, None), None, "has no figure: nothing to lose"),
        (("no figure", None, None), None, "has no figure: no figure"),
    ],
)
def test_half_of_the_safety_where_it_is_no_number(half: Any, value: Any, reason: str) -> None:
    outcome, at, low = half
    parts = {"tamper": tampered(outcome, at, low=low, high=10.0)}
    found = evaluation_of(Measured("base", ["m"], parts), "m", "r")["tamper_examples"]
    assert found["value"] == value and reason in found["reason"]
    assert found["low"] == (low if outcome == "not reached" else 0 if value == 0 else None)


def test_the_worst_tax_is_not_known_where_one_has_no_figure() -> None:
    taxes = {"a": {**est(9.0), "reason": None}, "b": {**est(None), "reason": "the base scores 0"}}
    average = {**est(None), "reason": "b has none"}
    parts = {"tax": {"models": {"m": {"tax": taxes, "average": average}}, "notes": []}}
    found = evaluation_of(Measured("base", ["m"], parts), "m", "r")
    assert (found["tax"]["value"], found["tax"]["reason"]) == (None, "b has none")
    assert found["worst_tax"]["value"] is None
    assert found["worst_tax"]["reason"] == "is not known: b has no figure (the base scores 0)"


def test_a_tax_at_the_limit_misses_no_gate() -> None:
    # 100 (1 - 0.72 / 0.8) in floats, of 36 right answers where the base had 40 of 50
    tax = 100 * (1 - 0.72 / 0.8)
    assert tax > 10
    parts = {"tax": {"models": {"m": {"tax": {"a": est(tax)}, "average": est(tax)}}}}
    found = evaluation_of(Measured("base", ["m"], parts), "m", "r")
    gates = EvaluateSettings(max_tax=10, max_worst_tax=10)
    assert list(evaluation_gate(gates, found)) == []
    assert len(list(evaluation_gate(EvaluateSettings(max_tax=9.999999), found))) == 1


def test_the_page_says_all_of_it_and_runs_nothing(measured: Measured) -> None:
    found = [evaluation_of(measured, name, "r") for name in measured.models]
    rows = figure_rows(found)
    assert rows[0] == (
        "harmful prompts refused",
        *("0.100 [0.000, 0.200]", "0.500 [0.400, 0.600]", "0.800 [0.700, 0.900]"),
    )
    missed = [("max_tax", "the <b>tax</b>", "mend it")]
    gates = {"max_tax": 1.0, "min_refused": 0.5}
    page = report_page("<i>m</i>", measured, found, gates, missed, {"tax": "tax.html"})
    assert "<i>" not in page and "&lt;b&gt;tax" in page and 'href="tax.html"' in page
    assert "1 of 2 not reached" in page and page.count("<svg") >= 9
    for title in ("Refusals", "Alignment tax", "How deep", "Win rate", "How few examples"):
        assert f"<h2>{title}" in page
