"""Folders of local models: what is read from them, what is refused, and what is loaded anew."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tiny_causal import tiny_causal
from tiny_llama import tiny_llama

from charter.errors import InputError
from charter.models.call import Call

if TYPE_CHECKING:
    from charter.models.local import LocalModel

Ask = Callable[..., Call]
WORDS = ["A", "B", "red", "blue", "green", "one", "two", "three", "four", "five", "six", "seven"]
GREEDY: dict[str, Any] = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 4}
SAMPLED: dict[str, Any] = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 4}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_llama(tmp_path / "tiny", WORDS)


@pytest.fixture
def load() -> Iterator[Callable[[Path], LocalModel]]:
    from charter.models.local import load_local, unload_local

    loaded: list[Path] = []

    def one(path: Path) -> LocalModel:
        loaded.append(path)
        return load_local(path)

    yield one
    for path in loaded:
        unload_local(path)


def adapter_of(base: Path, folder: Path, task: str = "CAUSAL_LM") -> Path:
    """A LoRA adapter with weights far from zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from charter.models.checkpoint import quiet_transformers

    torch.manual_seed(0)
    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(base)
        lora = LoraConfig(r=2, target_modules=["o_proj"], task_type=task)
        adapted = get_peft_model(model, lora)
        with torch.no_grad():
            for name, weight in adapted.named_parameters():
                if "lora_B" in name:
                    weight.normal_()
        adapted.save_pretrained(folder)
    return folder


def changed_weights(file: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    from safetensors.torch import load_file, save_file

    weights = change(load_file(file))
    save_file({k: weights[k].clone() for k in weights}, file, metadata={"format": "pt"})


def changed_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def logprobs(model: LocalModel, call: Call) -> dict[str, float]:
    return dict(model.label_logprobs([call])[0].label_logprobs)


# What is refused


@pytest.mark.parametrize("lost", ["model.layers.1.mlp.up_proj.weight", "model.norm.weight"])
def test_weights_that_are_missing_are_not_made_up(folder: Path, load: Any, lost: str) -> None:
    changed_weights(
        folder / "model.safetensors", lambda all_: {k: all_[k] for k in all_ if k != lost}
    )
    with pytest.raises(InputError, match=lost):
        load(folder)


def test_an_adapter_that_gives_scores_is_refused(folder: Path, tmp_path: Path, load: Any) -> None:
    adapter = adapter_of(folder, tmp_path / "adapter")
    changed_json(adapter / "adapter_config.json", task_type="SEQ_CLS")
    with pytest.raises(InputError, match="gives a score and no text"):
        load(adapter)


@pytest.mark.parametrize(
    "change",
    [
        lambda all_: {key: all_[key] for key in all_ if "layers.1" not in key},
        lambda all_: all_ | {key.replace("layers.1", "layers.7"): all_[key] for key in all_},
        lambda all_: {key.replace("lora_B", "lora_C"): all_[key] for key in all_},
    ],
)
def test_an_adapter_of_another_model_is_refused(
    folder: Path, tmp_path: Path, load: Any, change: Any
) -> None:
    adapter = adapter_of(folder, tmp_path / "adapter")
    load(adapter)
    changed_weights(adapter / "adapter_model.safetensors", change)
    with pytest.raises(InputError, match="do not fit"):
        load(adapter)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", '{"model_type": "llama", "hidden_size": "x"}'),
        ("config.json", '{"model_type": "bert"}'),
        ("tokenizer_config.json", "[]"),
        ("tokenizer.json", "{"),
    ],
)
def test_settings_that_are_not_as_they_should_be_are_input_errors(
    folder: Path, load: Any, name: str, text: str
) -> None:
    (folder / name).write_text(text)
    with pytest.raises(InputError) as caught:
        load(folder)
    assert caught.value.faults[0].place == str(folder)


def test_a_tokenizer_without_a_template_is_refused(folder: Path, load: Any) -> None:
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="no chat template"):
        load(folder)


# What is read


def test_an_adapter_is_merged_into_its_base(
    folder: Path, tmp_path: Path, load: Any, ask: Ask
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from charter.models.chat import conversation_ids
    from charter.models.checkpoint import quiet_transformers

    adapter = adapter_of(folder, tmp_path / "adapter")
    model, call = load(adapter), ask("red blue", ("A",))
    with quiet_transformers():
        base = AutoModelForCausalLM.from_pretrained(folder)
        plain = PeftModel.from_pretrained(base, adapter).eval()
    ids = conversation_ids(model.tokenizer, call.messages)
    with torch.inference_mode():
        expected = plain(torch.tensor([ids])).logits[0, -1].double().log_softmax(0)
    found = logprobs(model, call)["A"]
    assert found == pytest.approx(float(expected[model.tokenizer.vocab["A"]]), abs=1e-4)
    assert found != pytest.approx(logprobs(load(folder), call)["A"], abs=1e-2)


@pytest.mark.parametrize(("said", "ends"), [([5, 6], {2, 5, 6}), (5, {2, 5}), (None, {2})])
def test_whatever_ends_a_text_ends_an_answer(
    folder: Path, load: Any, said: Any, ends: set[int]
) -> None:
    changed_json(folder / "generation_config.json", eos_token_id=said)
    assert load(folder).ends == ends


def test_a_folder_that_has_changed_is_loaded_anew(
    folder: Path, tmp_path: Path, load: Any, ask: Ask
) -> None:
    adapter = adapter_of(folder, tmp_path / "adapter")
    call = ask("red", ("A", "B"))
    first, adapted = load(folder), load(adapter)
    assert load(folder) is first and load(adapter) is adapted
    tiny_llama(folder, WORDS, seed=1)
    second, again = load(folder), load(adapter)
    assert second.revision != first.revision and again.revision != adapted.revision
    for old, new in ((first, second), (adapted, again)):
        assert logprobs(old, call) != pytest.approx(logprobs(new, call), abs=1e-6)
    changed_json(folder / "generation_config.json", eos_token_id=5)
    assert 5 in load(folder).ends


def test_an_adapter_brings_its_own_words(folder: Path, tmp_path: Path, load: Any, ask: Ask) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from charter.models.checkpoint import quiet_transformers

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["violet"])
    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(folder)
        model.resize_token_embeddings(len(tokenizer))
        lora = LoraConfig(r=2, target_modules=["o_proj"], task_type="CAUSAL_LM")
        adapted = get_peft_model(model, lora)
        with torch.no_grad():
            model.get_input_embeddings().weight[-1] = 3.0
        adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=True)
    tokenizer.save_pretrained(tmp_path / "adapter")
    loaded = load(tmp_path / "adapter")
    found = loaded.model.get_input_embeddings().weight
    assert torch.equal(found, model.get_input_embeddings().weight)
    (answer,) = loaded.label_logprobs([ask("red violet", ("violet",))])
    assert answer.ok and answer.label_logprobs


