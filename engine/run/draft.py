"""From walked rows to everything a version holds, before it has a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from charter.hub import (
    Draft,
    Splits,
    assign_splits,
    ensure_train,
    held_on_hub,
    published_splits,
)
from charter.hub.stored import RowWriter, StoredRows
from charter.models.build import lineage
from charter.pipeline import paired_slots
from charter.recipes import Loaded, PromptSet
from charter.rows import Row
from charter.run.summary import Summary
from charter.run.tally import Tally
from charter.steps.shape import judgment_rows, preference_rows, reject_rows, sft_rows

__all__ = ["CONFIGS", "draft_of", "row_maker"]

CONFIGS = ("sft", "preference", "judgments", "rejects")
PACKAGES = ("charter-ai", "distilabel", "torch", "transformers", "polars", "pyarrow")


def draft_of(
    loaded: Loaded,
    prompts: PromptSet,
    data: Mapping[str, StoredRows],
    tally: Tally,
    summary: Summary,
    store: Path,
    version: str | None,
) -> Draft:
    """The draft of a version.

    Args:
        loaded: the recipe.
        prompts: what was read.
        data: the rows by config, as `row_maker` made them.
        tally: what was asked.
        summary: what was counted over the rows.
        store: the local store, for the splits of earlier versions.
        version: a tag instead of the recipe's.
    """
    recipe = loaded.recipe
    return Draft(
        repo=recipe.repo,
        rows=data,
        splits=_splits(loaded, prompts, data, store),
        ledgers={
            "records": prompts.records,
            "prompts": len(prompts.prompts),
            "pairs_formed": summary.pairs_formed,
        },
        lineage=_lineage(loaded, prompts, tally),
        constitution_yaml=loaded.constitution_yaml,
        recipe_yaml=loaded.recipe_yaml,
        version=version or recipe.publish.version,
        orders=recipe.preference.orders if recipe.preference else "both",
    )


def row_maker(loaded: Loaded, prompts: PromptSet, writer: RowWriter) -> Callable[[Row], None]:
    """What writes the published rows of each walked row; input rejects are written at once.

    A config that the recipe does not ask for stays absent.
    """
    recipe = loaded.recipe
    slots = paired_slots(loaded)
    judged = bool(recipe.preference)
    sft = bool(recipe.sft)
    judge = str(lineage(recipe.role("judge"))["model"]) if recipe.preference else ""
    writer.declare("rejects")
    writer.add("rejects", [_input_reject(reject) for reject in prompts.rejects])
    if sft:
        writer.declare("sft")
    if recipe.preference:
        writer.declare("preference")
        writer.declare("judgments")

    def add(row: Row) -> None:
        if sft:
            writer.add("sft", sft_rows(row))
        if judged:
            writer.add("preference", preference_rows(row, judge))
            writer.add("judgments", judgment_rows(row, judge))
        if rejects := reject_rows(row, slots, sft, judged):
            writer.add("rejects", rejects)

    return add


def _input_reject(reject: Any) -> Row:
    return {
        "ledger": reject.ledger.value,
        "prompt_id": reject.prompt_id,
        "pair_id": reject.pair_id,
        "stage": reject.stage,
        "reason": reject.reason.value,
        "detail": reject.detail,
    }


def _splits(
    loaded: Loaded, prompts: PromptSet, data: Mapping[str, StoredRows], store: Path
) -> Splits:
    # A shared system prompt would make near-duplicates of all prompts.
    texts = [
        (prompt.id, "\n".join(m["content"] for m in prompt.messages if m["role"] != "system"))
        for prompt in prompts.prompts
    ]
    on_hub = loaded.recipe.publish.to == "hub"
    repo = loaded.recipe.repo
    before = held_on_hub(repo) if on_hub else published_splits(store, repo)
    fraction = loaded.recipe.prompts.test_fraction
    splits = assign_splits(texts, test_fraction=fraction, kept=before)
    used = {
        name: data[name].distinct("prompt_id")
        for name in ("sft", "preference", "judgments")
        if name in data
    }
    return ensure_train(splits, used, before)


def _lineage(loaded: Loaded, prompts: PromptSet, tally: Tally) -> dict[str, Any]:
    recipe, constitution = loaded.recipe, loaded.constitution
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
        "models": {role: lineage(recipe.role(role)) for role in recipe.roles},
        "seeds": {"recipe": recipe.seed},
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "figures": {
            "preference": recipe.preference.model_dump(mode="json") if recipe.preference else None,
            "judge_logprobs": loaded.judge_logprobs,
            "calls": dict(tally.calls),
            "input_rejects": dict(Counter(reject.reason.value for reject in prompts.rejects)),
        },
    }
