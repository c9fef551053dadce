"""What `--set` and a recipe's `train` block may say, and what is said of the rest."""

import json
import subprocess
import sys
from importlib import resources

import pytest

from charter.errors import InputError
from charter.trainers import Lora, read_settings
from charter.trainers.settings import Judge


def read(*values, method="sft", **block):
    return read_settings(method, None, "out", values=block or values)


def faults(*values, method="sft", **block):
    with pytest.raises(InputError) as error:
        read(*values, method=method, **block)
    return [str(fault) for fault in error.value.faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("learning_rate=2e-4", 2e-4),
        ("learning_rate=1", 1.0),
        ("max_steps=8", 8),
        ("packing=true", True),
        ("completion_only_loss=null", None),
        ("max_length=null", None),
        ("save_strategy=no", "no"),
        ("save_strategy=steps", "steps"),
        ("lr_scheduler_type=cosine", "cosine"),
        ("run_name=7", "7"),
        ("run_name=null", None),
        ("report_to=trackio", "trackio"),
        ("report_to=[trackio, mlflow]", ["trackio", "mlflow"]),
        ("model_init_kwargs={dtype: bfloat16}", {"dtype": "bfloat16"}),
        ("deepspeed=stages/two.json", "stages/two.json"),
        ("pad_to_multiple_of=8", 8),
        ("logging_steps=0.1", 0.1),
        ("include_num_input_tokens_seen=true", True),
        ("trackio_static_space_id=false", False),
        ("run_name=a=b", "a=b"),
    ],
)
def test_texts_become_what_the_field_takes(text, value):
    name = text.partition("=")[0]
    found = read(text).fields[name]
    assert found == value
    assert type(found) is type(value)


def test_a_single_loss_is_a_list_of_one():
    assert read("loss_type=ipo", method="dpo").fields["loss_type"] == ["ipo"]
    assert read("loss_weights=[1, 0.5]", method="dpo").fields["loss_weights"] == [1.0, 0.5]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("learning_rat=1", 'sft has no field "learning_rat"; did you mean "learning_rate"?'),
        ("zzz=1", 'sft has no field "zzz"; see `charter train --help` for the fields'),
        ("max_steps=2.5", "is 2.5, not a whole number; write a whole number"),
        ("max_steps=many", 'is "many", not a whole number'),
        ("max_steps=true", "is true, not a whole number"),
        ("max_steps=", "is null, not a whole number"),
        ("learning_rate=fast", 'is "fast", not a number'),
        ("learning_rate=.nan", "is NaN, not a number"),
        ("learning_rate=.inf", "is Infinity, not a number"),
        ("packing=1", "is 1, not true or false"),
        ("max_length=[1]", "is [1], not a whole number or null"),
        ("save_strategy=often", 'is "often", not one of its names; use one of: no, steps, epoch'),
        ("parallelism_config={}", "it can't be written in YAML"),
        ("output_dir=x", "is set by Charter; name the folder with --out"),
        ("push_to_hub=true", "is set by Charter; upload the folder"),
        ("lora=maybe", 'is "maybe", not true or false'),
        ("lora_r=0", "is 0; give a number above 0"),
        ("limit=-1", "is -1; give a number above 0"),
        ("max_steps=010", 'is "010", not a whole number'),
        ("max_steps=0", "is 0; give a number above 0, or -1 for num_train_epochs"),
        ("max_steps=-2", "is -2; give a number above 0, or -1 for num_train_epochs"),
        ("model_init_kwargs=bfloat16", "is a text; write a mapping, such as {dtype: bfloat16}"),
        ("report_to=all", "would put TensorBoard's files beside the checkpoints"),
        ("max_steps", '"max_steps" sets nothing; write FIELD=VALUE'),
        ("=3", '"=3" sets nothing'),
    ],
)
def test_what_does_not_fit_is_a_fault(text, fault):
    (found,) = faults(text)
    assert fault in found


def test_every_fault_at_once_with_its_place():
    assert faults("max_step=1", "packing=2") == [
        '--set max_step: sft has no field "max_step"; did you mean "max_steps"?',
        "--set packing: is 2, not true or false; write true or false",
    ]
    assert faults(save_strategy=False, beta=1, learning_rate="1e-4x") == [
        "train.sft.save_strategy: is false, not one of its names; "
        "use one of: no, steps, epoch, best (in quotes in YAML)",
        'train.sft.beta: sft has no field "beta"; see `charter train --help` for the fields',
        'train.sft.learning_rate: is "1e-4x", not a number; write a number',
    ]


def test_an_unknown_method():
    assert faults(method="spt") == ['method: no trainer "spt"; did you mean "sft"?']


def test_the_steps_of_a_strategy_say_the_strategy_too():
    wanted = "load_best_model_at_end=true"
    assert read(wanted, "eval_steps=1", "save_steps=1").fields["save_steps"] == 1
    assert len(faults(wanted, "eval_steps=1", "save_steps=1", "eval_strategy=no")) == 1


def test_lora():
    assert read().lora is None
    assert read(lora=True).lora == Lora(r=16, alpha=32)
    assert read(lora_r=4).lora == Lora(r=4, alpha=8)
    assert read(lora=True, lora_r=4, lora_alpha=4).lora == Lora(r=4, alpha=4)
    assert read(lora=False, lora_r=4).lora is None
    assert "lora" not in read(lora=True).fields


def test_a_reward_model_is_alone_unless_a_judge_is_named():
    assert read(method="grpo").judge.asked
    assert read(method="grpo", reward_model="rm").judge == Judge(reward_model="rm")
    assert not Judge(reward_model="rm").asked
    whole = {"judge": "m", "judge_url": "u", "judge_mode": "verdict", "judge_principles": ["p"]}
    assert read(method="grpo", reward_model="rm", **whole).judge == Judge(
        "m", "u", "verdict", ("p",), "rm"
    )
    for name, value in whole.items():
        assert read(method="grpo", reward_model="rm", **{name: value}).judge.asked


def test_the_model_on_the_command_line_goes_first():
    assert read_settings("sft", None, "o", values={"model": "a/b"}).model == "a/b"
    assert read_settings("sft", None, "o", model="c/d", values={"model": "a/b"}).model == "c/d"


def test_the_list_of_fields_is_that_of_the_installed_trl():
    from charter.trainers.fields import trl_fields

    text = resources.files("charter.recipes").joinpath("trl_fields.json").read_text("utf-8")
    assert json.loads(text) == trl_fields(), (
        "run: python -m charter.trainers.fields > recipes/trl_fields.json"
    )


def test_settings_import_neither_trl_nor_torch():
    code = (
        "import sys; from charter.trainers import read_settings, METHODS; "
        "read_settings('sft', None, 'o', values=['max_steps=1']); "
        "assert not {'trl', 'torch', 'transformers', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
