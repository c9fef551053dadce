"""Values of a kind that a setting does not take: what they are, and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from charter.documents import Settings, read_document, validated


class Page(Settings):
    """A settings file of a text and a pair."""

    title: str = ""
    pair: tuple[float, float] = (0.0, 1.0)


def fault_of(text):
    _, (fault,) = validated(read_document(Path("f.yaml"), text), Page)
    return fault


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("no", "YAML takes no and off for false; quote it to make it text"),
        ("On", "YAML takes yes and on for true; quote it to make it text"),
        ("1.10", "is not text but a number; quote it to make it text"),
        ("[a, b]", "is not text but a list; write one text"),
        ("[]", "is not text but a list; write one text"),
        ("{a: b}", "is not text but a mapping; write one text"),
        ("", "is not text but empty; write one text"),
    ],
)
def test_what_stands_where_a_text_is_wanted_is_told_as_what_it_is(title, words):
    fault = fault_of(f"# a page\ntitle: {title}\n")
    assert (fault.place, fault.path) == ("f.yaml:2:1", "title")
    assert fault.what.startswith("is not text") and words in f"{fault.what}; {fault.fix}"


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("[0.4]", "is missing: the list is too short; add an item"),
        ("[0.3, 0.5, 0.7]", "has too many items; take some out"),
    ],
)
def test_a_pair_has_two_items(pair, words):
    fault = fault_of(f"pair: {pair}\n")
    assert fault.path.startswith("pair") and words == f"{fault.what}; {fault.fix}"
