"""The distilabel tasks: the same rows as the pure steps, by hand and under distilabel's runner."""

from __future__ import annotations

from pathlib import Path

import pytest
from distilabel.models.llms.base import LLM, AsyncLLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts

from charter import steps as charter_steps
from charter.documents import Document
from charter.errors import InputError
from charter.hub.schema import CONFIGS
from charter.models.call import Answer
from charter.pipeline import (
    asking_steps,
    candidate_slots,
    compile_pipeline,
    keep_rule,
    prompt_row,
)
from charter.recipes import Prompt, check_recipe
from charter.rows import digest
from charter.steps import (
    Critique,
    Judge,
    Keep,
    Reason,
    Respond,
    Revise,
    ToJudgments,
    ToPreference,
    ToRejects,
    ToSft,
)
from charter.steps.asking import prepared
from charter.steps.keep import kept
from charter.steps.shape import judgment_rows, preference_rows, reject_rows, sft_rows

# distilabel 1.5 reads `model_fields` from instances.
DEPRECATED = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")


def say(messages, labels=()):
    """What the scripted model answers: a function of what it reads, so the same in any process."""
    last = messages[-1]["content"]
    mark = int(digest([[m["role"], m["content"]] for m in messages])[:8], 16)
    if "[response A " not in last:
        return None if mark % 17 == 0 else "" if mark % 13 == 0 else f"text {mark % 6}"
    if labels:
        return {"A": -1.0 - mark % 5, "B": -1.0 - mark % 3}
    return ["A", "B", "TIE", "no idea"][mark % 4]


def answer(call):
    said = say(call.messages, call.labels)
    if said is None:
        return Answer(error="the model gave no answer")
    return Answer(label_logprobs=said) if isinstance(said, dict) else Answer(said)


class Scripted(LLM):
    """As our own models: asked in batches of calls."""

    @property
    def model_name(self):
        return "m"

    def answer_batch(self, calls):
        return [answer(call) for call in calls]

    def generate(self, inputs, num_generations=1):
        return [
            {"generations": [say(messages)], "statistics": {"input_tokens": [1]}}
            for messages in inputs
        ]


class Foreign(LLM):
    """As somebody else's model: asked for texts alone."""

    @property
    def model_name(self):
        return "m"

    def load(self):
        super().load()

    def generate(self, inputs, num_generations=1):
        return [
            {
                "generations": [say(messages)],
                "statistics": {"input_tokens": [1], "output_tokens": [1]},
            }
            for messages in inputs
        ]


class ForeignServed(AsyncLLM):
    """As somebody else's model behind a server."""

    @property
    def model_name(self):
        return "m"

    def load(self):
        super().load()

    async def agenerate(self, input, num_generations=1):  # noqa: A002
        return {
            "generations": [say(input)],
            "statistics": {"input_tokens": [1], "output_tokens": [1]},
        }


PREFERENCE = {"candidates": 3, "sources": ["initial", "revised", "sampled"], "principles": 2}


def load(**blocks):
    data = {
        "name": "by-hand",
        "seed": 3,
        "constitution": "concise",
        "prompts": {"path": "prompts/shipped.jsonl"},
        "models": {"generator": {"llm": "openai", "model": "m"}},
        "preference": PREFERENCE,
        **blocks,
    }
    loaded, faults = check_recipe(Document("r.yaml", data, {}), Path("r.yaml"))
    assert loaded is not None, faults
    return loaded


def prompts(n):
    return [
        prompt_row(Prompt(f"p{i}", ({"role": "user", "content": f"Why {i}?"},), "web"))
        for i in range(n)
    ]


def pure(loaded, rows):
    """The rows through the pure steps: what every other way must give as well."""
    for step in asking_steps(loaded):
        rows = [step.fold(row, [answer(call) for call in step.calls(row)]) for row in rows]
    rule = keep_rule(loaded)
    return [prepared(row) if rule is None else kept(row, rule, loaded.constitution) for row in rows]


def leaves(loaded, rows):
    slots, sft = candidate_slots(loaded), bool(loaded.recipe.sft)
    return {
        "sft": [made for row in rows for made in sft_rows(row)],
        "preference": [made for row in rows for made in preference_rows(row, "m")],
        "judgments": [made for row in rows for made in judgment_rows(row, "m")],
        "rejects": [made for row in rows for made in reject_rows(row, slots, sft)],
    }


