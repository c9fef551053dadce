"""Run a recipe: prompts in, a published version out, and an account of what was done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from charter.errors import Fault, Interrupted
from charter.hub import Draft, Published, assign_splits, ensure_train, publish_local
from charter.hub.held import published_splits
from charter.models.build import identity, lineage
from charter.models.cache import CallCache, default_cache_path
from charter.pipeline import (
    candidate_slots,
    compile_pipeline,
    keep_rule,
    prompt_row,
)
from charter.recipes import Loaded, PromptSet, read_prompts
from charter.rows import Row
from charter.run.folder import RunFolder, write_whole
from charter.run.progress import Progress, Silent
from charter.run.runner import Runner, Stage, Tally
from charter.steps.asking import prepared
from charter.steps.keep import kept
from charter.steps.shape import (
    judgment_rows,
    planned_pairs,
    preference_rows,
    reject_rows,
    sft_rows,
)

__all__ = ["CONFIGS", "RunResult", "run_recipe", "runner_of", "walk_rows"]

CONFIGS = ("sft", "preference", "judgments", "rejects")
PACKAGES = ("charter-ai", "distilabel", "torch", "transformers", "polars", "pyarrow")


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run ended with.

    Attributes:
        run: the run's id, the name of its folder.
        folder: the run's folder.
        published: the version, new or the one that already says the same.
        counts: rows by config, over both splits.
        tally: what was asked.
        cost: money for the calls not from the cache; None where a price is not known.
        rows: the walked rows.
    """

    run: str
    folder: Path
    published: Published
    counts: dict[str, int]
    tally: Tally
    cost: float | None
    rows: list[Row]

    def as_json(self) -> dict[str, Any]:
        """The object that `charter run --json` prints."""
        return {
            "run": self.run,
            "version": self.published.tag,
            "path": str(self.published.path),
            "counts": self.counts,
            "calls": self.tally.calls.total(),
            "cached_calls": self.tally.cached.total(),
            "failed_calls": self.tally.failed.total(),
            "cost": self.cost,
        }


def runner_of(loaded: Loaded, cache: CallCache, progress: Progress) -> Runner:
    """The runner over the loaded tasks of the recipe's pipeline."""
    recipe = loaded.recipe
    pipeline = compile_pipeline(loaded)
    stages = []
    for name in pipeline.dag:
        task = pipeline.dag.get_step(name)["step"]
        if not hasattr(task, "asking"):
            continue
        task.llm.load()
        settings = recipe.models.role(task.asking().role)
        lane = f"{settings.llm} {settings.base_url} {settings.model}"
        stages.append(Stage(task.asking(), task.llm, identity(settings), lane))
    return Runner(stages, cache, progress, recipe.run.in_flight)


def walk_rows(loaded: Loaded, runner: Runner, prompts: PromptSet) -> list[Row]:
    """The prompts' rows, walked through every step and labelled."""
    walked = runner.walk([prompt_row(prompt) for prompt in prompts.prompts])
    rule = keep_rule(loaded)
    if rule is None:
        return [prepared(row) for row in walked]
    return [kept(row, rule, loaded.constitution) for row in walked]


def run_recipe(
    loaded: Loaded,
    out: Path,
    progress: Progress | None = None,
    version: str | None = None,
) -> RunResult:
    """Run a recipe and publish its version.

    The same command takes up an interrupted run: every answered call is in the cache.

    Args:
        loaded: the recipe.
        out: folder that gets `runs/` and `versions/`.
        progress: who is told.
        version: a tag instead of the recipe's `publish.version`.

    Raises:
        InputError: no prompts, an unknown model, a tag that is taken.
        Failure: a server is down, a gate fails.
        Interrupted: Ctrl-C; the same command goes on.
    """
    progress = progress or Silent()
    prompts = read_prompts(loaded)
    with RunFolder(out / "runs", loaded, prompts) as folder:
        folder.log(f"{len(prompts.prompts)} prompts, {len(prompts.rejects)} input rejects")
        cache = CallCache(default_cache_path())
        runner: Runner | None = None
        try:
            progress.say("loading models")
            runner = runner_of(loaded, cache, progress)
            rows = walk_rows(loaded, runner, prompts)
            return _publish(loaded, prompts, rows, runner.tally, folder, out, version, progress)
        except KeyboardInterrupt:
            done = runner.tally.calls.total() if runner else 0
            what = f"interrupted after {done} answered calls, all of them kept"
            fault = Fault(str(folder.path), "", what, "run the same command again to go on")
            raise Interrupted(fault) from None
        finally:
            cache.close()


