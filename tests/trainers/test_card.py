"""What a model's card and lineage say, and what tells one training from another."""

import json
from dataclasses import replace

import pytest

from charter.hub.evaluation_gate import rows_sha256
from charter.trainers import METHODS, read_settings
from charter.trainers.base import Base
from charter.trainers.card import identity, write
from charter.trainers.rows import Rows
from charter.trainers.train import train

BASE = Base(path="/far/away", name="tiny", revision="1a", licence="mit", on_hub=False)


@pytest.fixture
def settings(make_version, place):
    """Settings of a method on the tiny version."""
    version = make_version()
    return lambda method="sft", out="out", **values: read_settings(
        method, version, place / out, values=values
    )


@pytest.mark.parametrize(
    ("method", "values"),
    [
        ("dpo", {}),
        ("sft", {"learning_rate": 1e-4}),
        ("sft", {"lora": True}),
        ("sft", {"limit": 5}),
        ("sft", {"chat_template": "chatml"}),
        ("sft", {"recovery": {"share": 0.2}}),
    ],
)
def test_another_setting_is_another_training(settings, method, values):
    assert identity(settings(method, **values), BASE) != identity(settings(), BASE)


@pytest.mark.parametrize(
    ("method", "one", "other"),
    [
        ("sft", {"lora_r": 4}, {"lora_r": 8}),
        ("sft", {"recovery": {"share": 0.2}}, {"recovery": {"share": 0.3}}),
        ("dpo", {"min_p": 0.6}, {"min_p": 0.7}),
        ("dpo", {"soft_labels": "robust"}, {"soft_labels": "conservative"}),
        ("grpo", {"judge": "local"}, {"judge": "local", "judge_mode": "verdict"}),
    ],
)
def test_another_value_is_another_training(settings, method, one, other):
    found = [identity(settings(method, **values), BASE) for values in (one, other)]
    assert found[0] != found[1]


def test_another_method_on_the_same_rows_is_another_training(settings):
    assert identity(settings("kto"), BASE) != identity(settings("orpo"), BASE)


def test_another_text_of_a_template_or_of_a_model_is_another_training(settings, place):
    template = place / "t.jinja"
    found = []
    for text in ("{{ messages }}", "{{ messages }} "):
        template.write_text(text)
        found.append(identity(settings(chat_template=str(template)), BASE))
    found += [identity(settings(), replace(BASE, revision=each)) for each in ("1a", "2b")]
    assert len({json.dumps(each) for each in found}) == 4


def test_a_version_is_known_by_its_manifest(settings):
    wanted = settings()
    before = identity(wanted, BASE)
    manifest = wanted.dataset.path / "charter.json"
    manifest.write_text(manifest.read_text() + " ")
    assert identity(wanted, BASE) != before


def test_where_the_model_goes_and_who_watches_is_the_same_training(settings):
    assert identity(settings(out="other", track="none"), BASE) == identity(settings(), BASE)


def test_a_password_of_the_judge_is_in_no_record(settings):
    wanted = settings("grpo", judge="m", judge_url="http://me:secret@127.0.0.1:9/v1")
    assert "secret" not in json.dumps(identity(wanted, BASE))


def written(place, settings, base=BASE, notes=(), **arguments):
    """Lineage and card of a training with these arguments of the TRL config."""
    method = METHODS[settings.method]
    rows = Rows([{}] * 5, [{}] * 2, method.config)
    metrics = {"rows": 5, "truncated_rows": 2, "dropped_rows": 1, "last_loss": 0.25}
    if settings.recovery:
        metrics |= {"recovery_rows": 4, "recovery_prompts": 3, "recovery_prefixed": 2}
    folder = place / "written"
    folder.mkdir(exist_ok=True)
    facts = write(folder, settings, method, base, rows, {"seed": 3, **arguments}, metrics, notes)
    text = (folder / "charter.json").read_text()
    assert json.loads(text) == json.loads(json.dumps(facts))
    return json.loads(text), (folder / "README.md").read_text()


def test_the_lineage_says_what_was_done(place, settings):
    wanted = settings("dpo", weight="confidence", min_p=0.6, limit=5, lora_r=4)
    facts, _ = written(place, wanted, notes=["odd"], learning_rate=0.5, max_length=1024)
    assert facts["seed"] == 3 and facts["limit"] == 5
    assert facts["fields"] == {"learning_rate": 0.5, "seed": 3}, "and no default of TRL's"
    assert facts["labels"] == {"soft": "conservative", "weight": "confidence", "min_p": 0.6}
    assert facts["lora"] == {"r": 4, "alpha": 8}
    assert facts["dataset"]["rows"] == {"train": 5, "test": 2}
    assert facts["dataset"]["rows_sha256"] == rows_sha256(
        wanted.dataset.manifest.files, "preference"
    )
    assert facts["notes"] == ["odd"] and facts["licence"] == "mit"
    assert facts["judge"] is None and facts["recovery"] is None


