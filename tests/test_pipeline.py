"""Compiling: which steps a recipe becomes, in which order, and for which models."""

from __future__ import annotations

import itertools
import math
from dataclasses import fields
from pathlib import Path

import pytest

from charter.constitutions import shipped_constitutions
from charter.documents import Document
from charter.models.call import Answer
from charter.pipeline import (
    asking_steps,
    candidate_slots,
    compile_pipeline,
    judge_steps,
    keep_rule,
    prompt_row,
)
from charter.recipes import Prompt, check_recipe
from charter.recipes.preference import PreferenceSettings

GENERATOR = {"llm": "openai", "model": "gen"}


def load(path=Path("r.yaml"), **blocks):
    data = {
        "seed": 3,
        "constitution": "concise",
        "prompts": {"path": "prompts/shipped.jsonl"},
        "models": {"generator": GENERATOR},
        **blocks,
    }
    loaded, faults = check_recipe(Document("r.yaml", data, {}), path)
    assert loaded is not None, faults
    return loaded


def names(loaded):
    return [step.name for step in asking_steps(loaded)]


@pytest.mark.parametrize(
    ("blocks", "steps", "slots"),
    [
        (
            {},
            ["respond", "critique-1", "revise-1", "respond-1", "judge"],
            ("revised", "sampled-1"),
        ),
        ({"preference": False}, ["respond", "critique-1", "revise-1"], ()),
        (
            {"sft": False, "preference": {"sources": ["sampled"]}},
            ["respond-1", "respond-2", "judge"],
            ("sampled-1", "sampled-2"),
        ),
        (
            {"sft": False, "preference": {"sources": ["sampled", "initial"], "candidates": 3}},
            ["respond", "respond-1", "respond-2", "judge"],
            ("initial", "sampled-1", "sampled-2"),
        ),
        (
            {
                "sft": {"rounds": 2},
                "preference": {"sources": ["revised", "initial"], "pairs": "revised-vs-initial"},
            },
            ["respond", "critique-1", "revise-1", "critique-2", "revise-2", "judge"],
            ("initial", "revised"),
        ),
        (
            {"sft": {"rounds": 1, "principles": "all"}, "preference": False},
            ["respond", *(f"{kind}-{k}" for k in range(1, 7) for kind in ("critique", "revise"))],
            (),
        ),
    ],
    ids=str,
)
def test_the_steps_of_a_recipe(blocks, steps, slots):
    loaded = load(**blocks)
    assert names(loaded) == steps
    assert candidate_slots(loaded) == slots
    assert (keep_rule(loaded) is None) == (not loaded.recipe.preference)


def test_the_steps_of_judging_are_set_as_the_recipe_is():
    wanted = PreferenceSettings(
        **{"mode": "cot", "pairs": "adaptive", "principles": 3, "candidates": 4, "votes": 7},
        **{"orders": "single", "keep": "margin", "near_equal": 0.9, "clamp": (0.3, 0.7)},
    )
    for step in judge_steps(load().constitution, wanted, 5, False, 2):
        shared = PreferenceSettings.model_fields.keys() & {each.name for each in fields(step)}
        assert len(shared) == 8
        assert all(getattr(step, name) == getattr(wanted, name) for name in shared)
        assert (step.seed, step.logprobs) == (5, False)


def test_only_the_last_revision_is_a_candidate():
    loaded = load(sft={"rounds": 3})
    candidates = {s.name: s.candidate for s in asking_steps(loaded) if s.role == "reviser"}
    assert candidates == {"revise-1": False, "revise-2": False, "revise-3": True}
    assert not asking_steps(loaded)[0].candidate
    loaded = load(preference={"sources": ["sampled"]})
    assert not any(s.candidate for s in asking_steps(loaded) if s.role == "reviser")


def test_models_are_named_in_rows_by_their_roles():
    loaded = load(models={"generator": GENERATOR, "reviser": {"llm": "openai", "model": "rev"}})
    named = {s.name: s.model for s in asking_steps(loaded) if hasattr(s, "model")}
    assert named == {"respond": "gen", "revise-1": "rev", "respond-1": "gen"}


@pytest.mark.parametrize("candidates", [2, 3, 5])
@pytest.mark.parametrize("principles", [1, 3, "all"])
def test_a_plans_calls_are_those_of_a_row_for_which_nothing_fails(candidates, principles):
    loaded = load(
        sft={"rounds": 2}, preference={"candidates": candidates, "principles": principles}
    )
    row = prompt_row(Prompt("p", ({"role": "user", "content": "Why?"},), "x"))
    mark = itertools.count()
    for step in asking_steps(loaded):
        calls = step.calls(row)
        assert len(calls) == step.most_calls()
        row = step.fold(row, [Answer(f"text {next(mark)}") for _ in calls])
    judged = 6 if principles == "all" else principles
    assert len(row["votes"]) == math.comb(candidates, 2) * judged * 2


