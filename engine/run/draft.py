"""From walked rows to everything a version holds, before it has a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from charter.hub import Draft, Splits, assign_splits, ensure_train, published_splits
from charter.models.build import lineage
from charter.pipeline import candidate_slots
from charter.recipes import Loaded, PromptSet
from charter.rows import Row
from charter.run.runner import Tally
from charter.steps.shape import (
    judgment_rows,
    planned_pairs,
    preference_rows,
    reject_rows,
    sft_rows,
)

__all__ = ["CONFIGS", "draft_of"]

CONFIGS = ("sft", "preference", "judgments", "rejects")
PACKAGES = ("charter-ai", "distilabel", "torch", "transformers", "polars", "pyarrow")

Data = dict[str, list[Row]]


def draft_of(
    loaded: Loaded,
    prompts: PromptSet,
    rows: Sequence[Row],
    tally: Tally,
    store: Path,
    version: str | None,
) -> Draft:
    """The draft of a version.

    Args:
        loaded: the recipe.
        prompts: what was read.
        rows: the walked rows, in order.
        tally: what was asked.
        store: the local store, for the splits of earlier versions.
        version: a tag instead of the recipe's.
    """
    recipe = loaded.recipe
    slots = candidate_slots(loaded)
    data = _data(loaded, prompts, rows, slots)
    return Draft(
        repo=recipe.repo,
        rows=data,
        splits=_splits(loaded, rows, data, store),
        ledgers={
            "records": prompts.records,
            "prompts": len(prompts.prompts),
            "pairs_formed": sum(planned_pairs(row, slots) for row in rows) if slots else 0,
        },
        lineage=_lineage(loaded, prompts, tally),
        constitution_yaml=loaded.constitution_yaml,
        recipe_yaml=loaded.recipe_yaml,
        version=version or recipe.publish.version,
    )


def _data(loaded: Loaded, prompts: PromptSet, rows: Sequence[Row], slots: tuple[str, ...]) -> Data:
    """Rows by config; a config that the recipe does not ask for is absent."""
    recipe = loaded.recipe
    data: Data = {"rejects": [_input_reject(reject) for reject in prompts.rejects]}
    if recipe.sft:
        data["sft"] = [made for row in rows for made in sft_rows(row)]
    if recipe.preference:
        judge = str(lineage(recipe.models.role("judge"))["model"])
        data["preference"] = [made for row in rows for made in preference_rows(row, judge)]
        data["judgments"] = [made for row in rows for made in judgment_rows(row, judge)]
    for row in rows:
        data["rejects"] += reject_rows(row, slots, sft=bool(recipe.sft))
    return data


def _input_reject(reject: Any) -> Row:
    return {
        "ledger": reject.ledger.value,
        "prompt_id": reject.prompt_id,
        "pair_id": reject.pair_id,
        "stage": reject.stage,
        "reason": reject.reason.value,
        "detail": reject.detail,
    }


def _splits(loaded: Loaded, rows: Sequence[Row], data: Data, store: Path) -> Splits:
    # A shared system prompt would make near-duplicates of all prompts.
    texts = [
        (row["prompt_id"], "\n".join(m["content"] for m in row["prompt"] if m["role"] != "system"))
        for row in rows
    ]
    before = published_splits(store, loaded.recipe.repo)
    fraction = loaded.recipe.prompts.test_fraction
    splits = assign_splits(texts, test_fraction=fraction, kept=before)
    used: dict[str, list[str]] = {
        name: [row["prompt_id"] for row in data[name]]
        for name in ("sft", "preference", "judgments")
        if name in data
    }
    return ensure_train(splits, used, before)


def _lineage(loaded: Loaded, prompts: PromptSet, tally: Tally) -> dict[str, Any]:
    recipe, constitution = loaded.recipe, loaded.constitution
    roles = ["generator"]
    roles += ["critic", "reviser"] if recipe.sft else []
    roles += ["judge"] if recipe.preference else []
    return {
        "constitution": {
            "name": constitution.name,
            "version": constitution.version,
            "licence": constitution.licence,
            "fingerprint": constitution.fingerprint(),
        },
        "recipe": {"name": recipe.name, "fingerprint": loaded.fingerprint()},
        "prompt_set": {
            "path": recipe.prompts.path,
            "source": recipe.prompts.dataset,
            "fingerprint": prompts.fingerprint(),
            "records": prompts.records,
        },
        "models": {role: lineage(recipe.models.role(role)) for role in roles},
        "seeds": {"recipe": recipe.seed},
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "figures": {
            "preference": recipe.preference.model_dump(mode="json") if recipe.preference else None,
            "calls": dict(tally.calls),
            "input_rejects": dict(Counter(reject.reason.value for reject in prompts.rejects)),
        },
    }
