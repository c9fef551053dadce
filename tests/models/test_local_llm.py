"""The local model as an LLM of distilabel."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from charter.errors import InputError
from charter.models.call import Call
from charter.models.checkpoint import EMBEDDED_NAME

if TYPE_CHECKING:
    from charter.models.local import LocalModel
    from charter.models.local_llm import LocalLLM

pytestmark = [
    pytest.mark.model,
    # distilabel's own way of listing fields
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute:DeprecationWarning"),
]

CHAT = [{"role": "user", "content": "What is the capital of France?"}]
OTHER = [{"role": "user", "content": "Name a fruit."}]


@pytest.fixture
def llm(embedded: LocalModel) -> LocalLLM:
    from charter.models.local_llm import LocalLLM

    llm = LocalLLM(temperature=0.9, max_tokens=8)
    llm.load()
    return llm


def test_it_generates_what_distilabel_expects(llm: LocalLLM) -> None:
    both = llm.generate_outputs([CHAT, OTHER], num_generations=2)
    assert [len(output["generations"]) for output in both] == [2, 2]
    assert all(len(v) == 2 for output in both for v in output["statistics"].values())
    first, second = both[1]["generations"]
    assert first != second
    assert llm.generate_outputs([OTHER], num_generations=2) == both[1:]
    llm.seed = 5
    assert llm.generate_outputs([OTHER], num_generations=2) != both[1:]


def test_a_home_of_nobody_is_no_folder() -> None:
    from charter.models.local_llm import LocalLLM

    with pytest.raises(InputError, match="~no-such-user/x: no such folder"):
        LocalLLM(model="~no-such-user/x").load()


def test_generation_kwargs_override_the_llms_own(llm: LocalLLM) -> None:
    (output,) = llm.generate_outputs([CHAT], temperature=0.0, max_new_tokens=2)
    assert output["generations"] == ["The capital"]
    assert output["statistics"]["output_tokens"] == [2]
    llm.set_runtime_parameters({"generation_kwargs": {"max_new_tokens": 3}})
    assert llm.get_generation_kwargs() == {"max_new_tokens": 3}


def test_a_sample_that_failed_is_none(llm: LocalLLM) -> None:
    long = [{"role": "user", "content": "word " * 9000}]
    over, fine = llm.generate([long, CHAT])
    assert over["generations"] == [None]
    assert fine["generations"][0]


def test_what_is_no_conversation_is_refused(llm: LocalLLM) -> None:
    with pytest.raises(InputError, match="chat messages"):
        llm.generate(["a text"])


def test_calls_get_texts_and_log_probabilities_in_order(
    llm: LocalLLM, ask: Callable[..., Call], embedded: LocalModel
) -> None:
    calls = [ask("Hi!"), ask("A or B?", ("A", "B")), ask("Name a fruit.")]
    hello, odds, fruit = llm.answer_batch(calls)
    assert hello.text
    assert fruit.text
    assert set(odds.label_logprobs) == {"A", "B"}
    how = {"temperature": 0.9, "top_p": 1.0, "max_tokens": 8}
    assert [hello, fruit] == embedded.generate([calls[0], calls[2]], **how)
    assert llm.answer_batch([]) == []


def test_it_travels_without_its_model(llm: LocalLLM) -> None:
    from charter.models.local_llm import LocalLLM

    assert len(pickle.dumps(llm)) < 10_000
    copied = pickle.loads(pickle.dumps(llm))
    assert copied.dump() == llm.dump()
    assert copied.generate([CHAT]) == llm.generate([CHAT])
    restored = LocalLLM.from_dict(llm.dump())
    assert restored.dump() == llm.dump()
    assert restored.model_name == EMBEDDED_NAME


def test_a_task_of_distilabel_takes_it(llm: LocalLLM) -> None:
    from distilabel.steps.tasks import TextGeneration

    task = TextGeneration(llm=llm, num_generations=2, add_raw_input=False)
    task.load()
    rows = next(task.process([{"instruction": "Name a fruit."}]))
    assert [row["model_name"] for row in rows] == [EMBEDDED_NAME] * 2
    assert rows[0]["generation"] == llm.generate([OTHER])[0]["generations"][0]
    task.unload()


def test_a_forked_process_answers_too(llm: LocalLLM) -> None:
    # libgomp's threads are gone after a fork: this hung before `one_thread_if_forked`.
    import multiprocessing

    expected = llm.generate([CHAT])[0]["generations"]
    context = multiprocessing.get_context("fork")
    results = context.Queue()

    def child(pickled: bytes) -> None:
        copied = pickle.loads(pickled)
        copied.load()
        results.put(copied.generate([CHAT])[0]["generations"])

    process = context.Process(target=child, args=(pickle.dumps(llm),))
    process.start()
    try:
        assert results.get(timeout=30) == expected
    finally:
        process.kill()
        process.join()
