"""Digests, draws, ids and normalising: what every row's identity stands on."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.rows import (
    Reason,
    Verdict,
    canonical,
    digest,
    draw_int,
    draw_unit,
    messages_id,
    normalised,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def test_digests_stay_what_they_are():
    # Written down: a change of any of these changes the identity of every published row.
    assert digest() == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    assert digest("a", 1, [None, {"b": "é", "a": 0.5}]) == (
        "258cfcbb38abbf12b493fe2705fd5dca5bd17ed00b8cab89d299a81e25a8050d"
    )
    assert messages_id([{"role": "user", "content": "How do tides work?"}]) == "89aa10453eaa37fc"
    assert draw_int(7, "p1", "respond", 0) == 2_286_398_515_983_428_806
    assert draw_unit(7, "p1", "respond", 0) == 0.24789182381968666


@settings(deadline=None)
@given(JSON, JSON)
def test_two_values_have_one_digest_only_when_they_are_the_same_json(one, two):
    assert (digest(one) == digest(two)) == (canonical(one) == canonical(two))


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON))
def test_the_order_of_keys_is_no_part_of_a_digest(value):
    assert digest(value) == digest(dict(reversed(value.items())))


def test_parts_are_kept_apart():
    lists = [("ab", "c"), ("a", "bc"), ("abc",), (["a", "bc"],), ("a", "b", "c"), (["a"], "bc")]
    assert len({digest(*parts) for parts in lists}) == len(lists)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_json_has_no_digest(number):
    with pytest.raises(ValueError, match="JSON"):
        digest(number)


@settings(deadline=None)
@given(st.integers(), st.text(), st.integers(0, 100))
def test_draws_are_in_range_and_fixed(seed, name, index):
    drawn = draw_int(seed, name, index)
    assert 0 <= drawn < 2**63 and drawn == draw_int(seed, name, index)
    unit = draw_unit(seed, name, index)
    assert 0 <= unit < 1 and unit == draw_unit(seed, name, index)


def test_draws_are_uniform_and_differ_by_everything_they_are_of():
    units = [draw_unit(1, "p", index) for index in range(4000)]
    assert abs(sum(units) / len(units) - 0.5) < 0.02
    assert len(set(units)) == len(units)
    counts = [sum(low <= u * 10 < low + 1 for u in units) for low in range(10)]
    assert min(counts) > 320 and max(counts) < 480
    assert len({draw_int(s, p, i) for s in range(5) for p in "ab" for i in range(5)}) == 50


def test_draws_are_the_same_in_another_process():
    code = "from charter.rows import draw_int; print(draw_int(3, 'p', 'x', 1))"
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert {int(text) for text in said} == {draw_int(3, "p", "x", 1)}


def test_ids_of_messages_look_at_roles_and_contents_alone():
    one = messages_id([{"role": "user", "content": "a"}])
    assert one == messages_id([{"content": "a", "role": "user", "name": "x"}])
    assert one != messages_id([{"role": "system", "content": "a"}])
    assert one != messages_id([{"role": "user", "content": "a "}])
    assert len(one) == 16


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("Yes.", "  yes. \n", True),
        ("a  b\tc", "A B C", True),
        ("ﬁne", "fine", True),
        ("Straße", "STRASSE", True),
        ("é", "e\u0301", True),
        ("Yes", "Yes.", False),
        ("a b", "ab", False),
        ("１２", "12", True),
    ],
)
def test_normalising(one, two, same):
    assert (normalised(one) == normalised(two)) is same


@settings(deadline=None)
@given(st.text())
def test_normalising_ignores_white_space_around_and_between(text):
    spaced = "\n ".join(["", *text.split(), ""])
    assert normalised(spaced) == normalised(text)


def test_enums_are_their_names():
    assert [v.value for v in Verdict] == ["A", "B", "TIE", "UNPARSED"]
    assert all(reason.value == reason.name for reason in Reason)