def test_calls_of_a_prompt_never_share_seed_and_messages():
    loaded = load(sft={"rounds": 3}, preference={"candidates": 4, "principles": "all"})
    row = prompt_row(Prompt("p", ({"role": "user", "content": "Why?"},), "x"))
    seen = []
    mark = itertools.count()
    for step in asking_steps(loaded):
        calls = step.calls(row)
        seen += [(str(c.messages), c.seed) for c in calls]
        row = step.fold(row, [Answer(f"text {next(mark)}") for _ in calls])
    assert len(set(seen)) == len(seen)
    assert len({seed for _, seed in seen}) == len(seen)


def test_seeds_stay_what_they_are_from_release_to_release():
    """A call under another seed is paid for again."""
    loaded = load(preference={"mode": "cot", "orders": "single", "keep": "margin"})
    row = prompt_row(Prompt("p", ({"role": "user", "content": "Why?"},), "x"))
    seeds = {}
    for step in asking_steps(loaded):
        (call,) = step.calls(row)
        seeds[step.name] = call.seed
        row = step.fold(row, [Answer(f"text of {step.name}")])
    assert seeds == {
        "respond": 1575607395884458210,
        "critique-1": 632932272268771407,
        "revise-1": 897984266394839199,
        "respond-1": 6643102829852352050,
        "reason": 2627899901476725394,
        "judge": 6530298735661364774,
    }
    assert (row["votes"][0]["order"], row["votes"][0]["principle_id"]) == ("AB", "no-filler")


def test_a_seed_or_a_prompts_id_changes_every_call():
    row = prompt_row(Prompt("p", ({"role": "user", "content": "Why?"},), "x"))
    other = {**row, "prompt_id": "q"}
    first = [step.calls(row)[0].seed for step in asking_steps(load()) if step.independent]
    assert len(first) == 2
    for loaded, each in ((load(seed=4), row), (load(), other)):
        again = [step.calls(each)[0].seed for step in asking_steps(loaded) if step.independent]
        assert not set(first) & set(again)


def test_a_compiled_pipeline_has_the_steps_and_the_leaves():
    dag = compile_pipeline(load()).dag
    assert list(dag) == [
        "load",
        *names(load()),
        "keep",
        "rejects",
        "sft",
        "preference",
        "judgments",
    ]
    assert "sft" not in list(
        compile_pipeline(load(sft=False, preference={"sources": ["sampled"]})).dag
    )
    assert list(compile_pipeline(load(preference=False)).dag)[-2:] == ["rejects", "sft"]


@pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")
def test_a_pipeline_without_rows_can_be_looked_at():
    dag = compile_pipeline(load()).dag
    dag.validate()
    steps, _, connections, outputs, *_ = dag._get_graph_info_for_draw()
    assert set(steps) >= set(dag) and connections
    assert set(outputs["load"]) == {"prompt_id", "prompt", "source"}
    assert set(outputs["load"]) == prompt_row(Prompt("p", (), "x")).keys()


def test_roles_with_the_same_settings_share_one_model():
    def llms(**models):
        dag = compile_pipeline(load(models={"generator": GENERATOR, **models})).dag
        steps = [dag.get_step(name)["step"] for name in dag]
        return {s.name: id(s.llm) for s in steps if hasattr(s, "llm")}

    found = llms()
    # The judge is greedy, so it is another model than the generator, and the only other one.
    assert len(set(found.values())) == 2
    assert len({found[name] for name in found if name != "judge"}) == 1
    assert len(set(llms(critic={"llm": "openai", "model": "c"}).values())) == 3


def test_tasks_ask_what_the_steps_ask():
    loaded = load(sft={"rounds": 2, "principles": "round-robin"})
    dag = compile_pipeline(loaded).dag
    for step in asking_steps(loaded):
        assert dag.get_step(step.name)["step"].asking() == step


def test_a_constitution_beside_the_recipe_is_found_by_the_tasks(tmp_path, monkeypatch):
    folder = tmp_path / "sub"
    folder.mkdir()
    (folder / "own").write_text(shipped_constitutions()["concise"].read_text())
    monkeypatch.chdir(tmp_path)
    loaded = load(folder / "r.yaml", constitution="own")
    dag = compile_pipeline(loaded).dag
    assert dag.get_step("critique-1")["step"].asking().constitution == loaded.constitution
    row = {"prompt": "x", "prompt_id": "p", "candidates": []}
    assert next(dag.get_step("keep")["step"].process([row]))[0]["labels"] == []
