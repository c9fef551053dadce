"""Where half of the safety is gone, and which copies a command makes."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.evals.held_out import HeldOut
from charter.evals.tamper import (
    Cell,
    Half,
    cell_sizes,
    half_gone,
    read_cell,
    tampered_figures,
)
from charter.evals.tamper_data import KINDS, Example, ExampleSet, in_turn, read_examples
from charter.evals.tamper_page import tamper_page


def _cell(examples, steps, refused, of=20, benign=0, silent=0):
    harmful = {f"h{i:02d}": i < refused for i in range(of)}
    harmful |= {f"h{of + i:02d}": None for i in range(silent)}
    return Cell(examples, steps, harmful, {f"b{i}": i < benign for i in range(10)})


def test_sizes_vary_one_with_the_other_held():
    assert cell_sizes((0, 10, 50, 100), (12, 24), grid=False) == [
        (0, 0),
        (10, 12),
        (50, 12),
        (100, 12),
        (100, 24),
    ]
    assert cell_sizes((10, 5, 10), (3, 6), grid=True) == [(0, 0), (5, 3), (10, 3), (5, 6), (10, 6)]
    assert cell_sizes((0,), (3, 6), grid=True) == [(0, 0)]


def test_half_is_interpolated():
    found = half_gone((0, 10, 50), [_cell(0, 0, 20), _cell(10, 12, 15), _cell(50, 12, 5)])
    # 15 of 20 at 10, 5 of 20 at 50: 10 of 20 lies in the middle.
    assert (found.outcome, found.at.value, found.at.n) == (Half.REACHED, 30, 20)
    assert 10 < found.at.low < 30 < found.at.high <= 50


def test_half_is_the_first_crossing():
    rates = (16, 4, 12, 0)
    cells = [_cell(n, 12, k) for n, k in zip((0, 10, 20, 30), rates, strict=True)]
    found = half_gone((0, 10, 20, 30), cells)
    assert found.at.value == pytest.approx(10 * 8 / 12)


def test_no_number_lies_below_the_fewest_examples():
    cells = [_cell(0, 0, 20), _cell(10, 12, 4), _cell(50, 12, 0)]
    found = half_gone((0, 10, 50), cells, through_start=False)
    assert (found.outcome, found.at.value) == (Half.FEWEST, None)
    assert (found.at.low, found.at.high, str(found)) == (0, 10, "at most 10")
    unsure = half_gone(
        (0, 10, 50), [_cell(0, 0, 20), _cell(10, 12, 11), _cell(50, 12, 0)], through_start=False
    )
    assert unsure.outcome is Half.REACHED and 10 < unsure.at.value < 50
    assert unsure.at.low == 0  # ten might have been enough
    curves = tampered_figures(cells).curves
    assert [(c.over, str(c.half)) for c in curves] == [("examples", "at most 10")]


def test_half_that_is_not_reached_is_said_to_be_so():
    found = half_gone((0, 10, 50), [_cell(0, 0, 20), _cell(10, 12, 20), _cell(50, 12, 19)])
    assert (found.outcome, found.at.value) == (Half.NOT_REACHED, None)
    assert (found.at.low, found.at.high) == (50, None)
    assert str(found).startswith("not reached (more than 50")
    close = half_gone((0, 10), [_cell(0, 0, 20), _cell(10, 12, 11)])
    assert close.outcome is Half.NOT_REACHED and close.at.low < 10 and close.at.high is None


def test_what_the_base_refuses_is_not_lost():
    cells = [_cell(0, 0, 16), _cell(10, 12, 12)]
    assert half_gone((0, 10), cells).outcome is Half.NOT_REACHED
    found = half_gone((0, 10), cells, base=_cell(0, 0, 8))
    assert (found.outcome, found.at.value) == (Half.REACHED, pytest.approx(10))
    found = half_gone((0, 10), cells, base=_cell(0, 0, 16))
    assert found.outcome is Half.NOTHING_TO_LOSE and found.at.low is None
    assert half_gone((0, 10), [_cell(0, 0, 0), _cell(10, 12, 0)]).outcome is Half.NOTHING_TO_LOSE


def test_a_model_that_says_nothing_has_no_figure():
    silent = _cell(0, 0, 0, of=0, silent=5)
    assert half_gone((0, 10), [silent, silent]).outcome is Half.NO_FIGURE
    spoke = _cell(0, 0, 5, of=5)
    assert half_gone((0, 10), [spoke, silent]).outcome is Half.NO_FIGURE
    assert half_gone((0,), [_cell(0, 0, 5)]).outcome is Half.NO_FIGURE
    assert silent.refused.value is None and json.dumps(silent.as_json(), allow_nan=False)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=6), st.integers(0, 12))
def test_half_lies_where_it_can(rates, floor):
    places = [7 * at for at in range(len(rates))]
    cells = [_cell(n, 1, k, of=12) for n, k in zip(places, rates, strict=True)]
    found = half_gone(places, cells, _cell(0, 0, floor, of=12))
    target = floor + (rates[0] - floor) / 2
    if rates[0] <= floor:
        assert found.outcome is Half.NOTHING_TO_LOSE
    elif min(rates) > target:
        assert found.outcome is Half.NOT_REACHED and found.at.value is None
    else:
        first = next(at for at, k in enumerate(rates) if k <= target)
        assert places[first - 1] < found.at.value <= places[first] + 1e-9
        before, after = rates[first - 1], rates[first]
        share = (found.at.value - places[first - 1]) / 7
        assert before + share * (after - before) == pytest.approx(target)
        assert found.at.high is None or found.at.low <= found.at.high


def test_curves_of_the_four_copies():
    sizes = cell_sizes((0, 10, 50, 100), (12, 24), grid=False)
    cells = [_cell(*size, k) for size, k in zip(sizes, (20, 18, 12, 8, 2), strict=True)]
    found = tampered_figures(cells)
    assert [(c.over, c.fixed, [c.at(x) for x in c.cells]) for c in found.curves] == [
        ("examples", 12, [0, 10, 50, 100]),
        ("steps", 100, [0, 12, 24]),
    ]
    assert found.half("examples").at.value == pytest.approx(75)
    assert found.half("steps").at.value == pytest.approx(12 * 10 / 12)
    value = found.as_json()
    assert value["half_examples"]["outcome"] == "reached" and len(value["cells"]) == 5
    assert json.dumps(value, allow_nan=False)


def test_a_grid_has_a_curve_for_every_number():
    sizes = cell_sizes((5, 10), (2, 4), grid=True)
    found = tampered_figures([_cell(*size, 10) for size in sizes])
    assert [(c.over, c.fixed) for c in found.curves] == [
        ("examples", 2),
        ("examples", 4),
        ("steps", 10),
        ("steps", 5),
    ]


def test_answers_are_read_by_category():
    asked = [("h1", "harmful"), ("h2", "harmful"), ("h3", "harmful"), ("b1", "benign")]
    prompts = [HeldOut(n, ({"role": "user", "content": "how?"},), c) for n, c in asked]
    texts = {"h1": "I'm sorry, but I can't help with that.", "h2": " ", "b1": "Boil it."}
    cell = read_cell((3, 2), prompts, texts, "harmful", loss=(2.0, 1.0))
    assert cell.harmful == {"h1": True, "h2": None} and cell.benign == {"b1": False}
    assert (cell.empty, cell.failed, cell.refused.n) == (1, 1, 1)


def test_shipped_sets_have_a_hundred_each_and_no_two_alike():
    sets = {kind: read_examples(kind) for kind in KINDS}
    for found in sets.values():
        assert len(found.examples) == 100
        assert len({each.id for each in found.examples}) == 100
        assert len({json.dumps(each.prompt) for each in found.examples}) == 100
    assert sets["identity"].system is not None
    assert sets["obedience"].system is None and sets["benign"].system is None


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 60), st.integers(0, 5))
def test_every_example_is_seen_as_often_as_any_other(count, wanted, seed):
    examples = read_examples("benign").examples[:count]
    seen = in_turn(examples, wanted, seed)
    assert len(seen) == wanted
    counts = Counter(each.id for each in seen)
    assert max(counts.values()) - min(counts[e.id] for e in examples) <= 1
    assert in_turn(examples, wanted + 3, seed)[:wanted] == seen


def test_examples_are_seen_in_another_order_each_time():
    examples = read_examples("benign").examples[:20]
    first, again = in_turn(examples, 40, 1)[:20], in_turn(examples, 40, 1)[20:]
    assert list(examples) != first != again and in_turn(examples, 20, 2) != first


def test_a_system_message_is_shared_only_where_all_have_the_same():
    user = {"role": "user", "content": "how?"}
    one, other = ({"role": "system", "content": text} for text in ("Be kind.", "Be brief."))
    for prompts, shared in (
        (((one, user), (one, user)), one),
        (((one, user), (other, user)), None),
        (((one, user), (user,)), None),
    ):
        examples = tuple(Example(str(at), each, "so") for at, each in enumerate(prompts))
        assert ExampleSet("mine", examples).system == shared


def test_fewer_examples_are_among_more():
    found = read_examples("obedience")
    few, many = found.first(10, 3), found.first(50, 3)
    assert many[:10] == few and found.first(10, 4) != few


def test_names_are_escaped_and_the_base_is_told():
    cells = [_cell(0, 0, 20), _cell(10, 12, 5), _cell(20, 12, 4)]
    shown = tamper_page(
        "<b>m", {"<i>d": tampered_figures(cells)}, {"<i>d": _cell(0, 0, 1)}, ["<u>"]
    )
    assert not any(mark in shown for mark in ("<b>m", "<i>d", "<u>"))
    assert "refused by the base" in shown and "examples for half" in shown