def _publish(
    loaded: Loaded,
    prompts: PromptSet,
    rows: list[Row],
    tally: Tally,
    folder: RunFolder,
    out: Path,
    version: str | None,
    progress: Progress,
) -> RunResult:
    from charter.run.report import write_report

    progress.say("checking and writing the version")
    draft = draft_of(loaded, prompts, rows, tally, out / "versions", version)
    published = publish_local(draft, out / "versions")
    counts = {config: len(draft.rows.get(config, ())) for config in CONFIGS}
    cost = _cost(loaded, tally)
    result = RunResult(folder.id, folder.path, published, counts, tally, cost, rows)
    write_whole(folder.path / "calls.txt", "".join(f"{key}\n" for key in sorted(tally.keys)))
    write_whole(folder.path / "recipe.yaml", loaded.recipe_yaml)
    write_report(folder.path / "report.html", loaded, result)
    folder.log(f"{published.repo}@{published.tag}: {counts}")
    published_as = f"{published.repo}@{published.tag}"
    folder.set_state("done", version=published_as, account=result.as_json())
    return result


def draft_of(
    loaded: Loaded,
    prompts: PromptSet,
    rows: list[Row],
    tally: Tally,
    store: Path,
    version: str | None,
) -> Draft:
    """Everything a version holds, before it has a number."""
    recipe = loaded.recipe
    slots = candidate_slots(loaded)
    judge = lineage(recipe.models.role("judge"))
    data: dict[str, list[Row]] = {config: [] for config in CONFIGS}
    for reject in prompts.rejects:
        data["rejects"].append(
            {
                "ledger": reject.ledger.value,
                "prompt_id": reject.prompt_id,
                "pair_id": reject.pair_id,
                "stage": reject.stage,
                "reason": reject.reason.value,
                "detail": reject.detail,
            }
        )
    if not recipe.sft:
        del data["sft"]
    if not recipe.preference:
        del data["preference"], data["judgments"]
    pairs = 0
    for row in rows:
        if recipe.sft:
            data["sft"] += sft_rows(row)
        if recipe.preference:
            data["preference"] += preference_rows(row, str(judge["model"]))
            data["judgments"] += judgment_rows(row, str(judge["model"]))
        data["rejects"] += reject_rows(row, slots, sft=bool(recipe.sft))
        pairs += planned_pairs(row, slots) if slots else 0
    texts = [(row["prompt_id"], "\n".join(m["content"] for m in row["prompt"])) for row in rows]
    before = published_splits(store, recipe.repo)
    splits = assign_splits(texts, test_fraction=recipe.prompts.test_fraction, kept=before)
    used = {name: [r["prompt_id"] for r in data[name]] for name in ("sft", "preference", "judgments") if name in data}
    splits = ensure_train(splits, used, before)
    return Draft(
        repo=recipe.repo,
        rows=data,
        splits=splits,
        ledgers={
            "records": prompts.records,
            "prompts": len(prompts.prompts),
            "pairs_formed": pairs,
        },
        lineage=_lineage(loaded, prompts, tally, data),
        constitution_yaml=loaded.constitution_yaml,
        recipe_yaml=loaded.recipe_yaml,
        version=version or recipe.publish.version,
    )


def _lineage(
    loaded: Loaded, prompts: PromptSet, tally: Tally, data: dict[str, list[Row]]
) -> dict[str, Any]:
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
            "verdicts": dict(Counter(row["verdict"] for row in data.get("judgments", ()))),
            "rejects": dict(Counter(row["reason"] for row in data["rejects"])),
            "calls": dict(tally.calls),
            "preference": recipe.preference.model_dump(mode="json") if recipe.preference else None,
        },
    }


def _cost(loaded: Loaded, tally: Tally) -> float | None:
    total = 0.0
    for role, (read, written) in tally.tokens.items():
        settings = loaded.recipe.models.role(role)
        if settings.price is not None:
            total += (read * settings.price.prompt + written * settings.price.completion) / 1e6
        elif settings.llm != "local":
            return None
    return total
