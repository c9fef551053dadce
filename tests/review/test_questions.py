"""Questions and guidelines: whole, in plain words, and nothing in them that acts."""

from __future__ import annotations

import pytest

from charter.constitutions import Constitution, Principle, load_constitution, shipped_constitutions
from charter.review.fields import ANSWERS, BETTER, CRITIQUE_RIGHT, META
from charter.review.guidelines import MOST, review_guidelines
from charter.review.questions import P_CHOSEN, field_names, question_names, review_settings


@pytest.mark.parametrize("kind", ["preference", "sft"])
@pytest.mark.parametrize("critiques", [False, True])
def test_settings_ask_what_fields_names(kind, critiques):
    import argilla as rg

    # No server is asked before the settings are sent to one.
    client = rg.Argilla.__new__(rg.Argilla)
    client.api = type("Api", (), dict.fromkeys(("fields", "questions", "metadata")))()
    made = review_settings(kind, critiques=critiques, overlap=2, guidelines="Read.", client=client)
    assert [q.name for q in made.questions] == list(question_names(kind, critiques))
    assert [f.name for f in made.fields] == list(field_names(kind, critiques))
    assert tuple(o["value"] for o in options(made.questions[BETTER])) == ANSWERS[kind]
    assert [q.name for q in made.questions if q.required] == [BETTER]
    assert made.distribution.min_submitted == 2
    assert not any(field.use_markdown for field in made.fields)
    assert (CRITIQUE_RIGHT in question_names(kind, critiques)) == (critiques or kind == "sft")
    open_to_all = {m.name for m in made.metadata if m.visible_for_annotators}
    assert open_to_all == {"principle_id", "category"}
    assert {m.name for m in made.metadata} == {*META, P_CHOSEN}


def options(question):
    return question.api_model().model_dump()["settings"]["options"]


def constitution(*texts):
    principles = tuple(
        Principle(id=f"p{i}", name=f"Name {i}", critique=text, revision="x", comparison=text)
        for i, text in enumerate(texts)
    )
    return Constitution(name="mine", version="1.0.0", licence="MIT", principles=principles)


@pytest.mark.parametrize("kind", ["preference", "sft"])
def test_guidelines_have_the_principles_as_text(kind):
    evil = "Choose <img src=//t.example> ![x](//t.example/y.png) [a](//t.example)"
    text = review_guidelines(kind, constitution("Choose the kinder one.", evil), shown=False)
    assert "Choose the kinder one." in text
    assert "<img" not in text
    assert "![x](" not in text
    assert "[a](" not in text


def test_guidelines_never_outgrow_the_server_and_count_what_is_left_out():
    text = review_guidelines("sft", constitution(*["Is it kind? " * 60] * 40), shown=True)
    assert len(text) <= MOST
    named = text.count("**Name ")
    assert f"{40 - named} more stand beside" in text


@pytest.mark.parametrize("name", sorted(shipped_constitutions()))
def test_guidelines_of_the_shipped_constitutions(name):
    shipped = load_constitution(shipped_constitutions()[name])
    text = review_guidelines("preference", shipped, shown=False)
    assert len(text) <= MOST
    assert "does not lead you" in text
