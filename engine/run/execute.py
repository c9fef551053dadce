"""Run a recipe: prompts in, a published version out, and an account of what was done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charter.errors import Fault, Interrupted
from charter.hub import Published, publish_local
from charter.models.build import identity, load_llm
from charter.models.cache import CallCache, default_cache_path
from charter.pipeline import (
    compile_pipeline,
    keep_rule,
    prompt_row,
)
from charter.recipes import Loaded, PromptSet, read_prompts
from charter.rows import Row
from charter.run.draft import CONFIGS, draft_of
from charter.run.folder import RunFolder, write_whole
from charter.run.progress import Progress, Silent
from charter.run.runner import Runner, Stage, Tally
from charter.steps.asking import prepared
from charter.steps.keep import kept

__all__ = ["RunResult", "run_recipe", "runner_of", "walk_rows"]


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
        settings = recipe.models.role(task.asking().role)
        load_llm(task.llm, settings.llm)
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


def _cost(loaded: Loaded, tally: Tally) -> float | None:
    total = 0.0
    for role, (read, written) in tally.tokens.items():
        settings = loaded.recipe.models.role(role)
        if settings.price is not None:
            total += (read * settings.price.prompt + written * settings.price.completion) / 1e6
        elif settings.llm != "local":
            return None
    return total
