"""The local model: sampling, batches, label log-probabilities, overflow, adapters."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from charter.errors import Failure, InputError
from charter.models.call import Answer, Call
from charter.models.checkpoint import EMBEDDED_NAME, EMBEDDED_REVISION, embedded_checkpoint
from charter.rows import Message

if TYPE_CHECKING:
    from charter.models.local import LocalModel

Ask = Callable[..., Call]
SAMPLED: dict[str, Any] = {"temperature": 0.8, "top_p": 0.9, "max_tokens": 10}
GREEDY: dict[str, Any] = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 10}
QUESTIONS = [
    "What is the capital of France?",
    "Write one line about rain.",
    "How do I boil an egg? Say it in a few words, please, and leave nothing out.",
    "Hi!",
    "Explain gravity to a child in two sentences, with an example from the kitchen.",
]


# The order and the batches of calls


def test_batches_take_the_order_and_keep_the_bounds() -> None:
    from charter.models import prefill

    lengths = dict(enumerate([5, 1, 9, 3, 20_000, 20_000, 50_000]))
    batches = prefill.split_batches([1, 3, 0, 2, 4, 5, 6], lengths, max_rows=3, more=10)
    assert batches == [[1, 3, 0], [2], [4], [5], [6]]
    assert prefill.split_batches([], {}, 3) == []


@pytest.mark.model
def test_the_same_sample_alone_batched_and_reordered(embedded: LocalModel, ask: Ask) -> None:
    calls = [ask(question, index=index) for question in QUESTIONS for index in (0, 1)]
    answers = embedded.generate(calls, **SAMPLED)
    assert all(answer.ok for answer in answers)
    assert len({answer.text for answer in answers}) > len(QUESTIONS)

    order = list(range(len(calls)))
    random.Random(0).shuffle(order)
    again = embedded.generate([calls[place] for place in order], **SAMPLED)
    assert [again[order.index(place)] for place in range(len(calls))] == answers
    for place in (0, 3, 5):
        assert embedded.generate([calls[place]], **SAMPLED) == [answers[place]]


@pytest.mark.model
def test_greedy_takes_no_notice_of_seeds_and_agrees_with_transformers(
    embedded: LocalModel, ask: Ask
) -> None:
    import torch

    calls = [ask(question) for question in QUESTIONS]
    answers = embedded.generate(calls, **GREEDY)
    others = [ask(question, seed=99) for question in QUESTIONS]
    assert embedded.generate(others, **GREEDY) == answers

    inputs = embedded.tokenizer.apply_chat_template(
        [dict(calls[2].messages[0])],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.inference_mode():
        out = embedded.model.generate(**inputs, do_sample=False, max_new_tokens=10)
    new = out[0, inputs["input_ids"].shape[1] :]
    text = embedded.tokenizer.decode(new, skip_special_tokens=True).strip()
    assert answers[2].text == text
    assert answers[2].prompt_tokens == inputs["input_ids"].shape[1]
    assert answers[2].completion_tokens == len(new)


@pytest.mark.model
def test_more_calls_than_a_batch_holds(
    embedded: LocalModel, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [ask(question) for question in QUESTIONS]
    whole = embedded.generate(calls, **SAMPLED | {"max_tokens": 4})
    monkeypatch.setattr("charter.models.local.MAX_BATCH", 2)
    assert embedded.generate(calls, **SAMPLED | {"max_tokens": 4}) == whole
    assert embedded.generate([], **GREEDY) == []


@pytest.mark.model
def test_ends_lengths_and_stop_texts(embedded: LocalModel, ask: Ask) -> None:
    capital, rain = (
        embedded.generate([ask(q)], **GREEDY | {"max_tokens": 24})[0] for q in QUESTIONS[:2]
    )
    assert (capital.text, capital.finish_reason) == ("The capital of France is Paris.", "stop")
    assert capital.completion_tokens == 8  # seven of text and the end token
    cut = embedded.generate([ask(QUESTIONS[1])], **GREEDY | {"max_tokens": 3})[0]
    assert (cut.completion_tokens, cut.finish_reason) == (3, "length")
    assert rain.text.startswith(cut.text)
    (stopped,) = embedded.generate(
        [ask(QUESTIONS[0])], **GREEDY | {"max_tokens": 24}, stop=("France",)
    )
    assert (stopped.text, stopped.finish_reason) == ("The capital of", "stop")


@pytest.mark.model
@pytest.mark.parametrize(
    ("reason", "text"), [("length", "Hi"), ("stop", "Hi \N{REPLACEMENT CHARACTER}")]
)
def test_half_a_character_is_no_part_of_an_answer_cut_short(
    embedded: LocalModel, reason: str, text: str
) -> None:
    from charter.models.decode import Written

    ids = embedded.tokenizer(" Hi \N{ROSETTE}", add_special_tokens=False)["input_ids"]
    assert len(ids) == 4
    answer = embedded._answer(Written(ids[:-1], reason), 5, ())
    assert answer.text == text
    assert answer.completion_tokens == len(ids) - 1


@pytest.mark.model
def test_a_conversation_of_several_turns_is_read_to_its_end(embedded: LocalModel, ask: Ask) -> None:
    turns = [
        Message(role="system", content="You answer in one word."),
        Message(role="user", content="My cat is called Whiskers. Remember that."),
        Message(role="assistant", content="Yes."),
        Message(role="user", content="What is my cat called?"),
    ]
    answers = embedded.generate([ask(turns), ask(QUESTIONS[3])], **GREEDY)
    assert "Whiskers" in answers[0].text
    assert answers[0].prompt_tokens > answers[1].prompt_tokens


@pytest.mark.model
def test_a_conversation_too_long_fails_alone(embedded: LocalModel, ask: Ask) -> None:
    long = "word " * embedded.context_length
    short = ask(QUESTIONS[0])
    over, fine = embedded.generate([ask(long), short], **GREEDY)
    assert over.overflow
    assert str(embedded.context_length) in over.error
    assert fine == embedded.generate([short], **GREEDY)[0]
    over, fine = embedded.label_logprobs([ask(long, ("A", "B")), ask(QUESTIONS[3], ("A", "B"))])
    assert (over.overflow, fine.ok) == (True, True)


@pytest.mark.model
def test_a_conversation_that_the_template_refuses_fails_alone(
    embedded: LocalModel, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    picky = "{% if messages[0]['content'] == 'no' %}{{ raise_exception('no!') }}{% endif %}Hi"
    monkeypatch.setattr(embedded.tokenizer, "chat_template", picky)
    refused, fine = embedded.generate([ask("no"), ask("yes")], **GREEDY | {"max_tokens": 1})
    assert "no!" in refused.error
    assert not refused.overflow
    assert fine.ok


# Label log-probabilities


def comparison(prompt: str, one: str, two: str) -> str:
    return f"Someone asked: {prompt}\nWhich answer is better?\n(A) {one}\n(B) {two}\nSay A or B."


@pytest.mark.model
def test_shared_prefixes_give_the_plain_figures(
    embedded: LocalModel, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    forward = embedded.model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        passes.append(kwargs["input_ids"].numel())
        return forward(*args, **kwargs)

    monkeypatch.setattr(embedded.model, "forward", counted)
    replies = ["A short reply.", "Another reply, which is somewhat longer than that.", "No."]
    calls = [
        ask(comparison(question * 3, one, two), ("A", "B"))
        for question in QUESTIONS[:3]
        for one in replies
        for two in replies
        if one != two
    ]
    calls.append(calls[0])  # the same conversation twice
    plain = embedded.label_logprobs(calls, share="none")
    plain_tokens = sum(passes)
    passes.clear()
    shared = embedded.label_logprobs(calls)
    assert sum(passes) < 0.7 * plain_tokens
    for one, two in zip(plain, shared, strict=True):
        assert one.prompt_tokens == two.prompt_tokens
        assert all(abs(one.label_logprobs[k] - two.label_logprobs[k]) < 1e-4 for k in ("A", "B"))
    assert shared[-1].label_logprobs == pytest.approx(shared[0].label_logprobs, abs=1e-4)


@pytest.mark.model
def test_labels_are_summed_over_their_spellings(embedded: LocalModel, ask: Ask) -> None:
    import torch

    from charter.models.labels import label_spellings

    call = ask(comparison(QUESTIONS[0], "Paris.", "Rome."), ("A", "B"))
    (answer,) = embedded.label_logprobs([call])
    inputs = embedded.tokenizer.apply_chat_template(
        [dict(call.messages[0])], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        p = torch.softmax(embedded.model(**inputs).logits[0, -1].double(), 0)
    ids = embedded.tokenizer.convert_tokens_to_ids(["A", "ĠA"])
    assert label_spellings(embedded.tokenizer, ["A"]) == {"A": sorted(ids)}
    assert answer.label_logprobs["A"] == pytest.approx(math.log(float(p[ids].sum())), abs=1e-4)
    assert (answer.text, answer.finish_reason, answer.completion_tokens) == ("", "logprobs", 0)
    assert 0 < sum(map(math.exp, answer.label_logprobs.values())) < 1


@pytest.mark.model
def test_a_label_of_several_tokens_is_that_calls_error(embedded: LocalModel, ask: Ask) -> None:
    wrong, fine = embedded.label_logprobs(
        [ask("Hi", ("A", "antidisestablishment")), ask("Hi", ("A", "B"))]
    )
    assert "antidisestablishment" in wrong.error
    assert fine.ok


def test_a_plan_reads_every_row_once_and_no_more_than_needed() -> None:
    from charter.models.labels import _Pass, _plan

    trunk, first, second = [1] * 50, [2] * 100, [3] * 100
    prompts = sorted(
        [trunk + branch + [9, n] * 30 for branch in (first, second) for n in (4, 5, 6)]
        + [trunk + [7] * 20]
    )
    plan = _plan(prompts, tuple(range(len(prompts))), 0)

    def leaves(part: _Pass) -> list[int]:
        below = [row for sub in part.parts for row in leaves(sub)]
        return below if part.parts else list(part.rows)

    assert sorted(leaves(plan)) == list(range(len(prompts)))
    assert plan.shared == 50
    assert len(plan.parts) == 3
    assert plan.cost < 0.6 * sum(map(len, prompts))


# Loading


@pytest.mark.model
def test_a_model_is_loaded_once(embedded: LocalModel) -> None:
    from charter.models.local import load_local

    assert load_local() is embedded
    assert load_local(embedded_checkpoint()) is embedded
    assert (embedded.name, embedded.revision) == (EMBEDDED_NAME, EMBEDDED_REVISION)
    assert embedded.context_length == 8192


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A LoRA adapter with weights far from zero, on the embedded model."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from charter.models.checkpoint import quiet_transformers

    with quiet_transformers():
        base = AutoModelForCausalLM.from_pretrained(embedded_checkpoint(), dtype=torch.float32)
        config = LoraConfig(r=2, target_modules=["o_proj"], layers_to_transform=[0, 1])
        model = get_peft_model(base, config)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3)
    folder = tmp_path / "adapter"
    with quiet_transformers():
        model.save_pretrained(str(folder))
    return folder


@pytest.mark.model
def test_a_trained_adapter_is_served(embedded: LocalModel, adapter: Path, ask: Ask) -> None:
    from charter.models.local import load_local, unload_local

    trained = load_local(adapter)
    assert load_local(adapter) is trained
    assert trained.name == "adapter"
    assert trained.revision != embedded.revision
    labelled = ask(QUESTIONS[0], ("A", "B"))
    (before,), (after,) = (m.label_logprobs([labelled]) for m in (embedded, trained))
    assert before.label_logprobs != pytest.approx(after.label_logprobs, abs=1e-3)
    (answer,) = trained.generate([ask(QUESTIONS[0])], **SAMPLED)
    assert isinstance(answer, Answer)
    assert answer.ok
    assert answer.completion_tokens > 0
    unload_local(adapter)
    assert load_local() is embedded


@pytest.mark.model
def test_broken_folders_are_input_errors(tmp_path: Path) -> None:
    from charter.models.local import load_local

    with pytest.raises(InputError, match="no such folder"):
        load_local(tmp_path / "absent")
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_local(folder)
    reward = {"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}
    (folder / "config.json").write_text(json.dumps(reward))
    with pytest.raises(InputError, match="gives a score and no text; name a language model"):
        load_local(folder)


# Weights that are no numbers


@pytest.mark.model
@pytest.mark.parametrize("spoilt", [math.nan, math.inf])
def test_spoilt_weights_are_a_failure_and_no_answer(
    embedded: LocalModel, ask: Ask, spoilt: float
) -> None:
    weights = embedded.model.model.norm.weight.data
    sound = weights.clone()
    weights.fill_(spoilt)
    try:
        for sampling in (GREEDY, SAMPLED):
            with pytest.raises(Failure, match="weights are spoilt"):
                embedded.generate([ask("Hi!")], **sampling)
        with pytest.raises(Failure, match="weights are spoilt"):
            embedded.label_logprobs([ask("Hi!", ("A", "B"))])
    finally:
        weights.copy_(sound)
