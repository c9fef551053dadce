"""Candidates that records bring along: every shape they come in, and what is no pair."""

from __future__ import annotations

import json

import pytest
import yaml

from charter.recipes import load_recipe, read_prompts
from charter.recipes.given import BadRecordError, given_of
from charter.recipes.schema import Columns

USER = {"role": "user", "content": "Why?"}


def said(text):
    return {"role": "assistant", "content": text}


def given(record, **columns):
    return given_of(record, Columns(**columns))


SHAPES = {
    "texts": ({"candidates": ["a", "b", "c"]}, ["given-1", "given-2", "given-3"], "abc"),
    "mappings": ({"candidates": [{"text": "a"}, {"content": "b"}]}, ["given-1", "given-2"], "ab"),
    "messages": ({"candidates": [[said("a")], [said("b")]]}, ["given-1", "given-2"], "ab"),
    "pair": ({"chosen": "a", "rejected": "b"}, ["chosen", "rejected"], "ab"),
    "published": ({"chosen": [said("a")], "rejected": [said("b")]}, ["chosen", "rejected"], "ab"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name):
    record, slots, texts = SHAPES[name]
    found = given({"prompt": [USER], **record})
    assert [c.slot for c in found.candidates] == slots
    assert "".join(c.text for c in found.candidates) == texts
    assert found.prompt == [USER]
    assert found.best == ("chosen" if "chosen" in record else None)


def test_whole_conversations_bring_their_prompt():
    record = {"chosen": [USER, said("a")], "rejected": [USER, said("b")]}
    for prompt in ({}, {"prompt": [USER]}):
        found = given({**prompt, **record})
        assert found.prompt == [USER]
        assert [c.text for c in found.candidates] == ["a", "b"]
    # What they have in common beyond the user's last message is still an answer each.
    longer = [USER, said("hm"), {"role": "user", "content": "And?"}]
    found = given({"chosen": [*longer, said("x")], "rejected": [*longer, said("y")]})
    assert found.prompt == longer


def test_a_prompt_as_text_is_left_out_of_whole_conversations():
    """As UltraFeedback (binarized) has it."""
    record = {"prompt": "Why?", "chosen": [USER, said("a")], "rejected": [USER, said("b")]}
    found = given(record)
    assert found.prompt == "Why?"
    assert [c.text for c in found.candidates] == ["a", "b"]
    listed = {"prompt": "Why?", "candidates": [[USER, said("a")], [said("b")], "c"]}
    assert [c.text for c in given(listed).candidates] == ["a", "b", "c"]
    for other in (
        {"prompt": "How?"},
        {"chosen": [{"role": "system", "content": "Why?"}, said("a")]},
        {"chosen": [USER, said("a"), USER, said("c")]},
        {"chosen": [USER, USER, said("a")]},
    ):
        with pytest.raises(BadRecordError, match="more than one message"):
            given({**record, **other})


def test_a_column_a_candidate():
    columns = {"candidates": ("response_0", "response_1"), "label": "better"}
    record = {"prompt": "Why?", "response_0": "a", "response_1": "b"}
    for label, best in ((0, "given-1"), (1, "given-2"), ("1", "given-2"), ("response_0", "given-1"),
                        (1.0, "given-2"), ("tie", ""), (-1, ""), (None, None)):  # fmt: skip
        assert given({**record, "better": label}, **columns).best == best
    for label in (2, "response_2", "best", True, 0.5, float("nan"), float("inf")):
        with pytest.raises(BadRecordError, match="label"):
            given({**record, "better": label}, **columns)


def test_who_wrote_them():
    record = {"prompt": "Why?", "candidates": [{"text": "a", "model": "m1"}, "b"], "model": "m2"}
    assert [c.model for c in given(record).candidates] == ["m1", "m2"]
    record = {"prompt": "Why?", "candidates": ["a", "b"], "model": ["x", "y"]}
    assert [c.model for c in given(record).candidates] == ["x", "y"]
    assert [c.model for c in given({**record, "model": ["x"]}).candidates] == ["x", ""]
    record = {"prompt": "Why?", "chosen": "a", "rejected": "b", "chosen_model": "w"}
    assert [c.model for c in given(record).candidates] == ["w", ""]


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"candidates": []},
        {"candidates": ["a"]},
        {"candidates": "ab"},
        {"candidates": ["a", " "]},
        {"candidates": ["a", 5]},
        {"candidates": ["a", []]},
        {"candidates": ["a", "\ud800"]},
        {"chosen": "a"},
        {"chosen": "a", "rejected": None},
        {"chosen": [USER], "rejected": [said("b")]},
        {"chosen": [said("a"), said("b")], "rejected": [said("b")]},
    ],
    ids=str,
)
def test_what_is_no_pair(record):
    with pytest.raises(BadRecordError):
        given({"prompt": "Why?", **record})


def test_a_candidate_without_text_is_told_as_such():
    for empty in ("", " ", {"text": ""}, {"content": "", "response": None}):
        with pytest.raises(BadRecordError, match="given-2 has no text"):
            given({"prompt": "Why?", "candidates": ["a", empty]})
    mixed = {"text": "", "response": "b"}
    assert given({"prompt": "Why?", "candidates": ["a", mixed]}).candidates[1].text == "b"


@pytest.mark.parametrize("label", ["--1", "9" * 5000, "²", "1.0", "c", "\ud800", True, 2, [0]])
def test_a_label_that_names_none(label):
    with pytest.raises(BadRecordError) as caught:
        given({"prompt": "Why?", "candidates": ["a", "b"], "label": label})
    # It becomes a row of `rejects`.
    assert caught.value.detail.encode() and len(caught.value.detail) < 80


def test_a_recipe_reads_them_and_rejects_the_rest(tmp_path):
    records = [
        {"id": "one", "prompt": "Why?", "chosen": "a", "rejected": "b"},
        {"prompt": "Why?", "chosen": "a", "rejected": "c"},
        {"prompt": "Why?", "chosen": "a", "rejected": "d"},
        {"id": "lone", "prompt": "Why?", "chosen": "a"},
        {"id": "none", "chosen": "a", "rejected": "b"},
    ]
    data = tmp_path / "pairs.jsonl"
    data.write_text("\n".join(map(json.dumps, records)))
    recipe = {
        "constitution": "concise",
        "prompts": {"path": str(data)},
        "models": {"judge": {"llm": "local"}},
        "sft": False,
        "preference": {"candidates": "given"},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    loaded = load_recipe(path)
    found = read_prompts(loaded)
    # Of one prompt there may be many pairs.
    assert len({p.id for p in found.prompts}) == 3 and found.prompts[0].id == "one"
    assert [(r.prompt_id, r.reason) for r in found.rejects] == [
        ("lone", "NO_CANDIDATES"),
        ("none", "NO_PROMPT"),
    ]
    before = found.fingerprint()
    data.write_text(data.read_text().replace('"b"', '"bb"'))
    assert read_prompts(loaded).fingerprint() != before
