"""Which candidates say the same, and what a pair is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.steps.pairs import Pair, alike, pair_key, pairs_of

LONG = " ".join(f"word{i}" for i in range(100))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yes.", "yes"),
        ("Yes!", "  YES \n"),
        ("**Yes**, of course.", "Yes, of course"),
        ("- one\n- two", "* one\n* two"),
        ("# Title\ntext", "Title\n\ntext"),
        ("> quoted", "quoted"),
        ("“fine”", '"fine"'),
        ("ﬁne  day", "Fine day\n"),
        ("...", "..."),
    ],
)
def test_texts_that_say_the_same(one, other):
    assert alike(one, other) and alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2+2", "2-2"),
        ("x > 5", "x < 5"),
        ("-5", "5"),
        ("C", "C#"),
        ("C", "C++"),
        ("yes", "no"),
        ("...", "?"),
        ("do it", "do not do it"),
        ("", "a"),
        ("a.b", "a b"),
    ],
)
def test_texts_that_differ(one, other):
    assert not alike(one, other) and not alike(other, one)
    assert not alike(one, other, 0.98)


def test_nearly_all_words_in_common():
    changed = LONG.replace("word50", "other")
    assert "99.0%" in alike(LONG, changed, 0.98)
    assert not alike(LONG, changed, 0.995) and not alike(LONG, changed)
    assert not alike(LONG, LONG[: len(LONG) // 2], 0.9)
    # Order counts: the same words elsewhere are another text.
    assert not alike(LONG, " ".join(reversed(LONG.split())), 0.9)


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from([0.6, 0.9, 1.0]))
def test_likeness_is_even(one, other, near):
    assert bool(alike(one, other, near)) == bool(alike(other, one, near))
    assert alike(one, one, near)


def test_a_pair_draws_the_same_whichever_is_a():
    a, b = {"slot": "revised", "text": "x"}, {"slot": "sampled-1", "text": "y"}
    assert Pair("p#q#revised~sampled-1", a, b).key == Pair("p#q#sampled-1~revised", b, a).key
    assert pair_key("p#q", "sampled-1", "revised") == "p#q#revised~sampled-1"


def test_which_pairs_there_are():
    slots = ("initial", "revised", "sampled-1")
    row = {"prompt_id": "p", "candidates": [{"slot": s, "text": s} for s in slots]}
    assert [p.id for p in pairs_of(row)] == [
        "p#initial~revised",
        "p#initial~sampled-1",
        "p#revised~sampled-1",
    ]
    assert [p.id for p in pairs_of(row, "revised-vs-initial")] == ["p#initial~revised"]
