"""The report over rounds: its figures, its costs, and texts of data that stay texts."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from charter.evals.depth import Prefilled, depth_figures
from charter.improve.cells import shown
from charter.improve.depth_report import depth_lines, depth_table, recovery_row
from charter.improve.effects import effects
from charter.improve.figures import CategoryFigures, RoundFigures
from charter.improve.loop import Outcome
from charter.improve.report import (
    as_json,
    cost_of,
    report_page,
    round_table,
    settings_rows,
)
from charter.improve.rules import End
from charter.improve.state import Step
from charter.recipes import load_recipe
from charter.stats import Estimate, wilson

EVIL = "<img src=x onerror=alert(1)>"


def cost(calls, money=0.0):
    return {"calls": calls, "cached_calls": 1, "tokens": 10 * calls, "money": money}


def trained(version, **metrics):
    metrics = {"steps": 2.0, "rows": 4.0, **metrics}
    return {"model": "m", "dataset": version, "metrics": metrics, "seconds": 2.0}


@pytest.fixture
def outcome(figures):
    rounds = (figures(0), figures(1, win=0.8), figures(2, win=None, length=None, diversity=None))
    done = {(0, Step.EVALUATE): {"figures": {}, "cost": cost(3), "seconds": 1.0}}
    for n in (1, 2):
        run = {"train_rows": 4, "seconds": 1.0, "cost": cost(5, None if n == 2 else 0.5)}
        done[n, Step.GENERATE] = {"version": f"me/{EVIL}@v0.{n}.0", **run}
        mix = {"source": EVIL, "rows": 2, "share": 0.25, "sha256": ""}
        done[n, Step.SFT] = {**trained("me/a@v1", first_loss=2.0, last_loss=1.0), "helpful": mix}
        done[n, Step.DPO] = trained("me/a@v2", test_margin=0.1)
        warned = {"base": [f"odd {EVIL}"], "round 1": []}
        done[n, Step.EVALUATE] = {
            "figures": {},
            "cost": cost(7),
            "seconds": 1.0,
            "judge_warnings": warned,
        }
    return Outcome((End.NO_VERDICTS,), (f"said of {EVIL}",), 1, rounds, done)


@pytest.fixture
def loaded(rounds_file):
    return load_recipe(rounds_file("http://127.0.0.1:1/v1"), ("improve.beta=0.25",))


def test_costs_are_summed_over_steps_and_unknown_money_stays_unknown(outcome):
    assert cost_of(outcome.done, 1) == {
        "calls": 12,
        "cached_calls": 2,
        "tokens": 120,
        "money": 0.5,
        "seconds": 6.0,
    }
    assert cost_of(outcome.done, 2)["money"] is None


def test_one_row_a_round_and_a_star_at_the_best(outcome, loaded):
    head, rows = round_table(outcome, loaded)
    assert [row[0] for row in rows] == ["base", "1 *", "2"]
    assert all(len(row) == len(head) for row in rows)
    assert rows[0][2] == "0.50 [0.50, 0.50]"
    assert rows[2][1] == rows[2][2] == "no figure"
    assert rows[2][head.index("length")] == rows[2][head.index("distinct-2")] == "none"
    assert "tax, %" not in head  # the recipe asks for none


def test_a_round_that_was_not_measured_has_its_cost(outcome, loaded):
    done = {at: facts for at, facts in outcome.done.items() if at != (2, Step.EVALUATE)}
    found = replace(outcome, rounds=outcome.rounds[:2], done=done)
    head, rows = round_table(found, loaded)
    assert [row[0] for row in rows] == ["base", "1 *", "2"]
    assert all(len(row) == len(head) for row in rows)
    assert rows[2] == ("2", "not measured", *[""] * 6, 5, 50, 5)
    assert "tax, %" not in head
    said = as_json(found, loaded, "/m")
    assert [each["round"] for each in said["rounds"]] == [0, 1]
    (left,) = said["unmeasured"]
    assert (left["round"], left["cost"]["calls"]) == (2, 5)
    assert left["versions"] == {"generate": f"me/{EVIL}@v0.2.0"}
    assert "not measured" in report_page(found, loaded)
    assert as_json(outcome, loaded, "/m")["unmeasured"] == []


def test_a_tax_is_shown_where_the_recipe_asks_for_it(outcome, loaded):
    taxes = {"reading": Estimate(4.0, 1.0, 7.0, 60), EVIL: Estimate(None, None, None, 0)}
    taxed = replace(outcome.rounds[1], tax=Estimate(4.0, 1.0, 7.0, 1), taxes=taxes)
    assert RoundFigures.from_json(json.loads(json.dumps(taxed.as_json()))) == taxed
    found = replace(outcome, rounds=(outcome.rounds[0], taxed, outcome.rounds[2]))
    head, rows = round_table(found, loaded)
    assert [row[head.index("tax, %")] for row in rows] == ["", "+4.0 [+1.0, +7.0]", ""]
    page = report_page(found, loaded)
    assert "Alignment tax of round 1" in page and EVIL not in page


def deep(number, shares, kl=1.0, notes=()):
    """A depth by hand: of 40 continuations so many shares comply after 0, 5 and 40 tokens."""
    attacked = [
        Prefilled(tokens, wilson(round(40 * share), 40), number)
        for tokens, share in zip((0, 5, 40), shares, strict=True)
    ]
    along = np.linspace(kl, 0.1, 6) * np.linspace(0.5, 1.5, 40)[:, None]
    return {"depth": depth_figures(along, attacked), "depth_notes": notes}


@pytest.fixture
def measured(outcome):
    """Three rounds: a base that complies, a deep round, and one that is shallow again."""
    base, first, second = outcome.rounds
    return replace(
        outcome,
        rounds=(
            replace(base, **deep(0, (1.0, 1.0, 1.0), kl=0.0, notes=(f"2 left out: {EVIL}",))),
            replace(first, **deep(1, (0.1, 0.2, 0.3))),
            replace(second, **deep(2, (0.0, 0.4, 0.9))),
        ),
    )


def test_depths_are_shown_where_they_were_measured(measured, outcome, loaded):
    head, rows = depth_table(measured.rounds, measured.best)
    assert head[2:5] == ("complies after 0", "complies after 5", "complies after 40")
    assert [row[0] for row in rows] == ["base", "1 *", "2"]
    assert all(len(row) == len(head) for row in rows)
    assert rows[0][1] == "" and rows[1][1].startswith("0.9")
    assert rows[1][4] == "0.300 [0.181, 0.454]"
    assert [row[-1] for row in rows] == [0, 3, 6]
    page = report_page(measured, loaded)
    assert "How deep the safety goes" in page and "the same ones in every round" in page
    names = ("the base", "round 1", "round 2")
    assert all(f"Complies after forced tokens, {name}" in page for name in names)
    kl = [f"KL from the base at each token, {name} (nats)" in page for name in names]
    assert kl == [False, True, True]
    assert "<img" not in page and "2 left out: &lt;img" in page
    assert "How deep" not in report_page(outcome, loaded)
    json.dumps(as_json(measured, loaded, "/m"), allow_nan=False)


def test_a_depth_without_a_figure_is_said(outcome, loaded):
    why = "no figure: the base gave 2 compliant answers"
    rounds = tuple(replace(each, depth_notes=(why,)) for each in outcome.rounds)
    found = replace(outcome, rounds=rounds)
    assert depth_table(found.rounds, 1)[1] == []
    assert depth_lines(found.rounds) == [why]
    assert report_page(found, loaded).count(why) == 1
    assert depth_lines(outcome.rounds) == []


def test_what_depths_show_is_said_beyond_chance_alone(measured, loaded):
    said = depth_lines(measured.rounds)
    # 0.9 of 40 in round 2 is no sure difference from all of the base's 40.
    assert [line for line in said if "deeper" in line] == [
        "deeper than the base, beyond chance: after 40 forced tokens round 1 goes on in "
        "0.300 [0.181, 0.454], the base in 1.000 [0.912, 1.000]"
    ]
    found = [each for each in effects(measured.rounds, loaded.recipe.improve) if "forced" in each]
    assert found == [
        "shallow safety: round 2 goes on in 90% of the answers after 40 forced tokens, and in 0% "
        "after 0",
        "loss of depth: after 40 forced tokens round 2 goes on in 90% of the answers, the one "
        "before in 30%",
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (None, "none"),
        ({"max_steps": 2}, "none"),
        ({"recovery": {}}, "30% of the rows of SFT, which answer after up to 100 tokens"),
        ({"recovery": {"share": 0.5, "max_tokens": 7}}, "50% of the rows"),
    ],
)
def test_safety_recovery_is_said(values, said):
    assert recovery_row(values)[1].startswith(said)


def test_what_was_set_is_said(outcome, loaded):
    said = dict(settings_rows(loaded, outcome.done))
    assert said["beta of DPO (KL penalty)"] == "0.25"
    assert said["helpful data"].startswith("25% of the rows of SFT")
    assert dict(settings_rows(loaded, {}))["helpful data"] == "none"
    assert said["safety recovery"] == "none"


def test_the_json_is_plain_and_has_the_best(outcome, loaded):
    found = json.loads(json.dumps(as_json(outcome, loaded, "/m"), allow_nan=False))
    assert found["best"] == {"round": 1, "model": "/m"}
    assert found["end"] == "NO_VERDICTS"
    assert found["judge_warnings"][0] == f"round 1 against the base: odd {EVIL}"
    assert len(found["judge_warnings"]) == 2
    assert [each["round"] for each in found["rounds"]] == [0, 1, 2]
    assert found["rounds"][1]["quality"]["value"] == pytest.approx((0.75 + 0.8) / 2)
    assert found["rounds"][1]["models"] == {"sft": "m", "dpo": "m"}


def test_no_text_of_data_becomes_markup(outcome, loaded):
    categories = {EVIL: CategoryFigures(1, 2, 0, 0), "benign": CategoryFigures(0, 3, 0, 0)}
    rate = wilson(2, 3)
    rounds = tuple(
        RoundFigures(n, categories, (EVIL,), rate, rate, rate, 9.0, 0.5) for n in range(3)
    )
    found = Outcome(outcome.ends, outcome.said, 1, rounds, outcome.done)
    page = report_page(found, loaded)
    assert "<img" not in page
    assert page.count("&lt;img") >= 5
    assert "<script" not in page


def test_an_estimate_in_a_cell():
    assert shown(wilson(1, 2)) == "0.50 [0.09, 0.91]"
    assert shown(Estimate(None, None, None, 3)) == "no figure"
    assert shown(Estimate(0.5, 0.5, 0.5, 0)) == "0.50 by definition"


def test_costs_are_drawn_and_unknown_money_is_not_nothing(outcome, loaded):
    page = report_page(outcome, loaded)
    for title in ("Calls, cached ones among them", "Seconds", "Money, where all prices are known"):
        assert title in page
    money = page.split("Money, where all prices are known")[-1].split("</svg>")[0]
    assert "round 1" in money and "round 2" not in money


def test_the_divergence_stands_beside_the_tax(outcome, loaded):
    done = dict(outcome.done)
    done[1, Step.DPO] = trained("me/a@v2", last_kl=0.657)
    page = report_page(replace(outcome, done=done), loaded)
    row = page.split("KL, nats an answer")[1].split("<tr>")[1]
    assert "<td" in row
    assert [cell in row for cell in ("0.25", "0.657", "25%", "not asked for")] == [True] * 4