def walk(pipeline, rows):
    """Rows through a pipeline's tasks one by one, as distilabel's runner passes them on."""
    made = {}
    for name in pipeline.dag:
        step = pipeline.dag.get_step(name)["step"]
        if name == "load":
            continue
        if hasattr(step, "llm"):
            step.llm.load()
        step_rows = list(step.process([dict(row) for row in rows]))
        assert len(step_rows) == 1
        if name in ("sft", "preference", "judgments", "rejects"):
            made[name] = step_rows[0]
        else:
            rows = step_rows[0]
    return rows, made


RECIPES = {
    "verdicts": {},
    "log-probabilities": {
        "preference": {**PREFERENCE, "mode": "logprob", "keep": "margin", "min_margin": 0.1}
    },
    "two rounds": {"sft": {"rounds": 2, "principles": {"brief": 1.0, "concrete": 2.0}}},
    "all principles": {"sft": {"rounds": 1, "principles": "all"}},
    "few shot": {
        "sft": {
            "few_shot": [
                {
                    "principle": "brief",
                    "prompt": "p",
                    "response": "r",
                    "critique": "c",
                    "revision": "v",
                }
            ]
        }
    },
    "no preference": {"preference": False},
    "no sft": {"sft": False, "preference": {"sources": ["sampled"], "candidates": 2}},
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_compiled_pipeline_gives_the_rows_of_the_pure_steps(name, monkeypatch):
    monkeypatch.setattr("charter.pipeline.build_llm", lambda settings, run: Scripted())
    loaded = load(**RECIPES[name])
    rows, made = walk(compile_pipeline(loaded, prompts(30)), prompts(30))
    expected = pure(loaded, prompts(30))
    assert rows == expected
    wanted = leaves(loaded, expected)
    assert made == {key: value for key, value in wanted.items() if key in made}
    assert ("sft" in made) == bool(loaded.recipe.sft)
    assert ("preference" in made) == bool(loaded.recipe.preference)
    assert made["rejects"]


@pytest.mark.parametrize("llm", [Foreign, ForeignServed])
def test_any_llm_of_distilabels_does(llm, monkeypatch):
    llms = []

    def build(settings, run):
        llms.append(llm())
        return llms[-1]

    monkeypatch.setattr("charter.pipeline.build_llm", build)
    loaded = load()
    rows, made = walk(compile_pipeline(loaded, prompts(12)), prompts(12))
    for each in llms:
        if isinstance(each, AsyncLLM):  # left to the collector, its sockets may go before it
            each.event_loop.close()
    expected = pure(loaded, prompts(12))

    def without_tokens(rows):
        drop = ("prompt_tokens", "completion_tokens")
        return [
            {
                **r,
                "votes": [{k: v for k, v in vote.items() if k not in drop} for vote in r["votes"]],
            }
            for r in rows
        ]

    assert without_tokens(rows) == without_tokens(expected)
    assert made["preference"] == leaves(loaded, expected)["preference"]


def test_a_pipeline_by_hand():
    llm = Foreign()
    with Pipeline("by-hand") as pipeline:
        start = LoadDataFromDicts(name="load", data=[{"prompt": "How do tides work?"}])
        respond = Respond(llm=llm)
        critique = Critique(llm=llm, constitution="concise")
        revise = Revise(llm=llm, constitution="concise")
        start >> respond >> critique >> revise >> ToSft(name="sft")
    _, made = walk(pipeline, [{"prompt": "How do tides work?"}])
    (row,) = made["sft"]
    assert row["prompt"] == [{"role": "user", "content": "How do tides work?"}]
    assert row["completion"][0]["content"] == row["revisions"][0]["revision"]
    assert len(row["prompt_id"]) == 16
    assert row["revisions"][0]["model"] == "m"


def test_every_task_can_be_made_with_its_defaults_and_its_columns_are_named():
    llm = Foreign()
    with Pipeline("columns"):
        made = [
            Respond(name="a", llm=llm),
            Critique(name="b", llm=llm, constitution="concise"),
            Revise(name="c", llm=llm, constitution="concise"),
            Reason(name="r", llm=llm, constitution="concise"),
            Judge(name="d", llm=llm, constitution="concise"),
            Keep(name="e", constitution="concise"),
            ToSft(name="f"),
            ToPreference(name="g"),
            ToJudgments(name="h"),
            ToRejects(name="i"),
        ]
    assert {type(step).__name__ for step in made} == set(charter_steps.__all__)
    row = {"prompt": "Why?", "prompt_id": "p"}
    for step in made[:5]:
        step.llm.load()
        rows = next(step.process([row]))
        assert set(step.outputs) <= rows[0].keys()
        row = rows[0]
    row = next(made[5].process([row]))[0]
    assert row["labels"] == []
    for step, config in zip(made[6:], ("sft", "preference", "judgments", "rejects"), strict=True):
        for out in next(step.process([row])):
            assert list(out) == CONFIGS[config].names
        assert {*step.inputs, *step.outputs} == {*CONFIGS[config].names, "prompt"}


def test_distilabels_own_way_in_and_out_of_a_task():
    llm = Foreign()
    with Pipeline("formats"):
        respond = Respond(llm=llm)
        critique = Critique(llm=llm, constitution="concise")
    row = {"prompt": "Why?", "prompt_id": "p"}
    assert respond.format_input(row) == [{"role": "user", "content": "Why?"}]
    answered = respond.format_output("Because.", row)
    assert answered["initial_response"] == "Because."
    failed = respond.format_output(None, row)
    assert failed["faults"][0]["reason"] == "CALL_FAILED"
    assert critique.format_input(failed) == []
    assert critique.format_input(answered)[1]["content"] == "Because."


def test_an_edited_constitution_is_read_anew(tmp_path):
    from charter.constitutions import shipped_constitutions

    path = tmp_path / "own.yaml"
    text = shipped_constitutions()["concise"].read_text()
    path.write_text(text)
    with Pipeline("edited"):
        critique = Critique(llm=Foreign(), constitution=str(path), principles={"brief": 1.0})
    row = {"prompt": "Why?", "prompt_id": "p", "initial_response": "x"}
    before = critique.format_input(row)[-1]["content"]
    path.write_text(text.replace("Which sentences of your last answer", "Which words of it"))
    after = critique.format_input(row)[-1]["content"]
    assert before != after and after.startswith("Which words of it")


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (lambda: Respond(llm=Foreign(), num_generations=2), "num_generations"),
        (lambda: Respond(llm=Foreign(), group_generations=True), "num_generations"),
        (lambda: Critique(llm=Foreign(), constitution="hhh", principles={"no": 1.0}), '"no"'),
        (lambda: Keep(constitution="hhh", principles={"no": 1.0}), '"no"'),
        (lambda: Keep(constitution="hhh", principles={"privacy": 0.0}), "no weight above 0"),
    ],
)
def test_what_a_step_cannot_do_is_told_when_it_is_loaded(task, said):
    with pytest.raises(InputError, match=said):
        task().load()


