"""From walked rows to everything a version holds, before it has a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
    retracted_on_hub,
)
from charter.hub.carry import Carried, carried_on_hub, carried_rows
from charter.hub.contamination import EvaluationSet, Overlap
from charter.hub.follows import answer_sums
from charter.hub.held import Retracted, retracted_rows
from charter.hub.scrub import decontaminated, scrub_row, scrubbed
from charter.hub.secrets import Policy
from charter.hub.stored import RowWriter, StoredRows
from charter.models.build import lineage
from charter.pipeline import paired_slots
from charter.recipes import Loaded, PromptSet
from charter.rows import Ledger, Reason, Row
from charter.run.summary import Summary
from charter.run.tally import Tally
from charter.steps.shape import judgment_rows, preference_rows, reject_rows, sft_rows

__all__ = [
    "CONFIGS",
    "carried_of",
    "draft_of",
    "policy_of",
    "retracted_of",
    "row_maker",
    "scrubber",
]

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
    retracted: Retracted | None = None,
    sets: tuple[EvaluationSet, ...] = (),
    carried: Carried | None = None,
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
        retracted: what was taken out of the repo.
        sets: the evaluation sets that the recipe names.
        carried: what people said of the version before, once all rows were made.
    """
    recipe = loaded.recipe
    lineage = _lineage(loaded, prompts, tally, retracted)
    if carried:
        lineage["reviews"] = carried.figures(lineage)
    return Draft(
        repo=recipe.repo,
        rows=data,
        splits=_splits(loaded, prompts, data, store),
        ledgers={
            "records": prompts.records,
            "prompts": len(prompts.prompts),
            "pairs_formed": summary.pairs_formed,
        },
        lineage=lineage,
        constitution_yaml=loaded.constitution_yaml,
        recipe_yaml=loaded.recipe_yaml,
        version=version or recipe.publish.version,
        orders=recipe.preference.orders if recipe.preference else "both",
        secrets=policy_of(loaded),
        evaluation_sets=sets,
        on_contamination=recipe.publish.on_contamination,
        answers=answer_sums(carried.manifest) if carried is not None else None,
    )


def retracted_of(loaded: Loaded, store: Path) -> Retracted:
    """What was taken out of the recipe's repo, where it is published."""
    repo = loaded.recipe.repo
    if loaded.recipe.publish.to == "hub":
        return retracted_on_hub(repo)
    return retracted_rows(store, repo)


def carried_of(loaded: Loaded, store: Path) -> Carried:
    """What people said of the recipe's repo, where it is published."""
    repo = loaded.recipe.repo
    return carried_on_hub(repo) if loaded.recipe.publish.to == "hub" else carried_rows(store, repo)


def policy_of(loaded: Loaded) -> Policy:
    """What the recipe wants done about keys and personal data."""
    said = loaded.recipe.publish.secrets
    return Policy(said.keys, said.personal, said.also)


def scrubber(loaded: Loaded, sets: tuple[EvaluationSet, ...]) -> Callable[[Row], Row]:
    """What takes out of a walked row, before it is labelled, what is not to be published."""
    policy = policy_of(loaded)
    overlap = Overlap(sets) if loaded.recipe.publish.on_contamination == "drop" and sets else None

    def scrub(row: Row) -> Row:
        row, _ = scrub_row(row, policy)
        return row if overlap is None else decontaminated(row, overlap)

    return scrub


def row_maker(
    loaded: Loaded,
    prompts: PromptSet,
    writer: RowWriter,
    retracted: Retracted | None = None,
    carried: Carried | None = None,
) -> Callable[[Row], None]:
    """What writes the published rows of each walked row; input rejects are written at once.

    A config that the recipe does not ask for stays absent. What was retracted stays out, and what
    people said of the version before is carried.
    """
    recipe = loaded.recipe
    slots = paired_slots(loaded)
    judged = bool(recipe.preference)
    sft = bool(recipe.sft)
    judge = str(lineage(recipe.role("judge"))["model"]) if recipe.preference else ""
    policy = policy_of(loaded)
    writer.add("rejects", _input_rejects(prompts, policy, retracted or Retracted()))
    if sft:
        writer.declare("sft")
    if recipe.preference:
        writer.declare("preference")
        writer.declare("judgments")
    if carried:
        writer.add("reviews", carried.rows)

    def add(row: Row) -> None:
        source = str(row.get("source") or "")
        made = {"sft": sft_rows(row) if sft else []}
        if judged:
            made["preference"] = preference_rows(row, judge)
            made["judgments"] = judgment_rows(row, judge)
        rejects = reject_rows(row, slots, sft, judged)
        if retracted:
            rejects = [_silent(reject, retracted, source) for reject in rejects]
            rejects += _without(made, retracted, source)
        if carried:
            rejects += carried.apply(made)
        for config, rows in made.items():
            if rows:
                writer.add(config, rows)
        if rejects:
            writer.add("rejects", rejects)

    return add


