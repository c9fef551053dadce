"""Settings and models that a library turns away before the first step: place, fault and fix."""

import json

import pytest
from refused import change, fault_of, run

from charter.errors import Failure, InputError
from charter.trainers import read_settings


@pytest.mark.parametrize(
    ("method", "values", "said"),
    [
        ("sft", {"per_device_train_batch_size": 0}, "batch_size"),
        ("sft", {"gradient_accumulation_steps": 0}, ""),
        ("sft", {"learning_rate": -1.0}, "learning rate"),
        ("sft", {"lr_scheduler_kwargs": {"foo": 1}}, "foo"),
        ("sft", {"model_init_kwargs": {"foo": 1}}, "foo"),
        ("sft", {"optim": "adamw_bnb_8bit"}, "bitsandbytes"),
        ("dpo", {"loss_type": ["foo"]}, "foo"),
        ("dpo", {"f_divergence_type": "foo"}, "foo"),
    ],
)
def test_what_a_library_turns_away_is_a_fault_of_the_settings(
    make_version, tiny_model, place, method, values, said
):
    text = fault_of(make_version(), tiny_model, place / "out", method, **values)
    assert text.startswith(f"train.{method}: ")
    assert said in text
    assert "; " in text
    assert not (place / ".out.training").exists()


@pytest.mark.parametrize(
    "values",
    [
        {"dataloader_drop_last": True, "per_device_train_batch_size": 64, "max_steps": -1},
        {"num_train_epochs": 0, "max_steps": -1},
    ],
)
def test_a_model_that_made_no_step_is_none(make_version, tiny_model, place, values):
    text = fault_of(make_version(), tiny_model, place / "out", **values)
    assert text.startswith("train.sft: ")
    assert not (place / "out").exists()


def test_a_batch_of_test_that_is_never_full_measures_nothing_before(
    make_version, tiny_model, place
):
    done = run(make_version(), tiny_model, place / "out", dataloader_drop_last=True)
    assert "test_loss_before" not in done.metrics


def test_broken_weights_are_the_models_fault(make_version, model, place):
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-40])
    text = fault_of(make_version(), model, place / "out")
    assert text.startswith('model: "model" could not be loaded')
    assert text.endswith("name another with --model")


def test_weights_of_other_shapes_are_the_models_fault(make_version, model, place):
    change(model, "config.json", intermediate_size=48)
    assert "could not be loaded" in fault_of(make_version(), model, place / "out")


@pytest.mark.parametrize("method", ["sft", "reward"])
def test_a_layer_that_no_file_holds_is_never_trained_from_random_numbers(
    make_version, model, place, method
):
    change(model, "config.json", num_hidden_layers=3)
    text = fault_of(make_version(), model, place / "out", method)
    assert "lacks weights that its config.json names: model.layers.2." in text


@pytest.mark.parametrize("method", ["sft", "orpo"])
def test_a_reward_model_is_no_model_of_text(make_version, tiny_model, place, method):
    reward = run(make_version(), tiny_model, place / "reward", "reward").model
    text = fault_of(make_version(), reward, place / "out", method)
    assert "gives a score and no text; name a language model" in text


def test_adapters_alone_are_no_model(make_version, model, place):
    (model / "config.json").unlink()
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "them/base"}')
    text = fault_of(make_version(), model, place / "out")
    assert "holds adapters of them/base, and no whole model; merge them" in text