def test_a_name_that_is_no_step_is_no_attribute():
    with pytest.raises(AttributeError, match="Judgee"):
        _ = charter_steps.Judgee


@DEPRECATED
@pytest.mark.parametrize("name", RECIPES)
def test_distilabels_runner_takes_a_compiled_pipeline(name):
    """Its own checks before a run, with the LLM that the recipe names: a server's, not asked."""
    compile_pipeline(load(**RECIPES[name]), prompts(3)).dag.validate()


@DEPRECATED
def test_a_compiled_pipeline_is_written_down_and_read_back(monkeypatch, tmp_path):
    monkeypatch.setattr("charter.pipeline.build_llm", lambda settings, run: Scripted())
    loaded = load(**RECIPES["few shot"])
    pipeline = compile_pipeline(loaded, prompts(3))
    path = tmp_path / "pipeline.json"
    pipeline.save(path, format="json")
    again = Pipeline.from_json(path)
    assert list(again.dag) == list(pipeline.dag)
    rows, _ = walk(again, prompts(3))
    assert rows == pure(loaded, prompts(3))


@pytest.mark.slow
@DEPRECATED
@pytest.mark.filterwarnings("ignore:unclosed file.*pipeline.log:ResourceWarning")
def test_distilabels_own_runner_gives_the_same_rows(monkeypatch, tmp_path):
    monkeypatch.setattr("charter.pipeline.build_llm", lambda settings, run: Scripted())
    loaded = load()
    pipeline = compile_pipeline(loaded, prompts(10), batch_size=4)
    pipeline._cache_dir = tmp_path / "distilabel"
    distiset = pipeline.run(use_cache=False)
    wanted = leaves(loaded, pure(loaded, prompts(10)))
    for name in ("sft", "preference", "judgments", "rejects"):
        found = distiset[name]["train"].to_list()
        columns = wanted[name][0].keys()
        assert [{key: row[key] for key in columns} for row in found] == wanted[name], name