def _silent(reject: Row, retracted: Retracted, source: str) -> Row:
    """A reject without what it may quote, where what it is of was retracted."""
    what = {"id": reject["pair_id"], "prompt_id": reject["prompt_id"], "source": source}
    why = retracted.named.why(what)
    return reject if why is None else {**reject, "detail": why}


def _without(made: dict[str, list[Row]], retracted: Retracted, source: str) -> list[Row]:
    """Take what was retracted out of a prompt's rows; the rejects that stand for it."""
    rejects: list[Row] = []
    for config, ledger, gone, key in (
        ("sft", Ledger.SFT, retracted.sft, "prompt_id"),
        ("preference", Ledger.PREFERENCE, retracted.pairs, "id"),
    ):
        kept: list[Row] = []
        for row in made.get(config, ()):
            why = gone.get(row[key]) or retracted.named.why(row)
            if why is None:
                kept.append(row)
                continue
            rejects.append(
                {
                    "ledger": ledger.value,
                    "prompt_id": row["prompt_id"],
                    "pair_id": row["id"] if config == "preference" else None,
                    "stage": "retract",
                    "reason": Reason.RETRACTED.value,
                    "detail": why,
                }
            )
        if config in made:
            made[config] = kept
    # Votes on a pair that became no row quote it as well.
    made["judgments"] = [
        vote
        for vote in made.get("judgments", [])
        if source not in retracted.named.sources
        and vote["comparison_id"] not in retracted.pairs
        and retracted.named.why(vote) is None
    ]
    return rejects


def _input_rejects(prompts: PromptSet, policy: Policy, retracted: Retracted) -> list[Row]:
    """The records that are no prompts; one of a retracted prompt's id says no more than that."""
    gone = retracted.named.sources
    source = {prompt.id: prompt.source for prompt in prompts.prompts if prompt.source in gone}
    rows = []
    for reject in prompts.rejects:
        row: Row = {
            "ledger": reject.ledger.value,
            "prompt_id": reject.prompt_id,
            "pair_id": reject.pair_id,
            "stage": reject.stage,
            "reason": reject.reason.value,
            "detail": scrubbed(reject.detail, policy),
        }
        rows.append(_silent(row, retracted, source.get(reject.prompt_id or "", "")))
    return rows


def _splits(
    loaded: Loaded, prompts: PromptSet, data: Mapping[str, StoredRows], store: Path
) -> Splits:
    # A shared system prompt would make near-duplicates of all prompts.
    # As they are published: prompts that differ in what is masked alone are the same.
    policy = policy_of(loaded)
    texts = [
        (
            prompt.id,
            scrubbed(
                "\n".join(m["content"] for m in prompt.messages if m["role"] != "system"), policy
            ),
        )
        for prompt in prompts.prompts
    ]
    on_hub = loaded.recipe.publish.to == "hub"
    repo = loaded.recipe.repo
    before = held_on_hub(repo) if on_hub else published_splits(store, repo)
    fraction = loaded.recipe.prompts.test_fraction
    splits = assign_splits(texts, test_fraction=fraction, kept=before)
    used = {
        name: _prompt_ids(data[name]) for name in ("sft", "preference", "judgments") if name in data
    }
    return ensure_train(splits, used, before)


def _prompt_ids(rows: StoredRows) -> Iterator[str]:
    # As far as they are asked for, which is seldom further than the first batch.
    for batch in rows.batches("prompt_id"):
        yield from batch.column("prompt_id").to_pylist()


def _lineage(
    loaded: Loaded, prompts: PromptSet, tally: Tally, retracted: Retracted | None
) -> dict[str, Any]:
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
            "tokens": {role: list(pair) for role, pair in tally.tokens.items()},
            "cost": None if tally.unpriced else round(tally.cost, 6),
            **({"retracted": retracted.figure} if retracted else {}),
            "input_rejects": dict(Counter(reject.reason.value for reject in prompts.rejects)),
        },
    }
