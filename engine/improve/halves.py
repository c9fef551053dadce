"""A round's two runs as recipes of their own: the revisions, and the judged pairs.

They become two versions of the recipe's repo, not one. A version's manifest names one generator,
and the two halves have different ones: the model of the round before writes what is revised, the
SFT model of this round writes what is judged. Each half's ledgers add up by themselves, too.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from charter.documents import expanded
from charter.errors import Fault, InputError
from charter.recipes import Loaded, Recipe
from charter.recipes.load import recipe_text
from charter.recipes.preference import PreferenceSettings
from charter.recipes.schema import ModelSettings
from charter.rows import digest

__all__ = [
    "base_model",
    "check",
    "identity",
    "judge_alone",
    "other_models",
    "preference_half",
    "sft_half",
]


def check(loaded: Loaded) -> None:
    """See that the recipe has all that rounds need.

    Raises:
        InputError: every fault at once.
    """
    recipe, faults = loaded.recipe, []

    def fault(path: str, what: str, fix: str) -> None:
        faults.append(Fault(str(loaded.path), path, what, fix))

    generator = recipe.models.generator
    if generator is None or generator.llm != "local":
        what = "rounds train the generator, and this one is no local model"
        fix = "set it to {llm: local}, with model: DIR for another than the embedded one"
        fault("models.generator", what, fix)
    if recipe.sft is False:
        fault("sft", "rounds need critique and revision", "remove `sft: false`")
    if recipe.preference is False:
        fault("preference", "rounds need judged pairs", "remove `preference: false`")
    elif recipe.preference.candidates == "given":
        what = "rounds judge what their own models wrote, not what prompts bring along"
        fault("preference.candidates", what, "give a number")
    if recipe.publish.version not in ("auto", "rc"):
        what = "one tag cannot be that of several versions"
        fault("publish.version", what, "set it to auto")
    for method in ("sft", "dpo"):
        if (getattr(recipe.train, method) or {}).get("model") is not None:
            what = "each round's model starts from the one before"
            fault(f"train.{method}.model", what, "remove it, and name it as models.generator.model")
    if recipe.improve.beta is not None and "beta" in (recipe.train.dpo or {}):
        fault("improve.beta", "train.dpo.beta is set as well", "keep one of them")
    if faults:
        raise InputError(faults)


def identity(loaded: Loaded, *more: Any) -> str:
    """A digest that tells one loop from another (scheme 1).

    Covers the recipe's fingerprint, repo, `train.sft`, `train.dpo` and of `improve` all that can
    change a model or a figure, and what else is given. Leaves out the number of rounds, the
    thresholds and the weights of quality: with others of these the loop goes on.
    """
    improve = loaded.recipe.improve.model_dump(
        mode="json", exclude={"rounds", "stop", "quality", "models"}
    )
    if improve["evaluate"]["depth"] is None:
        # Loops of before that field was there keep their identity.
        del improve["evaluate"]["depth"]
    train = loaded.recipe.train
    parts = (loaded.recipe.repo, train.sft or {}, train.dpo or {}, improve)
    return digest("improve", 1, loaded.fingerprint(), *parts, *more)


def base_model(loaded: Loaded) -> Path | None:
    """The folder of the model before any round; None is the embedded one."""
    generator = loaded.recipe.models.generator
    assert generator is not None
    return expanded(generator.model) if generator.model else None


def other_models(loaded: Loaded) -> list[Path]:
    """Folders of the local models that other roles have, each once; the base is not among them."""
    models = loaded.recipe.models
    named = [
        expanded(each.model)
        for each in (models.critic, models.reviser, models.judge)
        if each is not None and each.llm == "local" and each.model
    ]
    base = base_model(loaded)
    found = {folder.resolve(): folder for folder in reversed(named)}
    if base is not None:
        found.pop(base.resolve(), None)
    return list(reversed(found.values()))


def sft_half(loaded: Loaded, number: int, model: Path | None) -> Loaded:
    """Answers of a model, criticised and revised: the config `sft` of a version.

    Args:
        loaded: the recipe.
        number: of the round; each round draws anew.
        model: of the round before; None is the embedded one.
    """
    models = _models(loaded.recipe, model)
    return _half(loaded, number, models=models, preference=False)


def preference_half(loaded: Loaded, number: int, model: Path | None) -> Loaded:
    """Sampled answers of the SFT model, judged: the config `preference` of a version.

    As Bai et al. 2022 (section 4.1) have it, all candidates are sampled from the SFT model.

    Args:
        loaded: the recipe.
        number: of the round.
        model: the SFT model of this round; None is the embedded one.
    """
    preference = loaded.recipe.preference
    assert preference is not False
    pairs = "all" if preference.pairs == "revised-vs-initial" else preference.pairs
    sampled = preference.model_copy(update={"sources": ("sampled",), "pairs": pairs})
    models = _models(loaded.recipe, model)
    if loaded.recipe.improve.judge == "follows":
        models["judge"] = _local(models["judge"], model)
    return _half(loaded, number, models=models, sft=False, preference=sampled)


def judge_alone(loaded: Loaded) -> Loaded:
    """The recipe's judge on pairs that are there: every pair, whatever rows the recipe keeps."""
    preference = loaded.recipe.preference
    assert preference is not False
    kept = ("principles", "mode", "votes", "clamp")
    wanted: dict[str, Any] = {name: getattr(preference, name) for name in kept}
    # Answers that are nearly the same are compared too; equal ones are a tie.
    given = PreferenceSettings(candidates="given", near_equal=1.0, **wanted)
    models = {"judge": _models(loaded.recipe, None)["judge"]}
    return _half(loaded, 1, models=models, sft=False, preference=given)


def _models(recipe: Recipe, model: Path | None) -> dict[str, ModelSettings]:
    """Models by role: the generator is the round's, the judge the one that the recipe has."""
    found = {
        role: settings
        for role in ("critic", "reviser", "judge")
        if (settings := getattr(recipe.models, role)) is not None
    }
    generator = recipe.models.generator
    assert generator is not None
    # A judge that is not named is the generator; here it must not become the round's.
    found.setdefault("judge", generator.model_copy(update={"temperature": None}))
    return {"generator": _local(generator, model), **found}


def _local(settings: ModelSettings, model: Path | None) -> ModelSettings:
    kept = ("temperature", "top_p", "max_tokens", "stop")
    given = {name: getattr(settings, name) for name in kept if name in settings.model_fields_set}
    return ModelSettings(llm="local", model=None if model is None else str(model), **given)


def _half(loaded: Loaded, number: int, **blocks: Any) -> Loaded:
    given = loaded.recipe.model_dump(exclude_unset=True)
    given["seed"] = loaded.recipe.seed + number - 1
    for name, block in blocks.items():
        parts = block if isinstance(block, dict) else {"": block}
        dumped = {
            key: part.model_dump(exclude_unset=True) if hasattr(part, "model_dump") else part
            for key, part in parts.items()
        }
        given[name] = dumped if isinstance(block, dict) else dumped[""]
    recipe = Recipe.model_validate(given)
    return replace(loaded, recipe=recipe, recipe_yaml=recipe_text(recipe))
