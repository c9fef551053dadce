"""Every method on a tiny model: the loss falls, and what is saved loads and answers or scores."""

import json
import math
import shutil
from types import SimpleNamespace

import pytest

from charter.trainers import read_settings
from charter.trainers.train import train
from charter.trainers.truncation import count_truncated

FAST = {"max_steps": 8, "per_device_train_batch_size": 4, "learning_rate": 1e-2}
PAIRED = ("reward", "dpo", "kto", "orpo")


def run(version, model, out, method, **values):
    return train(read_settings(method, version, out, model=str(model), values={**FAST, **values}))


def ids_of(tokenizer, prompt=True):
    said = [{"role": "user", "content": "how do i mend a bike"}]
    if not prompt:
        said.append({"role": "assistant", "content": "you can help me"})
    return tokenizer.apply_chat_template(
        said, add_generation_prompt=prompt, return_tensors="pt", return_dict=True
    )


@pytest.mark.parametrize(
    ("method", "lora"),
    [(method, lora) for method in PAIRED for lora in (False, True)],
)
def test_the_loss_falls_and_the_model_loads(make_version, tiny_model, place, method, lora):
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    values = {"max_steps": 12}
    if method == "reward" and not lora:
        values["learning_rate"] = 3e-3  # it knows the rows by heart sooner than their rule
    if method == "kto":
        values["beta"] = 0.5
    if method in ("reward", "dpo"):
        values["soft_labels"] = "none"
    done = run(make_version(), tiny_model, place / "out", method, lora=lora, **values)
    # An epoch of KTO has twice the steps, and its loss starts at 0.5.
    fell = done.metrics["first_epoch_loss"] - done.metrics["last_epoch_loss"]
    assert fell > (0.02 if method == "kto" else 0.05)
    assert math.isfinite(done.metrics["test_loss"])
    assert (done.metrics["rows"], done.metrics["test_rows"]) == (8, 3)
    assert done.notes == ()
    tokenizer = AutoTokenizer.from_pretrained(done.model)
    kind = AutoModelForSequenceClassification if method == "reward" else AutoModelForCausalLM
    model, loading = kind.from_pretrained(done.model, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    if method == "reward":
        assert model(**ids_of(tokenizer, prompt=False)).logits.shape == (1, 1)
    else:
        ids = ids_of(tokenizer)
        made = model.generate(**ids, max_new_tokens=4, do_sample=False)
        assert made.shape[1] > ids["input_ids"].shape[1]


@pytest.mark.parametrize("method", PAIRED)
def test_the_card_says_what_it_is(make_version, tiny_model, place, method):
    done = run(make_version(), tiny_model, place / "out", method, max_steps=1, min_p=0.6)
    lineage = json.loads((done.model / "charter.json").read_text())
    card = (done.model / "README.md").read_text()
    assert lineage["method"] == method
    assert lineage["dataset"]["config"] == "preference"
    assert lineage["labels"]["min_p"] == 0.6
    kind = "text-classification" if method == "reward" else "text-generation"
    assert f"pipeline_tag: {kind}" in card
    soft = {"dpo": "soft (`conservative`)", "reward": "soft (`target`)"}
    assert f"Labels are {soft.get(method, 'taken as certain')}, and of p_chosen >= 0.6" in card


def test_a_reward_model_can_be_wrong_and_learns_to_be_right(make_version, tiny_model, place):
    values = {"learning_rate": 3e-3, "soft_labels": "none", "max_steps": 20}
    before = run(
        make_version(), tiny_model, place / "a", "reward", **values | {"learning_rate": 1e-9}
    )
    after = run(make_version(), tiny_model, place / "b", "reward", **values)
    assert after.metrics["test_accuracy"] == 1.0
    assert before.metrics["test_margin"] < after.metrics["test_margin"] - 0.4


def test_rows_of_test_are_never_trained_on(make_version, tiny_model, place):
    from safetensors.torch import load_file

    both = make_version()
    alone = make_version({"preference": {"train": both.data["preference"]["train"]}})
    for method in ("reward", "kto", "orpo"):
        weights = [
            load_file(
                run(version, tiny_model, place / f"{method}{i}", method, max_steps=2).model
                / "model.safetensors"
            )
            for i, version in enumerate((both, alone))
        ]
        assert all(weights[0][name].equal(weights[1][name]) for name in weights[1])


def test_a_pair_that_is_too_long_is_counted_by_what_the_trainer_does(
    make_version, tiny_model, place, preference_row
):
    rows = [preference_row(i) for i in range(6)]
    rows[0]["rejected"][0]["content"] = "rude " * 60
    rows[1]["prompt"][0]["content"] = "bike " * 60
    version = make_version({"preference": {"train": rows[:5], "test": rows[5:]}})
    counted = {
        method: run(version, tiny_model, place / method, method, max_length=40, max_steps=2).metrics
        for method in ("reward", "orpo")
    }
    assert [counted["reward"][f"{n}_rows"] for n in ("truncated", "dropped")] == [0, 2]
    assert [counted["orpo"][f"{n}_rows"] for n in ("truncated", "dropped")] == [1, 1]
    assert all(math.isfinite(found["last_loss"]) for found in counted.values())


def test_packing_completion_only_loss_and_checkpointing(make_version, tiny_model, place):
    plain = run(make_version(), tiny_model, place / "a", "sft", max_steps=2)
    whole = run(
        make_version(), tiny_model, place / "b", "sft", max_steps=2, completion_only_loss=False
    )
    saving = run(
        make_version(), tiny_model, place / "c", "sft", max_steps=2, gradient_checkpointing=True
    )
    assert whole.metrics["first_loss"] != plain.metrics["first_loss"]
    assert saving.metrics["last_loss"] == pytest.approx(plain.metrics["last_loss"], rel=1e-5)
    packed = run(
        make_version(), tiny_model, place / "d", "sft", max_steps=2, packing=True, max_length=64
    )
    assert math.isfinite(packed.metrics["last_loss"])


def test_orpo_cuts_nothing_without_a_limit(make_version, tiny_model, place, preference_row):
    rows = [preference_row(i) for i in range(4)]
    rows[0]["prompt"][0]["content"] = "bike " * 600
    rows[1]["rejected"][0]["content"] = "rude " * 600
    version = make_version({"preference": {"train": rows}})
    done = run(version, tiny_model, place / "out", "orpo", max_length=None, max_steps=2)
    assert (done.metrics["truncated_rows"], done.metrics["dropped_rows"]) == (0, 0)
    assert math.isfinite(done.metrics["last_loss"])
    assert done.notes == ()


def test_orpo_counts_the_tokens_that_it_adds(tiny_model, preference_row):
    from transformers import AutoTokenizer
    from trl.experimental.orpo.orpo_trainer import ORPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    # A template that neither begins nor ends a text.
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    row = preference_row(0)
    plain = {
        "prompt": row["prompt"][0]["content"] + " ",
        **{side: row[side][0]["content"] + " " for side in ("chosen", "rejected")},
    }
    trainer = SimpleNamespace(
        processing_class=tokenizer, is_encoder_decoder=False, max_length=1000, padding_value=0
    )
    trainer.build_tokenized_answer = lambda *texts: ORPOTrainer.build_tokenized_answer(
        trainer, *texts
    )
    tokens = ORPOTrainer.tokenize_row(trainer, plain)
    longest = max(len(tokens[f"{side}_input_ids"]) for side in ("chosen", "rejected"))

    def cut(window, wraps):
        columns = ("chosen", "rejected")
        return count_truncated([row], tokenizer, columns, window, wraps=wraps).cut

    assert [cut(longest - spare, True) for spare in (0, 1)] == [0, 1]
    assert cut(longest - 1, False) == 0


def test_orpo_pads_by_the_end_of_a_text_where_nothing_else_is_named(
    make_version, tiny_model, place
):
    model = shutil.copytree(tiny_model, place / "model")
    file = model / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    settings.pop("pad_token", None)
    file.write_text(json.dumps(settings))
    done = run(make_version(), model, place / "out", "orpo", max_steps=1)
    assert math.isfinite(done.metrics["last_loss"])
