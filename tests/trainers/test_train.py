"""Real TRL on a tiny model: what comes out is a checkpoint, and nothing comes out half."""

import json
import math

import pytest

from charter.errors import Failure, InputError, Interrupted
from charter.trainers import read_settings
from charter.trainers.train import train

FAST = {"max_steps": 3, "per_device_train_batch_size": 4, "learning_rate": 5e-3}


def settings(version, model, out, method="sft", **values):
    return read_settings(method, version, out, model=str(model), values={**FAST, **values})


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def same(a, b):
    a, b = weights(a), weights(b)
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_a_model_comes_out_that_loads_generates_and_differs(
    make_version, tiny_model, place, method, lora
):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    version, calls = make_version(), []
    result = train(
        settings(version, tiny_model, place / "out", method, lora=lora),
        lambda *call: calls.append(call),
    )
    assert result.model == place / "out"
    assert sorted(p.name for p in place.iterdir()) == ["out", "version"]
    files = {p.name for p in result.model.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= files
    assert {"charter.json", "chat_template.jinja"} <= files
    assert not any("adapter" in name or "checkpoint" in name for name in files)

    model, loading = AutoModelForCausalLM.from_pretrained(result.model, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    assert model.config.use_cache is True
    tokenizer = AutoTokenizer.from_pretrained(result.model)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "how do i mend a bike"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    made = model.generate(**ids, max_new_tokens=4, do_sample=False)
    assert made.shape[1] > ids["input_ids"].shape[1]
    assert weights(result.model).keys() == weights(tiny_model).keys()
    assert not same(result.model, tiny_model)

    assert [call[:2] for call in calls if not call[2]] == [(n, 3) for n in range(4)]
    assert [entry["step"] for entry in result.history] == [1, 2, 3]
    metrics = result.metrics
    assert (metrics["steps"], metrics["rows"], metrics["test_rows"]) == (3, 8, 3)
    assert math.isfinite(metrics["test_loss"])
    if method == "dpo":
        # The reference is the policy at the start: log(2), whatever the model.
        assert metrics["first_loss"] == pytest.approx(math.log(2), abs=1e-5)
        assert {"test_accuracy", "test_margin"} <= metrics.keys()
        assert metrics["last_loss"] < metrics["first_loss"]


def test_nothing_is_printed(make_version, tiny_model, place, capfd):
    train(settings(make_version(), tiny_model, place / "out"))
    assert capfd.readouterr() == ("", "")


def test_sft_learns_and_is_the_same_each_time(make_version, tiny_model, place):
    version = make_version()
    first, second, other = (
        train(settings(version, tiny_model, place / name, max_steps=12, **values))
        for name, values in (("a", {}), ("b", {}), ("c", {"seed": 12}))
    )
    assert first.metrics["last_loss"] < first.metrics["first_loss"] - 0.2
    assert first.metrics["last_epoch_loss"] < first.metrics["first_epoch_loss"] - 0.2
    losses = [entry["loss"] for entry in first.history]
    assert first.metrics["mean_loss"] == pytest.approx(sum(losses) / 12)
    assert first.metrics["first_epoch_loss"] == pytest.approx(sum(losses[:2]) / 2)
    assert first.metrics["last_epoch_loss"] == pytest.approx(sum(losses[-2:]) / 2)
    assert same(first.model, second.model)
    assert first.history == second.history
    assert not same(first.model, other.model)


def test_test_rows_are_measured_on_but_never_trained_on(make_version, tiny_model, place):
    both = make_version()
    alone = make_version({"sft": {"train": both.data["sft"]["train"]}})
    measured = train(settings(both, tiny_model, place / "a"))
    plain = train(settings(alone, tiny_model, place / "b"))
    assert same(measured.model, plain.model)
    assert {"test_loss_before", "test_loss"} <= measured.metrics.keys()
    assert not any(name.startswith("test_") for name in plain.metrics)
    assert both.read == [("sft", "test"), ("sft", "train")]


def test_one_whole_epoch_is_compared_with_nothing(make_version, tiny_model, place):
    result = train(settings(make_version(), tiny_model, place / "out", logging_strategy="no"))
    assert result.history == []
    assert not any("_loss" in name and "test" not in name for name in result.metrics)
    short = train(settings(make_version(), tiny_model, place / "short"))
    assert "first_epoch_loss" not in short.metrics  # one and a half epochs


def test_limit_takes_the_first_rows(make_version, tiny_model, place):
    version = make_version()
    few = make_version({"sft": {"train": version.data["sft"]["train"][:3]}})
    limited = train(settings(version, tiny_model, place / "a", limit=3))
    assert limited.metrics["rows"] == 3
    assert same(limited.model, train(settings(few, tiny_model, place / "b")).model)


def faults(call):
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def test_a_prompt_in_both_splits_is_refused(make_version, tiny_model, place, sft_row):
    rows = [sft_row(i) for i in range(4)]
    version = make_version({"sft": {"train": rows, "test": [rows[2]]}})
    text = faults(lambda: train(settings(version, tiny_model, place / "out")))
    assert "me/tiny@v0.1.0  sft: 1 prompts of `test` are in `train` as well" in text
    assert not (place / "out").exists()


@pytest.mark.parametrize("splits", [(), ("test",)], ids=["none", "test-only"])
def test_without_train_rows_there_is_nothing_to_train(
    make_version, tiny_model, place, sft_row, splits
):
    version = make_version({"sft": {split: [sft_row(0)] for split in splits}})
    text = faults(lambda: train(settings(version, tiny_model, place / "out")))
    assert "the config `sft` has no `train` rows" in text


def test_a_folder_that_is_taken_is_left_alone(make_version, tiny_model, place):
    out = place / "out"
    out.mkdir()
    (out / "precious").write_text("mine")
    text = faults(lambda: train(settings(make_version(), tiny_model, out)))
    assert "is not empty; give another --out" in text
    assert [p.name for p in out.iterdir()] == ["precious"]
    (out / "precious").unlink()
    assert train(settings(make_version(), tiny_model, out)).model == out


def test_truncation_is_counted(make_version, tiny_model, place, sft_row):
    # In tokens of the tiny model: the prompt and its answer's head take 10, an answer of n
    # words n + 2 or so; 64 words of answer don't fit into 32, nor 40 of prompt.
    rows = [sft_row(i) for i in range(5)]
    rows += [sft_row(i, words=49) for i in (5, 6)]
    rows.append(sft_row(7))
    rows[-1]["prompt"][0]["content"] = "bike " * 40
    version = make_version({"sft": {"train": rows}})
    result = train(settings(version, tiny_model, place / "out", max_length=32))
    assert (result.metrics["truncated_rows"], result.metrics["dropped_rows"]) == (2, 1)
    card = (result.model / "README.md").read_text()
    assert "2 were cut at the window's end and 1 left out" in card
    whole = train(settings(version, tiny_model, place / "whole", max_length=None))
    assert (whole.metrics["truncated_rows"], whole.metrics["dropped_rows"]) == (0, 0)

    text = faults(lambda: train(settings(version, tiny_model, place / "x", max_length=8)))
    assert "max_length: the prompts of all 8 rows fill its 8 tokens" in text


def test_truncation_counts_the_longer_answer(tiny_model, preference_row):
    from transformers import AutoTokenizer

    from charter.trainers.truncation import count_truncated

    rows = [preference_row(i) for i in range(6)]
    rows[0]["rejected"][0]["content"] = "rude " * 60
    rows[1]["prompt"][0]["content"] = "bike " * 60
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    found = count_truncated(rows, tokenizer, ("chosen", "rejected"), 40)
    assert (found.cut, found.dropped) == (1, 1)


@pytest.mark.parametrize(
    ("overflow", "room", "found"),
    [
        ("cut", 0, (0, 0)),
        ("cut", -1, (1, 0)),
        ("front", 0, (0, 0)),
        ("front", -1, (1, 0)),
        ("drop", 0, (0, 0)),
        ("drop", -1, (0, 1)),
    ],
)
def test_a_row_that_just_fits_loses_nothing(tiny_model, sft_row, overflow, room, found):
    from transformers import AutoTokenizer

    from charter.trainers.truncation import count_truncated

    tokenizer, row = AutoTokenizer.from_pretrained(tiny_model), sft_row(0)
    whole = [*row["prompt"], *row["completion"]]
    tokens = len(tokenizer.apply_chat_template(whole, return_dict=False))
    got = count_truncated([row], tokenizer, ("completion",), tokens + room, overflow=overflow)
    assert (got.cut, got.dropped) == found


def test_a_prompt_that_just_fills_the_window_is_left_out(tiny_model, sft_row):
    from transformers import AutoTokenizer

    from charter.trainers.truncation import count_truncated

    tokenizer, row = AutoTokenizer.from_pretrained(tiny_model), sft_row(0)
    asked = tokenizer.apply_chat_template(
        row["prompt"], add_generation_prompt=True, return_dict=False
    )
    for room, found in ((0, (0, 1)), (1, (1, 0))):
        got = count_truncated([row], tokenizer, ("completion",), len(asked) + room)
        assert (got.cut, got.dropped) == found


def test_a_loss_that_is_no_number_is_a_failure(make_version, tiny_model, place):
    with pytest.raises(Failure) as error:
        train(settings(make_version(), tiny_model, place / "out", learning_rate=1e38))
    assert "training has diverged, no model was written; lower learning_rate" in str(error.value)
    assert [p.name for p in place.iterdir()] == ["version"]


def _interrupting(at):
    def progress(done, total, logs):
        if done == at and not logs:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_training_leaves_nothing_and_says_how_to_go_on(
    make_version, tiny_model, place
):
    with pytest.raises(Interrupted) as error:
        train(settings(make_version(), tiny_model, place / "out"), _interrupting(2))
    assert "stopped after 2 of 3 steps, no model was written" in str(error.value)
    assert "give the same command again" in str(error.value)
    assert [p.name for p in place.iterdir()] == ["version"]


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_an_interrupted_training_goes_on_from_its_checkpoint(
    make_version, tiny_model, place, method
):
    values = {"max_steps": 6, "save_strategy": "steps", "save_steps": 2}
    version, calls = make_version(), []
    straight = train(settings(version, tiny_model, place / "a", method, **values))
    again = settings(version, tiny_model, place / "b", method, **values)
    with pytest.raises(Interrupted, match="goes on from its last checkpoint"):
        train(again, _interrupting(5))
    assert not (place / "b").exists()
    resumed = train(again, lambda *call: calls.append(call))
    assert calls[0][:2] == (4, 6)
    assert same(straight.model, resumed.model)
    # TRL's own count of tokens starts anew; the losses go on.
    losses = [[entry["loss"] for entry in result.history] for result in (straight, resumed)]
    assert losses[0] == losses[1]
    assert straight.metrics["mean_loss"] == resumed.metrics["mean_loss"]
    assert not list(place.glob(".*"))


def test_checkpoints_of_other_settings_are_not_used(make_version, tiny_model, place):
    values = {"max_steps": 6, "save_strategy": "steps", "save_steps": 2}
    version, calls = make_version(), []
    with pytest.raises(Interrupted):
        train(settings(version, tiny_model, place / "b", **values), _interrupting(5))
    values["learning_rate"] = 1e-4
    train(settings(version, tiny_model, place / "b", **values), lambda *c: calls.append(c))
    assert calls[0][:2] == (0, 6)


def test_two_trainings_do_not_share_a_folder(make_version, tiny_model, place):
    version = make_version()
    inner = []

    def progress(done, total, logs):
        if done == 1 and not inner:
            with pytest.raises(Failure, match="another training writes to it right now") as error:
                train(settings(version, tiny_model, place / "out"))
            inner.append(error)

    train(settings(version, tiny_model, place / "out"), progress)
    assert inner


@pytest.mark.parametrize(
    ("model", "what"),
    [
        ("/nowhere/at-all", "there is no such folder"),
        ("./nowhere", "there is no such folder"),
        ("{empty}", "holds no checkpoint"),
    ],
)
def test_a_model_that_is_not_there(make_version, place, model, what):
    (place / "empty").mkdir()
    name = model.format(empty=place / "empty")
    assert what in faults(lambda: train(settings(make_version(), name, place / "out")))


def test_a_model_without_a_chat_template(make_version, tiny_model, place):
    import shutil

    plain = shutil.copytree(tiny_model, place / "plain")
    (plain / "chat_template.jinja").unlink()
    text = faults(lambda: train(settings(make_version(), plain, place / "out")))
    assert "has no chat template; name an instruction-tuned model" in text
    template = str(tiny_model / "chat_template.jinja")
    with_one = settings(make_version(), plain, place / "out", chat_template_path=template)
    done = train(with_one)
    assert (done.model / "chat_template.jinja").read_text()
    lineage = json.loads((done.model / "charter.json").read_text())
    assert lineage["fields"]["chat_template_path"] == "chat_template.jinja"


def test_without_a_model_the_generator_must_be_a_local_one(make_version, tiny_model, place):
    there = make_version(generator={"llm": "local", "model": str(tiny_model)})
    result = train(read_settings("sft", there, place / "out", values=FAST))
    lineage = json.loads((result.model / "charter.json").read_text())
    assert lineage["base"]["name"] == "tiny-llama"
    elsewhere = make_version(generator={"llm": "local", "model": "checkpoints/sft"})
    far = make_version(generator={"llm": "openai", "model": "gpt"})
    for version, what in (
        (elsewhere, '"checkpoints/sft", is not on this machine'),
        (far, "come from gpt, no local model; name the model to train with --model NAME"),
    ):
        bare = read_settings("sft", version, place / "other", values=FAST)
        assert what in faults(lambda bare=bare: train(bare))


def test_what_trl_refuses_is_wrong_input(make_version, tiny_model, place):
    version = make_version()
    text = faults(
        lambda: train(settings(version, tiny_model, place / "out", eval_strategy="steps",
                               save_strategy="epoch", load_best_model_at_end=True))
    )  # fmt: skip
    assert "train.sft: " in text
    text = faults(
        lambda: train(settings(version, tiny_model, place / "out", "dpo", loss_type="exo_pair"))
    )
    assert "train.dpo: Label smoothing must be greater than 0.0" in text
    assert [p.name for p in place.iterdir()] == ["version"]


def test_card_and_lineage(make_version, tiny_model, place):
    version = make_version()
    first = train(settings(version, tiny_model, place / "first", lora=True, lora_r=4))
    second = train(settings(version, first.model, place / "second", "dpo"))
    lineage = json.loads((first.model / "charter.json").read_text())
    assert lineage["kind"] == "model"
    assert lineage["method"] == "sft"
    assert lineage["dataset"]["repo"] == "me/tiny"
    assert lineage["dataset"]["tag"] == "v0.1.0"
    assert lineage["dataset"]["rows"] == {"train": 8, "test": 3}
    assert len(lineage["dataset"]["manifest_sha256"]) == 64
    assert lineage["dataset"]["recipe"] == "re" * 32
    assert lineage["lora"] == {"r": 4, "alpha": 8}
    assert lineage["fields"]["learning_rate"] == 5e-3
    assert lineage["fields"]["seed"] == 11
    assert "logging_first_step" not in lineage["fields"]
    assert lineage["metrics"] == first.metrics
    assert {"trl", "torch", "transformers", "peft"} <= lineage["packages"].keys()
    after = json.loads((second.model / "charter.json").read_text())
    assert after["base"]["name"] == "first"
    assert after["base"]["lineage"] == lineage
    card = (second.model / "README.md").read_text()
    assert card.startswith("---\ndatasets:\n- me/tiny\n")
    assert "base_model" not in card.split("---")[1]
    assert "| learning_rate | 0.005 |" in card
    for text in (card, (second.model / "charter.json").read_text()):
        assert str(place) not in text
