"""The cache around any distilabel LLM: what is asked once, what is asked again."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from distilabel.models.llms.base import LLM, AsyncLLM
from pydantic import BaseModel, Field, SecretStr

from charter.errors import InputError
from charter.models.cached_llm import CachedLLM, identity_of
from charter.models.call import Call


class Counting(LLM):
    """Answers with a number, and remembers what it was asked."""

    model: str = "counting"
    temperature: float = 0.5
    api_key: SecretStr | None = None
    fails: bool = False
    asked: list[Any] = Field(default_factory=list, exclude=True)

    @property
    def model_name(self) -> str:
        return self.model

    def generate(self, inputs, num_generations=1, suffix=""):
        outputs = []
        for given in inputs:
            numbers = []
            for _ in range(num_generations):
                self.asked.append(given)
                numbers.append(None if self.fails else f"answer {len(self.asked)}{suffix}")
            outputs.append(
                {
                    "generations": numbers,
                    "statistics": {
                        "input_tokens": [3] * num_generations,
                        "output_tokens": [4] * num_generations,
                    },
                }
            )
        return outputs


class Served(AsyncLLM):
    model: str = "served"
    refused: str = Field(default="", exclude=True)
    calls: list[Any] = Field(default_factory=list, exclude=True)

    @property
    def model_name(self) -> str:
        return self.model

    async def agenerate(self, input, num_generations=1):  # noqa: A002
        self.calls.append(input)
        if input[-1]["content"] == self.refused:
            raise ValueError("too long")
        texts = [f"{input[-1]['content']} {i}" for i in range(num_generations)]
        return {
            "generations": texts,
            "statistics": {"input_tokens": [1], "output_tokens": [2] * num_generations},
        }


def say(text):
    return [{"role": "user", "content": text}]


def made(inner, tmp_path, **kw):
    llm = CachedLLM(llm=inner, path=str(tmp_path / "calls.sqlite"), **kw)
    llm.load()
    return llm


def texts(outputs):
    return [output["generations"] for output in outputs]


def test_a_call_is_made_once(tmp_path):
    inner = Counting()
    llm = made(inner, tmp_path)
    first = llm.generate_outputs(inputs=[say("a"), say("b")], num_generations=1)
    again = llm.generate_outputs(inputs=[say("b"), say("a"), say("c")])
    assert texts(first) == [["answer 1"], ["answer 2"]]
    assert texts(again) == [["answer 2"], ["answer 1"], ["answer 3"]]
    assert first[0]["statistics"] == {"input_tokens": [3], "output_tokens": [4]}
    assert again[1]["statistics"] == first[0]["statistics"]
    llm.unload()
    other = made(Counting(), tmp_path)
    assert texts(other.generate(inputs=[say("a")])) == [["answer 1"]]
    assert (tmp_path / "calls.sqlite").is_file()


def test_a_cache_in_a_home_of_nobody_is_where_shells_put_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    llm = CachedLLM(llm=Counting(), path="~no-such-user/calls.sqlite")
    llm.load()
    assert texts(llm.generate(inputs=[say("a")])) == [["answer 1"]]
    assert (tmp_path / "~no-such-user/calls.sqlite").is_file()


def test_a_call_that_a_batch_has_twice_is_made_once(tmp_path):
    inner = Counting()
    llm = made(inner, tmp_path)
    assert texts(llm.generate(inputs=[say("a"), say("b"), say("a")], num_generations=2)) == [
        ["answer 1", "answer 2"],
        ["answer 3", "answer 4"],
        ["answer 1", "answer 2"],
    ]
    call = Call("generate", "p", 0, 7, tuple(say("c")))
    one, other = llm.answer_batch([call, call])
    assert one.text == other.text and len(inner.asked) == 4 + 1


@pytest.mark.parametrize("given", ["a", ["a"]])
def test_what_is_no_conversation_is_refused(tmp_path, given):
    with pytest.raises(InputError, match="not a list of chat messages"):
        made(Counting(), tmp_path).generate(inputs=[given])


def test_samples_have_numbers(tmp_path):
    inner = Counting()
    llm = made(inner, tmp_path)
    two = llm.generate(inputs=[say("a")], num_generations=2)
    three = llm.generate(inputs=[say("a"), say("b")], num_generations=3)
    assert texts(two) == [["answer 1", "answer 2"]]
    assert texts(three)[0][:2] == ["answer 1", "answer 2"]
    assert len(set(texts(three)[0] + texts(three)[1])) == 6
    assert len(inner.asked) == 2 + 1 + 3


def test_a_failed_generation_is_asked_for_again(tmp_path):
    inner = Counting(fails=True)
    llm = made(inner, tmp_path)
    assert texts(llm.generate(inputs=[say("a")])) == [[None]]
    inner.fails = False
    # `fails` is a setting of this LLM, and would be another identity.
    llm = made(inner, tmp_path, identity={"model": "same"})
    inner.fails = True
    assert texts(llm.generate(inputs=[say("a")])) == [[None]]
    inner.fails = False
    assert texts(llm.generate(inputs=[say("a")]))[0][0].startswith("answer")


@pytest.mark.parametrize(
    "change", [{"model": "other"}, {"temperature": 0.9}, {"generation_kwargs": {"suffix": "!"}}]
)
def test_what_changes_an_answer_is_another_call(tmp_path, change):
    made(Counting(), tmp_path).generate(inputs=[say("a")])
    inner = Counting(**change)
    made(inner, tmp_path).generate(inputs=[say("a")])
    assert len(inner.asked) == 1


def test_a_setting_changed_after_the_first_call_makes_other_calls(tmp_path):
    inner = Counting()
    llm = made(inner, tmp_path)
    calls = [Call("s", "p", 0, 1, tuple(say("b")))]
    for temperature in (0.5, 0.9, 0.5):
        inner.temperature = temperature
        llm.generate(inputs=[say("a")])
        llm.answer_batch(calls)
    assert len(inner.asked) == 2 * 2
    assert texts(made(Counting(temperature=0.9), tmp_path).generate(inputs=[say("a")])) == [
        ["answer 3"]
    ]


@pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")  # distilabel's own
def test_generation_kwargs_of_its_own_are_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="temperature: the LLM within makes the calls"):
        CachedLLM(llm=Counting(), generation_kwargs={"temperature": 0.9})
    llm = made(Counting(), tmp_path)
    # As distilabel sets them from `pipeline.run(parameters=...)`.
    with pytest.raises(InputError, match=r"llm\.llm at run time"):
        llm.set_runtime_parameters({"generation_kwargs": {"suffix": "!"}})
    llm.set_runtime_parameters({"llm": {"generation_kwargs": {"suffix": "!"}}})
    assert texts(llm.generate_outputs(inputs=[say("a")])) == [["answer 1!"]]


def test_the_key_is_in_neither_identity_nor_file(tmp_path):
    inner = Counting(api_key=SecretStr("sk-very-secret"))
    llm = made(inner, tmp_path)
    llm.generate(inputs=[say("a")])
    assert "secret" not in repr(identity_of(inner))
    llm.unload()
    assert all(b"sk-very-secret" not in f.read_bytes() for f in tmp_path.glob("calls*"))
    assert made(Counting(), tmp_path).generate(inputs=[say("a")]) and identity_of(
        inner
    ) == identity_of(Counting())


def test_settings_that_are_a_model_of_their_own_count_by_their_values():
    class Sampling(BaseModel):
        top_k: int

    class Grouped(Counting):
        sampling: Sampling

    one, other = (identity_of(Grouped(sampling=Sampling(top_k=k))) for k in (1, 2))
    assert one != other and one["settings"]["sampling"] == {"top_k": 1}


@pytest.mark.filterwarnings("ignore:A custom validator is returning")  # distilabel's own
def test_where_and_as_whom_a_server_is_asked_is_in_no_identity():
    """Not in that of an LLM within another either, of which its settings are."""
    from distilabel.models.llms import MixtureOfAgentsLLM, OllamaLLM, TransformersLLM

    def mixture(**changes):
        inner = OllamaLLM(**{"model": "m", "host": "http://one", **changes})
        return MixtureOfAgentsLLM(aggregator_llm=inner, proposers_llms=[inner], rounds=1)

    one = identity_of(mixture())
    assert one == identity_of(mixture(host="http://two", timeout=9, follow_redirects=False))
    for change in ({"model": "other"}, {"generation_kwargs": {"options": {"temperature": 0.9}}}):
        assert one != identity_of(mixture(**change))
    held = [identity_of(TransformersLLM(model="m", token=token)) for token in ("hf_x", None)]
    assert held[0] == held[1]


def test_structured_output_is_part_of_the_call(tmp_path):
    class Person(BaseModel):
        name: str

    class Animal(BaseModel):
        legs: int

    inner = Counting()
    llm = made(inner, tmp_path)
    for schema in (Person, Animal, Person, Person.model_json_schema()):
        llm.generate(inputs=[(say("a"), {"format": "json", "schema": schema})])
    assert len(inner.asked) == 2
    assert inner.asked[0] == (say("a"), {"format": "json", "schema": Person})


def test_an_asynchronous_llm_is_asked_for_all_that_is_missing_at_once(tmp_path):
    inner = Served()
    llm = made(inner, tmp_path)
    assert texts(llm.generate(inputs=[say("a"), say("b")])) == [["a 0"], ["b 0"]]
    assert texts(llm.generate(inputs=[say("a"), say("c")])) == [["a 0"], ["c 0"]]
    assert [m[-1]["content"] for m in inner.calls] == ["a", "b", "c"]


def test_what_is_answered_beside_a_refusal_is_kept(tmp_path):
    inner = Served(refused="b")
    llm = made(inner, tmp_path)
    for asked in (3, 4):
        with pytest.raises(ValueError, match="too long"):
            llm.generate(inputs=[say("a"), say("b"), say("c")], num_generations=2)
        assert len(inner.calls) == asked
    assert texts(llm.generate(inputs=[say("c"), say("a")], num_generations=2)) == [
        ["c 0", "c 1"],
        ["a 0", "a 1"],
    ]
    calls = [Call("s", "p", 0, 1, tuple(say(text))) for text in "abc"]
    for asked in (4 + 3, 4 + 3 + 1):
        assert [a.ok for a in llm.answer_batch(calls)] == [True, False, True]
        assert len(inner.calls) == asked


def test_it_works_as_the_llm_of_a_task_of_distilabels_own(tmp_path):
    from distilabel.steps.tasks import TextGeneration

    inner = Counting()
    task = TextGeneration(name="t", llm=made(inner, tmp_path), input_batch_size=2)
    task.load()
    rows = [{"instruction": "one"}, {"instruction": "two"}]
    first = next(task.process(copy.deepcopy(rows)))
    second = next(task.process(copy.deepcopy(rows)))
    assert [r["generation"] for r in first] == [r["generation"] for r in second]
    assert first[0]["model_name"] == "counting" and len(inner.asked) == 2


def test_calls_of_charters_tasks_keep_seed_and_labels(tmp_path):
    class Ours(Counting):
        def answer_batch(self, calls):
            from charter.models.call import Answer

            self.asked.extend(calls)
            return [Answer(f"{c.seed}", dict.fromkeys(c.labels, -0.5)) for c in calls]

    inner = Ours()
    llm = made(inner, tmp_path)
    calls = [
        Call("s", "p", 0, seed, tuple(say("a")), labels) for seed, labels in ((1, ()), (2, ("A",)))
    ]
    first, second = llm.answer_batch(calls), llm.answer_batch(calls)
    assert first == second and len(inner.asked) == 2
    assert first[1].label_logprobs == {"A": -0.5}


def test_it_can_go_to_another_process(tmp_path):
    llm = made(Counting(), tmp_path)
    llm.generate(inputs=[say("a")])
    copied = pickle.loads(pickle.dumps(llm))
    assert texts(copied.generate(inputs=[say("a")])) == [["answer 1"]]
    assert len(copied.llm.asked) == 1  # nothing was asked there


@pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")  # distilabel's own
def test_it_can_be_written_down_and_read_again(tmp_path):
    dumped = made(Counting(), tmp_path).dump()
    assert dumped["llm"]["model"] == "counting"