@pytest.mark.parametrize("method", ["sft", "reward", "orpo"])
def test_an_encoder_with_a_decoder_is_told_before_any_step(make_version, model, place, method):
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    size = len(AutoTokenizer.from_pretrained(model))
    small = T5Config(vocab_size=size, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(small).save_pretrained(model)
    text = fault_of(make_version(), model, place / "out", method)
    assert "is an encoder with a decoder" in text
    assert text.endswith("name a decoder-only language model")


def test_a_model_that_has_no_form_of_a_method_is_told_in_a_line(make_version, model, place):
    from transformers import AutoTokenizer, MambaConfig, MambaForCausalLM

    size = len(AutoTokenizer.from_pretrained(model))
    small = MambaConfig(vocab_size=size, hidden_size=8, num_hidden_layers=1)
    MambaForCausalLM(small).save_pretrained(model)
    text = fault_of(make_version(), model, place / "out", "reward")
    assert "for this kind of AutoModel: AutoModelForSequenceClassification." in text
    assert "LlamaConfig" not in text
    assert text.endswith("name another model with --model")


@pytest.mark.parametrize("lora", [False, True])
def test_a_model_that_reads_packed_documents_as_one_is_told(make_version, model, place, lora):
    from transformers import AutoTokenizer, BloomConfig, BloomForCausalLM

    size = len(AutoTokenizer.from_pretrained(model))
    small = BloomConfig(vocab_size=size, hidden_size=8, n_layer=1, n_head=2)
    BloomForCausalLM(small).save_pretrained(model)
    text = fault_of(make_version(), model, place / "out", packing=True, lora=lora)
    assert "packing: BloomForCausalLM can't keep the documents of one sequence apart" in text
    run(make_version(), model, place / "out", packing=True, packing_strategy="wrapped", lora=lora)


def test_a_model_whose_positions_keep_nothing_apart_is_told(make_version, model, place):
    """OPT takes positions, and makes a mask of its own that lets a document see the one before."""
    from transformers import AutoTokenizer, OPTConfig, OPTForCausalLM

    sizes = {"hidden_size": 8, "word_embed_proj_dim": 8, "ffn_dim": 8, "num_hidden_layers": 1}
    size = len(AutoTokenizer.from_pretrained(model))
    small = OPTConfig(vocab_size=size, num_attention_heads=2, max_position_embeddings=256, **sizes)
    OPTForCausalLM(small).save_pretrained(model)
    text = fault_of(make_version(), model, place / "out", packing=True)
    assert "packing: OPTForCausalLM can't keep the documents of one sequence apart" in text


def test_what_a_later_trl_will_not_have_is_not_said_of_our_lines(
    make_version, tiny_model, place, recwarn
):
    import warnings

    warnings.simplefilter("always")
    run(make_version(), tiny_model, place / "out", truncation_mode="keep_end")
    assert not [each for each in recwarn if "keep_end" in str(each.message)]


def test_a_token_among_the_fields_is_refused_and_never_shown(make_version, tiny_model, place):
    for values in (
        {"model_init_kwargs": {"token": "hf_secretvalue"}},
        {"hub_token": "hf_secretvalue"},
        {"lr_scheduler_kwargs": {"inner": [{"api-key": "hf_secretvalue"}]}},
    ):
        text = fault_of(make_version(), tiny_model, place / "out", **values)
        assert "HF_TOKEN" in text
        assert "secretvalue" not in text


def test_tokens_of_a_text_are_no_secrets(make_version, tiny_model, place):
    settings = read_settings(
        "grpo",
        make_version(),
        place / "out",
        values={"generation_kwargs": {"pad_token": "<pad>", "stop_token": "x", "token": ""}},
    )
    assert settings.fields["generation_kwargs"]["pad_token"] == "<pad>"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"load_best_model_at_end": True}, "load_best_model_at_end: finds no best model"),
        ({"resume_from_checkpoint": "x"}, "resume_from_checkpoint: is set by Charter"),
    ],
)
def test_what_would_change_nothing_is_said(make_version, tiny_model, place, values, said):
    assert said in fault_of(make_version(), tiny_model, place / "out", **values)


def test_a_best_model_by_a_figure_that_is_not_measured(make_version, tiny_model, place):
    values = {"load_best_model_at_end": True, "eval_steps": 1, "save_steps": 1}
    values |= {"metric_for_best_model": "eval_los"}
    text = fault_of(make_version(), tiny_model, place / "out", **values)
    assert text.startswith("train.sft: The `metric_for_best_model` training argument is set to")
    assert "The available evaluation metrics are: ['eval_loss', " in text
    assert text.endswith("name one of those")
    assert not (place / "out").exists()


def test_weights_that_the_last_step_spoilt_are_not_saved(make_version, tiny_model, place, sft_row):
    only_train = make_version({"sft": {"train": [sft_row(i) for i in range(8)]}})
    with pytest.raises(Failure, match="weights: are not all numbers"):
        run(only_train, tiny_model, place / "out", learning_rate=1e39, max_steps=1)
    assert not (place / "out").exists()


def test_a_long_name_of_a_run_is_a_name(make_version, tiny_model, place):
    done = run(make_version(), tiny_model, place / "out", run_name="x" * 300)
    assert json.loads((done.model / "charter.json").read_text())["fields"]["run_name"] == "x" * 300


def test_a_folder_that_cannot_be_replaced_is_said_first(
    make_version, tiny_model, place, monkeypatch
):
    out = place / "out"
    out.mkdir()

    def busy(self, target):
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(type(out), "rename", busy)
    text = fault_of(make_version(), tiny_model, out)
    assert "cannot be replaced by the model's folder: Device or resource busy" in text
    assert out.is_dir()


def test_a_disk_that_fills_up_at_the_card_is_a_full_disk(
    make_version, tiny_model, place, monkeypatch
):
    from charter.trainers import card

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(card, "write", full)
    with pytest.raises(Failure, match=r"the disk is full at step 2 of 2.*make room, then"):
        run(make_version(), tiny_model, place / "out")


def test_a_fault_of_our_own_is_no_fault_of_the_settings(
    make_version, tiny_model, place, monkeypatch
):
    import charter.trainers.train as module

    def broken(*arguments):
        raise KeyError("ours")

    monkeypatch.setitem(globals(), "__name__", "charter.trainers.broken")
    monkeypatch.setattr(module, "fitted", broken)
    with pytest.raises(KeyError, match="ours"):
        run(make_version(), tiny_model, place / "out")


def test_a_mapping_may_come_as_json_in_a_text(make_version, tiny_model, place):
    def of(text):
        return read_settings(
            "sft", make_version(), place / "out", values={"model_init_kwargs": text}
        ).fields

    assert of('{"dtype": "float32"}') == {"model_init_kwargs": {"dtype": "float32"}}
    assert of('{"pad_token": "x"}') == {"model_init_kwargs": {"pad_token": "x"}}
    for secret in ('{"token": "hf_secretvalue"}', '{"inside": [{"api-key": "secretvalue"}]}'):
        with pytest.raises(InputError, match="looks like a key"):
            of(secret)
    with pytest.raises(InputError, match="is no JSON"):
        of('{"dtype": ')