def test_each_method_has_what_is_its_own(place, settings):
    judged, card = written(place, settings("grpo", judge=str(place), judge_url="http://x:1/v1"))
    assert judged["judge"]["name"] == place.name and "url" not in judged["judge"]
    assert judged["labels"] is None and " Labels are" not in card
    wanted = settings("sft", recovery={"share": 0.2, "max_tokens": 7})
    recovered, card = written(place, wanted)
    assert recovered["recovery"] == {"share": 0.2, "max_tokens": 7}
    assert recovered["judge"] is None and recovered["labels"] is None
    assert "4 rows of safety recovery" in card and "made from 3 prompts" in card
    assert "2 of them put up to 7 tokens" in card


def test_the_card_says_what_was_done(place, settings):
    wanted = settings("dpo", weight="confidence", min_p=0.6, lora_r=4)
    facts, card = written(place, wanted, notes=["odd"], run_name="a|b")
    assert "5 rows of `train`, none of `test`. Of them 2 were cut" in card
    assert "and 1 left out, since their prompt alone filled it." in card
    assert "LoRA of rank 4 (alpha 8), merged" in card
    assert "soft (`conservative`), weighted by `confidence`, and of p_chosen >= 0.6 only" in card
    assert "Seed: 3." in card and "- odd" in card and "Licence: mit." in card
    assert '| run_name | "a\\|b" |' in card and "| last_loss | 0.25 |" in card
    for name, key in (("manifest of the version", "manifest_sha256"), ("recipe", "recipe")):
        assert f"| {name} | {facts['dataset'][key]} |" in card
    head = card.split("---")[1]
    assert "license: mit\n" in head and "base_model" not in head and "text-generation" in head


def test_the_card_of_a_reward_model_on_a_model_of_the_hub(place, settings):
    wanted = settings("reward", soft_labels="none", min_p=0.5)
    object.__setattr__(wanted.dataset, "commit", "c0ffee")
    base = replace(BASE, name="them/tiny", licence=None, on_hub=True)
    facts, card = written(place, wanted, base)
    head = card.split("---")[1]
    assert "base_model: them/tiny\n" in head and "license" not in head
    assert "pipeline_tag: text-classification" in head
    assert "left out, since they are longer." in card and "; all weights." in card
    assert "Labels are taken as certain, and of p_chosen >= 0.5 only." in card
    assert "(commit `c0ffee`)" in card and facts["dataset"]["commit"] == "c0ffee"
    assert "## Warnings" not in card


def test_no_path_of_this_machine_stands_in_either(place, settings):
    deep = {"cache_dir": str(place), "more": [str(place)], "dtype": "float32"}
    wanted = settings("grpo", reward_model=str(place), chat_template="chatml")
    wanted = replace(wanted, chat_template=str(place))
    facts, card = written(
        place, wanted, model_init_kwargs=deep, output_dir=str(place), deepspeed=str(place)
    )
    assert facts["fields"]["model_init_kwargs"] == {
        "cache_dir": "place",
        "more": ["place"],
        "dtype": "float32",
    }
    assert str(place) not in json.dumps(facts) + card
    assert "output_dir" not in facts["fields"]


def test_a_text_that_can_be_no_path_stays_a_text(place, settings):
    facts, _ = written(place, settings(), run_name="x\0y", hub_model_id="x" * 5000)
    assert facts["fields"]["run_name"] == "x\0y"
    assert len(facts["fields"]["hub_model_id"]) == 5000


@pytest.mark.parametrize("method", ["sft", "reward", "dpo", "kto", "orpo"])
def test_the_fields_of_a_card_make_the_same_model_again(make_version, tiny_model, place, method):
    values = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 5e-3, "seed": 3}
    version, weights = make_version(), []
    for name in ("first", "again"):
        settings = read_settings(
            method, version, place / name, model=str(tiny_model), values=values
        )
        done = train(settings)
        facts = json.loads((done.model / "charter.json").read_text())
        values = [f"{field}={json.dumps(value)}" for field, value in facts["fields"].items()]
        weights.append((done.model / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
