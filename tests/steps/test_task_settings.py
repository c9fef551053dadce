"""The tasks under a distilabel user's own settings: what they cannot do is refused, not ignored."""

from __future__ import annotations

import pytest
from distilabel.models.llms.base import LLM
from distilabel.pipeline import Pipeline
from distilabel.steps import KeepColumns, LoadDataFromDicts
from pydantic import ValidationError

from charter.errors import InputError
from charter.recipes.preference import PreferenceSettings
from charter.steps import (
    Critique,
    Judge,
    Keep,
    Respond,
    Revise,
    ToJudgments,
    ToPreference,
    ToRejects,
    ToSft,
)
from charter.steps.judge import JudgeAsk
from charter.steps.label import KeepRule
from charter.steps.tasks import JUDGING

DEPRECATED = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")


class Texts(LLM):
    """Answers each call with a text of its own; `down` makes it raise instead."""

    down: str = ""

    @property
    def model_name(self):
        return "m"

    def load(self):
        super().load()

    def generate(self, inputs, num_generations=1):
        if self.down and self.down in str(inputs):
            raise ConnectionError("no route to the server")
        judged = "[response A " in inputs[0][-1]["content"]
        texts = ["A" if judged else f"text {len(str(each))}" for each in inputs]
        return [{"generations": [text], "statistics": {}} for text in texts]


def loaded(kind, **settings):
    with Pipeline("settings"):
        step = kind(**({} if kind is Keep else {"llm": Texts()}), **settings)
    step.load()
    return step


def test_what_is_not_set_by_hand_is_as_a_recipe_has_it():
    recipe = PreferenceSettings()
    assert KeepRule() == KeepRule.of(loaded(Keep, constitution="hhh")) == KeepRule.of(recipe)
    judge = loaded(Judge, constitution="hhh")
    alone = JudgeAsk(judge.asking().constitution)
    for name in PreferenceSettings.model_fields.keys() & set(JUDGING):
        assert getattr(judge, name) == getattr(alone, name) == getattr(recipe, name), name


@pytest.mark.parametrize("given", [{"num_generations": 3}, {"group_generations": True}])
def test_more_than_one_generation_is_refused(given):
    with pytest.raises(InputError, match=r"num_generations: .*Respond\(index=1\)"):
        loaded(Respond, **given)


SHOT = {"principle": "breif", "prompt": "p", "response": "r", "critique": "c", "revision": "v"}


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (Critique, {"principles": {"breif": 1.0}}, 'principles.breif: .*did you mean "brief"'),
        (Judge, {"principles": {"breif": 1.0}}, 'principles.breif: .*did you mean "brief"'),
        (Keep, {"principles": {"breif": 1.0}}, 'principles.breif: .*did you mean "brief"'),
        (Judge, {"principles": {"brief": 0.0}}, "principles: has no weight above 0"),
        (Revise, {"few_shot": [SHOT]}, r'few_shot\[0\].principle: .*did you mean "brief"'),
    ],
)
def test_principles_that_are_not_there_are_refused_before_any_batch(kind, given, told):
    with pytest.raises(InputError, match=told):
        loaded(kind, constitution="concise", **given)


def test_a_pair_is_judged_under_one_principle_at_least():
    with pytest.raises(ValidationError, match="principles"):
        loaded(Judge, constitution="concise", principles=0)


def test_an_llm_that_raises_has_failed_its_calls_and_the_rows_say_so():
    with Pipeline("down"):
        respond = Respond(llm=Texts(down="two"))
    respond.load()
    rows = [{"prompt": "one", "prompt_id": "a"}, {"prompt": "two", "prompt_id": "b"}]
    (first,), (second,) = (next(respond.process([row])) for row in rows)
    assert first["initial_response"] and not first["faults"]
    assert second["prompt_id"] == "b"
    (fault,) = second["faults"]
    assert fault["reason"] == "CALL_FAILED"
    assert fault["detail"] == "ConnectionError: no route to the server"


@pytest.mark.parametrize(
    "bad", [None, [], 5, {"role": "user"}, [{"role": "user", "content": None}]]
)
def test_what_is_no_prompt_is_a_reject_and_costs_its_batch_nothing(bad):
    llm, concise = Texts(), {"constitution": "concise"}
    with Pipeline("bad"):
        steps = [Respond(llm=llm), *(kind(llm=llm, **concise) for kind in (Critique, Revise))]
        keep, sft, rejects = Keep(**concise), ToSft(), ToRejects()
    rows = [{"prompt_id": "a", "prompt": bad}, {"prompt_id": "b", "prompt": "Why?"}]
    for step in (*steps, keep, sft, rejects):
        step.load()
    for step in (*steps, keep):
        rows = next(step.process(rows))
    assert [row["prompt_id"] for row in next(sft.process(rows))] == ["b"]
    (reject,) = next(rejects.process(rows))
    assert (reject["prompt_id"], reject["reason"]) == ("a", "NO_PROMPT")


def test_a_column_that_a_mapping_hid_comes_back_in_its_own_row():
    rows = [{"prompt_id": f"p{i}", "question": f"{i}?", "prompt": f"raw {i}"} for i in range(3)]
    mapped = {"input_mappings": {"prompt": "question"}}
    with Pipeline("mapped"):
        steps = [Respond(llm=Texts(down="1?"), **mapped), ToRejects(**mapped)]
    for step in steps:
        step.load()
    walked = [next(steps[0].process_applying_mappings([row]))[0] for row in rows]
    made = next(steps[1].process_applying_mappings(walked))
    assert [(row["prompt_id"], row["prompt"]) for row in made] == [("p1", "raw 1")]


@DEPRECATED
def test_a_later_step_can_ask_for_every_column_that_a_task_makes():
    """Distilabel refuses a pipeline whose steps want columns that no step before them names."""
    llm = Texts()
    with Pipeline("columns") as pipeline:
        start = LoadDataFromDicts(name="load", data=[{"prompt": "Why?"}])
        respond = Respond(llm=llm, candidate=True)
        revise = Revise(llm=llm, constitution="concise", candidate=True)
        judge = Judge(llm=llm, constitution="concise")
        keep = Keep(constitution="concise", keep="margin")
        critique = Critique(llm=llm, constitution="concise")
        start >> respond >> critique >> revise >> judge >> keep
        start >> Respond(name="other", llm=llm) >> KeepColumns(columns=["initial_response"])
        ends = [ToSft(), ToPreference(), ToJudgments(), ToRejects(slots=["initial", "revised"])]
        keep >> ends
    pipeline.dag.validate()
    row = {"prompt": "Why?", "prompt_id": "p"}
    for step in (respond, critique, revise, judge, keep):
        step.load()
        (row,) = next(step.process([row]))
    row["labels"][0] |= {"winner": "A", "reason": "", "p_chosen": 0.9}
    lost = {**row, "labels": [{**row["labels"][0], "winner": "", "reason": "TIE", "detail": ""}]}
    for step in ends:
        (made, *_) = next(step.process([lost if isinstance(step, ToRejects) else row]))
        assert made.keys() <= {*step.outputs, *step.inputs}, step.name
        assert {*step.outputs} <= made.keys(), step.name


@DEPRECATED
def test_a_label_that_follows_reasons_needs_the_step_that_gives_them():
    with Pipeline("without-reasons") as pipeline:
        load = LoadDataFromDicts(data=[{"prompt": "x"}])
        load >> Judge(llm=Texts(), constitution="hhh", mode="cot")
    with pytest.raises(ValueError, match=r"requires inputs .*reasons"):
        pipeline.dag.validate()
