"""The two recipes that a round is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from charter.errors import InputError
from charter.improve import halves
from charter.recipes import load_recipe
from charter.rows import digest

URL = "http://127.0.0.1:1/v1"


@pytest.fixture
def loaded(rounds_file):
    def load(*overrides, **blocks):
        return load_recipe(rounds_file(URL, **blocks), overrides)

    return load


def test_the_sft_half(loaded, tmp_path):
    recipe = loaded()
    half = halves.sft_half(recipe, 2, tmp_path).recipe
    assert half.preference is False
    assert half.models.generator.model == str(tmp_path)
    assert half.models.generator.max_tokens == 8
    assert half.models.critic == recipe.recipe.models.critic
    assert half.seed == recipe.recipe.seed + 1  # every round draws anew
    assert half.repo == recipe.recipe.repo


def test_a_critic_that_is_not_named_is_the_model_of_the_round(loaded, tmp_path):
    models = {"generator": {"llm": "local"}, "judge": {"llm": "local"}}
    half = halves.sft_half(loaded(models=models), 2, tmp_path).recipe
    assert half.role("critic").model == half.role("reviser").model == str(tmp_path)


def test_the_preference_half_judges_samples_alone(loaded, tmp_path):
    preference = {"candidates": 2, "sources": ["initial", "revised"], "pairs": "revised-vs-initial"}
    half = halves.preference_half(loaded(preference=preference), 1, tmp_path).recipe
    assert half.sft is False
    assert half.preference.sources == ("sampled",)
    assert half.preference.pairs == "all"
    assert half.preference.candidates == 2


def test_a_fixed_judge_stays_the_base_where_none_is_named(loaded, tmp_path, tiny_model):
    models = {"generator": {"llm": "local", "model": str(tiny_model), "temperature": 0.9}}
    recipe = loaded(models=models)
    half = halves.preference_half(recipe, 2, tmp_path).recipe
    assert half.role("judge").model == str(tiny_model)
    assert half.role("judge").temperature == 0.0
    assert halves.judge_alone(recipe).recipe.role("judge").model == str(tiny_model)


def test_a_judge_that_follows_is_the_model_that_answers(loaded, tmp_path):
    recipe = loaded("improve.judge=follows")
    half = halves.preference_half(recipe, 2, tmp_path).recipe
    judge = half.role("judge")
    assert (judge.llm, judge.model, judge.temperature) == ("local", str(tmp_path), 0.0)
    # Rounds are compared by the recipe's judge all the same.
    assert halves.judge_alone(recipe).recipe.role("judge").llm == "openai"


def test_rounds_thresholds_and_weights_are_no_part_of_the_identity(loaded):
    same = halves.identity(loaded())
    for override in (
        "improve.rounds=9",
        "improve.stop.over_refusal=0.5",
        "improve.quality.preference=0.0",
        "review.n=3",
        "train.kto={}",
    ):
        assert halves.identity(loaded(override)) == same, override
    for override in (
        "improve.beta=0.3",
        "improve.judge=follows",
        "improve.start=base",
        "improve.evaluate.max_tokens=9",
        "train.dpo.max_steps=3",
        "train.sft.learning_rate=0.5",
        "publish.repo=me/other",
        "seed=4",
    ):
        assert halves.identity(loaded(override)) != same, override


def test_a_recipe_without_depth_keeps_the_identity_that_it_had(loaded, tmp_path):
    recipe = loaded()
    training = {
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-2,
        "max_length": 64,
    }
    # What scheme 1 covered of `improve` before there was that field.
    improve = {
        "judge": "fixed",
        "start": "current",
        "beta": None,
        "helpful": None,
        "evaluate": {
            "path": str(tmp_path / "asked.jsonl"),
            "refuse": ["harmful"],
            "answer": ["benign", "sounds-harmful"],
            "per_category": 16,
            "max_tokens": 8,
            "tax": None,
        },
    }
    before = digest("improve", 1, recipe.fingerprint(), "me/small", training, training, improve)
    assert halves.identity(recipe) == before
    assert halves.identity(loaded("improve.evaluate.depth=null")) == before
    asked = halves.identity(loaded("improve.evaluate.depth={}"))
    assert asked != before
    assert asked == halves.identity(loaded("improve.evaluate.depth={tokens: 20}"))
    assert asked != halves.identity(loaded("improve.evaluate.depth={tokens: 21}"))


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("models.generator={llm: openai, model: m}", "models.generator"),
        ("sft=false", "sft"),
        ("preference=false", "preference"),
        ("publish.version=v1.0.0", "publish.version"),
        ("train.sft.model=x", "train.sft.model"),
        ("train.dpo.model=x", "train.dpo.model"),
    ],
)
def test_what_rounds_need_is_said_before_any(loaded, override, path):
    more = ["preference.sources=[sampled]"] if override == "sft=false" else []
    with pytest.raises(InputError) as caught:
        halves.check(loaded(*more, override))
    assert [fault.path for fault in caught.value.faults] == [path]
    assert all(fault.fix for fault in caught.value.faults)


def test_two_betas_are_one_too_many(loaded):
    with pytest.raises(InputError, match=r"improve\.beta"):
        halves.check(loaded("improve.beta=0.2", "train.dpo.beta=0.1"))


def test_the_embedded_model_is_no_folder(loaded):
    assert halves.base_model(loaded("models.generator={llm: local}")) is None
    given = halves.base_model(loaded("models.generator={llm: local, model: /a/b}"))
    assert given == Path("/a/b")
