"""Recipes: schema, checks, fingerprint, prompts and the shipped ones."""

from charter.recipes.load import Loaded, check_recipe, is_constitution, load_recipe, shipped_recipes
from charter.recipes.prompts import Prompt, PromptSet, Reject, read_prompts
from charter.recipes.schema import Recipe

__all__ = [
    "Loaded",
    "Prompt",
    "PromptSet",
    "Recipe",
    "Reject",
    "check_recipe",
    "is_constitution",
    "load_recipe",
    "read_prompts",
    "shipped_recipes",
]
