"""What can be wrong with a dataset, a model or a disk: place, fault and fix, and nothing half."""

import json
import resource

import pytest
from refused import FAST, change, fault_of, run

from charter.errors import Failure
from charter.trainers import read_settings
from charter.trainers.template import shipped_templates
from charter.trainers.train import train


@pytest.mark.parametrize("method", ["reward", "dpo", "kto", "orpo", "grpo"])
def test_a_version_without_the_config(make_version, tiny_model, place, sft_row, method):
    data = {"sft": {"train": [sft_row(0)]}} if method != "grpo" else {"preference": {}}
    text = fault_of(make_version(data), tiny_model, place / "out", method)
    assert "has no `train` rows; " in text
    assert f"{method} needs them" in text


def test_wrong_columns_are_named(make_version, tiny_model, place, preference_row):
    rows = [
        {k: v for k, v in preference_row(i).items() if k not in ("p_chosen", "rejected")}
        for i in range(3)
    ]
    text = fault_of(make_version({"preference": {"train": rows}}), tiny_model, place / "out", "dpo")
    assert "preference/train: has no column rejected, p_chosen, only id, prompt, chosen" in text


def test_a_model_without_a_template_is_offered_some_and_given_none(
    make_version, model, place, sft_row
):
    from transformers import AutoTokenizer

    (model / "chat_template.jinja").unlink()
    text = fault_of(make_version(), model, place / "out")
    assert "has no chat template; name an instruction-tuned model, or choose: " in text
    assert "--chat-template FILE, or one of chatml, plain" in text
    for name in ("chatml", "plain"):
        done = run(make_version(), model, place / name, chat_template=name)
        tokenizer = AutoTokenizer.from_pretrained(done.model)
        assert tokenizer.chat_template == shipped_templates()[name]
        assert json.loads((done.model / "charter.json").read_text())["chat_template"] == name
        assert done.notes == (), "the prompt is a prefix of prompt and answer"


@pytest.mark.parametrize("name", ["chatml", "plain"])
def test_a_shipped_template_keeps_every_text_and_ends_answers(tiny_model, name):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = shipped_templates()[name]
    said = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": " a  b\n"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ]
    asked = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(
        [*said, {"role": "assistant", "content": "e"}], tokenize=False
    )
    assert all(message["content"] in asked for message in said)
    assert whole.startswith(asked)
    assert whole.removeprefix(asked).startswith("e" + tokenizer.eos_token)
    assert asked.count(tokenizer.eos_token) == (4 if name == "chatml" else 1)


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("chatmll", 'no shipped template "chatmll"; did you mean "chatml"?'),
        ("{% for m in messages %}", "cannot render a question and its answer (TemplateSyntax"),
        ("{{ messages[0]['content'] }}", "leaves out what the assistant says"),
        ("{{ raise_exception('no roles') }}", "TemplateError: no roles"),
    ],
)
def test_a_template_that_is_none(make_version, tiny_model, place, template, fault):
    if "{" in template:
        (place / "t.jinja").write_text(template)
        template = str(place / "t.jinja")
    text = fault_of(make_version(), tiny_model, place / "out", chat_template=template)
    assert fault in text


def test_a_template_that_refuses_a_row(make_version, tiny_model, place, sft_row):
    rows = [sft_row(i) for i in range(4)]
    rows[2]["prompt"].insert(0, {"role": "system", "content": "be kind"})
    whole = (tiny_model / "chat_template.jinja").read_text()
    refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    (place / "t.jinja").write_text(refuses + whole)
    text = fault_of(
        make_version({"sft": {"train": rows}}),
        tiny_model,
        place / "out",
        chat_template=str(place / "t.jinja"),
    )
    assert "the model's chat template refuses a row: no system; choose another" in text


def test_a_tokenizer_of_another_model(make_version, model, place):
    change(model, "config.json", vocab_size=20)
    text = fault_of(make_version(), model, place / "out")
    assert "has ids up to 26, the model 20 embeddings; name a folder whose tokenizer" in text


def test_special_tokens_out_of_range(make_version, model, place):
    change(model, "config.json", eos_token_id=[2, 900], pad_token_id=-1)
    text = fault_of(make_version(), model, place / "out")
    assert 'eos_token_id of "model" is 900' in text
    assert 'pad_token_id of "model" is -1' in text


def test_a_tokenizer_that_ends_nothing(make_version, model, place):
    change(model, "tokenizer_config.json", eos_token=None, pad_token=None)
    (model / "special_tokens_map.json").unlink(missing_ok=True)
    text = fault_of(make_version(), model, place / "out")
    assert "has no eos_token, so no answer would ever end" in text


def test_a_full_disk_leaves_the_last_good_checkpoint(make_version, tiny_model, place):
    """The system's own limit on the length of a file stands for a disk with no room left."""
    values = {"max_steps": 6, "save_strategy": "steps", "save_steps": 2}
    straight = run(make_version(), tiny_model, place / "a", **values)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    settings = read_settings(
        "sft", make_version(), place / "b", model=str(tiny_model), values={**FAST, **values}
    )

    def full_after_two(done, total, logs):
        if done == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))

    try:
        with pytest.raises(Failure) as error:
            train(settings, full_after_two)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "the disk is full at step 4 of 6, no model was written; make room, then" in str(
        error.value
    )
    assert "it goes on from its last checkpoint" in str(error.value)
    assert not (place / "b").exists()
    steps = []
    again = train(settings, lambda done, total, logs: steps.append(done))
    assert steps[0] == 2
    weights = [(each.model / "model.safetensors").read_bytes() for each in (straight, again)]
    assert weights[0] == weights[1]


def test_memory_that_runs_out_is_told_with_advice(make_version, tiny_model, place):
    text = ""
    with pytest.raises(Failure) as error:
        # A batch of 2^44 tokens' positions: the allocator itself refuses.
        run(make_version(), tiny_model, place / "out", pad_to_multiple_of=1 << 36, max_length=None)
    text = str(error.value)
    assert "memory ran out; lower per_device_train_batch_size" in text
    assert "set gradient_checkpointing=true, or set lora=true" in text
    assert not (place / "out").exists()


@pytest.mark.parametrize("method", ["reward", "orpo"])
def test_a_loss_that_is_no_number_ends_every_method(make_version, tiny_model, place, method):
    with pytest.raises(Failure, match="training has diverged, no model was written"):
        run(make_version(), tiny_model, place / "out", method, learning_rate=1e38, max_steps=4)
    assert not (place / "out").exists()
