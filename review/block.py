"""The block `review` of the recipe that a version was made by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import ValidationError

from charter.documents import is_file, read_document
from charter.errors import InputError
from charter.recipes.review import ReviewSettings

if TYPE_CHECKING:
    from charter.hub import Version

__all__ = ["recipe_seed", "review_block"]


def review_block(version: Version) -> ReviewSettings:
    """The block as the version's own `recipe.yaml` has it; the defaults where it has none.

    Raises:
        InputError: the block is not one that this Charter can read.
    """
    path = version.path / "recipe.yaml"
    if not is_file(path):
        return ReviewSettings()
    document = read_document(path)
    block = document.at("review")
    try:
        # Through JSON: a list of YAML is a tuple of the settings.
        return ReviewSettings.model_validate_json(json.dumps({} if block is None else block))
    except ValidationError as error:
        raise InputError(
            [
                document.fault(("review", *each["loc"]), each["msg"], "give the options yourself")
                for each in error.errors(include_url=False)
            ]
        ) from None


def recipe_seed(version: Version) -> int:
    """The seed of the recipe that was run; 0 where the version does not say."""
    return version.manifest.seeds.get("recipe", 0)