def test_a_model_that_is_unloaded_is_loaded_anew(folder: Path, load: Any) -> None:
    from charter.models.local import unload_local

    first = load(folder)
    unload_local(folder)
    assert load(folder) is not first


# What is asked


def test_the_context_holds_a_conversation_and_all_that_may_be_written(
    folder: Path, load: Any, ask: Ask
) -> None:
    model = load(folder)
    (read,) = model.label_logprobs([ask("red", ("A",))])
    fits = ask("red " * (model.context_length - read.prompt_tokens + 1), ("A",))
    (whole,) = model.label_logprobs([fits])
    assert whole.ok and whole.prompt_tokens == model.context_length
    (over,) = model.label_logprobs([ask(fits.messages[0]["content"] + "red", ("A",))])
    assert over.overflow and over.prompt_tokens == model.context_length + 1
    short = ask("red " * (model.context_length - read.prompt_tokens + 1 - 4))
    (written,) = model.generate([short], **GREEDY)
    assert written.ok and written.prompt_tokens == model.context_length - 4
    (over,) = model.generate([short], **GREEDY | {"max_tokens": 5})
    assert over.overflow and not over.ok


def test_a_model_without_positions_has_the_context_of_its_tokenizer(
    folder: Path, load: Any, ask: Ask
) -> None:
    tiny_causal("Bloom", vocab_size=7 + len(WORDS)).save_pretrained(folder)
    changed_json(folder / "tokenizer_config.json", model_max_length=64)
    model = load(folder)
    assert model.context_length == 64
    assert logprobs(model, ask("red", ("A", "B"))).keys() == {"A", "B"}
    tiny_causal("Mpt", vocab_size=7 + len(WORDS), max_seq_len=48).save_pretrained(folder)
    assert load(folder).context_length == 48


def test_a_model_that_carries_a_state_of_another_kind_is_refused(folder: Path, load: Any) -> None:
    tiny_causal("Mamba", vocab_size=7 + len(WORDS)).save_pretrained(folder)
    with pytest.raises(InputError, match="a MambaForCausalLM, which keeps no keys and values"):
        load(folder)


def test_an_answer_ends_where_the_first_of_its_stop_texts_begins(
    folder: Path, load: Any, ask: Ask
) -> None:
    model, call = load(folder), ask("red")
    (whole,) = model.generate([call], **SAMPLED)
    first, second, *_ = whole.text.split()
    longer = f"{first} {second}"
    for stop in ((second, longer), (longer, second)):
        (answer,) = model.generate([call], **SAMPLED, stop=stop)
        assert (answer.text, answer.finish_reason) == ("", "stop")
    (answer,) = model.generate([call], **SAMPLED, stop=(second,))
    assert answer.text == first


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% if 'no' not in messages[0]['content'] %}red blue{% endif %}", "no"),
        ("{{ 'red ' + (1 if 'no' in messages[0]['content'] else 'blue') }}", "no"),
        ("{{ messages[0]['content'] }}", "half a \ud83d"),
    ],
)
def test_a_conversation_that_becomes_no_tokens_fails_alone(
    folder: Path, load: Any, ask: Ask, template: str, text: str
) -> None:
    model = load(folder)
    model.tokenizer.chat_template = template
    calls = [ask(text, ("A", "B")), ask("red", ("A", "B"))]
    for ways in (lambda c: model.generate(c, **GREEDY), model.label_logprobs):
        failed, fine = ways(calls)
        assert "the chat template" in failed.error and not failed.overflow
        assert fine.ok and [fine] == ways(calls[1:])


def test_the_order_of_calls_moves_none_to_another_batch(
    folder: Path, load: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from charter.models import local

    model = load(folder)
    monkeypatch.setattr(local, "MAX_BATCH", 3)
    batches: list[list[Any]] = []
    decode = local.decode_batch

    def noted(model: Any, tokenizer: Any, prompts: Any, seeds: Any, *more: Any) -> Any:
        batches.append(sorted(zip(prompts, seeds, strict=True)))
        return decode(model, tokenizer, prompts, seeds, *more)

    monkeypatch.setattr(local, "decode_batch", noted)
    calls = [ask(word, index=index) for word in WORDS[:4] for index in (0, 1)]
    answers = model.generate(calls, **SAMPLED)
    first, order = batches[:], random.Random(2).sample(range(len(calls)), len(calls))
    batches.clear()
    mixed = model.generate([calls[place] for place in order], **SAMPLED)
    assert mixed == [answers[place] for place in order]
    assert batches == first and [len(batch) for batch in batches] == [3, 3, 2]
