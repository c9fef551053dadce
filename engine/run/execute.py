"""Run a recipe: prompts in, a published version out, and an account of what was done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from charter.errors import CharterError, Failure, Fault, InputError, Interrupted
from charter.hub import HubOptions, Published, publish_hub, publish_local
from charter.hub.carry import Carried
from charter.hub.contamination import EvaluationSet, load_sets
from charter.hub.content import check_wanted
from charter.hub.held import Retracted
from charter.hub.stored import RowWriter
from charter.models.cache import CallCache, default_cache_path
from charter.models.call import Answer
from charter.pipeline import keep_rule, paired_slots, prompt_row
from charter.recipes import Loaded, PromptSet, read_prompts
from charter.rows import Row
from charter.run.ahead import check_ahead
from charter.run.draft import (
    CONFIGS,
    carried_of,
    draft_of,
    retracted_of,
    row_maker,
    scrubber,
)
from charter.run.failed import FailedCalls
from charter.run.folder import RunFolder, write_whole
from charter.run.journal import Journal
from charter.run.limits import Budget, Limits, RejectRate
from charter.run.progress import Progress, Silent
from charter.run.runner import Runner
from charter.run.serve import served_models
from charter.run.settle import settled
from charter.run.stages import stages_of
from charter.run.stop import Stopper
from charter.run.summary import Summary
from charter.run.tally import Stage, Tally
from charter.run.watch import Watch
from charter.run.work import Work
from charter.steps.asking import prepared
from charter.steps.keep import kept
from charter.steps.principles import principle_weights
from charter.steps.shape import planned_pairs

__all__ = ["RunResult", "preview_rows", "run_recipe"]


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
        seconds: that the walk took.
        summary: counts over the rows, and an example of each kind.
    """

    run: str
    folder: Path
    published: Published
    counts: dict[str, int]
    tally: Tally
    cost: float | None
    seconds: float
    summary: Summary = field(default_factory=Summary)

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


def label_row(loaded: Loaded) -> Callable[[Row], Row]:
    """What labels a walked row by the recipe's rule."""
    rule = keep_rule(loaded)
    if rule is None:
        return prepared
    assert loaded.recipe.preference
    weights = principle_weights(loaded.constitution, loaded.recipe.preference.principles)
    return partial(kept, rule=rule, constitution=loaded.constitution, weights=weights)


def work_of(
    stages: list[Stage],
    rows: int,
    cache: CallCache,
    progress: Progress,
    *,
    journal: Journal | None = None,
    failed: FailedCalls | None = None,
    budget: Budget | None = None,
) -> Work:
    """The shared parts of a walk over so many rows."""
    journal = journal or Journal(None)
    tally = Tally()
    return Work(
        rows,
        cache,
        tally,
        FailedCalls(None) if failed is None else failed,
        budget or Budget(Limits()),
        Watch(stages, rows, tally, progress, journal),
        journal,
        Stopper(progress.say),
    )


def preview_rows(
    loaded: Loaded, prompts: PromptSet, cache: CallCache, progress: Progress
) -> tuple[list[Row], Tally]:
    """The prompts' rows, walked through every step and labelled; for a few."""
    rows: list[Row] = []
    source = (prompt_row(prompt) for prompt in prompts.prompts)
    loaded = replace(loaded, most_given=prompts.most_given)
    loaded, probes = settled(loaded, cache, progress.say)
    label = label_row(loaded)
    with (
        tempfile.TemporaryDirectory() as folder,
        served_models(loaded, Path(folder), progress),
    ):
        stages = stages_of(loaded)
        work = work_of(stages, len(prompts.prompts), cache, progress)
        _enter_probes(loaded, probes, work.tally)
        Runner(stages).walk(source, lambda row: rows.append(label(row)), work)
    return rows, work.tally


def _enter_probes(loaded: Loaded, probes: list[Answer], tally: Tally) -> None:
    """Count the calls that were made before the walk."""
    for answer in probes:
        tally.probed(loaded.recipe.role("judge").price, answer)


def _check_limits(loaded: Loaded, limits: Limits) -> None:
    """Said before a call is paid for."""
    recipe, place = loaded.recipe, str(loaded.path)
    limited = limits.max_calls is not None or limits.max_cost is not None
    if limited and recipe.run.engine == "ray":
        what = "max-calls and max-cost cannot be held over several workers"
        raise InputError(Fault(place, "run.engine", what, "use engine: local, or no limit"))
    models = {role: recipe.role(role) for role in sorted(recipe.roles)}
    unknown = [role for role, m in models.items() if m.price is None and m.llm != "local"]
    if limits.max_cost is not None and unknown:
        what = f"max-cost cannot be held: no price is known for {', '.join(unknown)}"
        fix = "give models.ROLE.price: {prompt: ..., completion: ...} (per million tokens)"
        raise InputError(Fault(place, "models", what, fix))


# A run


@dataclass(slots=True)
class _Run:
    """A run under way."""

    loaded: Loaded
    prompts: PromptSet
    folder: RunFolder
    journal: Journal
    progress: Progress
    budget: Budget
    sets: tuple[EvaluationSet, ...] = ()
    probes: list[Answer] = field(default_factory=list)
    retracted: Retracted = field(default_factory=Retracted)
    carried: Carried = field(default_factory=Carried)
    summary: Summary = field(default_factory=Summary)

    def tell(self, event: str, **facts: Any) -> None:
        """Note a change at a server, and say those that people should know."""
        self.journal.event(event, **facts)
        if event == "server_gone":
            said = f"{facts['lane']}: fails ({facts['error']}); waiting, then trying again"
            self.progress.say(said)
        elif event == "server_back":
            self.progress.say(f"{facts['lane']}: answers again")

    def walk(self, cache: CallCache, retry: bool) -> tuple[dict[str, Any], Tally, float]:
        """Walk all rows: what is stored, what was asked, and the seconds that it took."""
        self.progress.say("loading models")
        stages = stages_of(self.loaded, self.tell)
        count = len(self.prompts.prompts)
        failed = FailedCalls(self.folder.path / "failed.jsonl", retry)
        work = work_of(
            stages,
            count,
            cache,
            self.progress,
            journal=self.journal,
            failed=failed,
            budget=self.budget,
        )
        _enter_probes(self.loaded, self.probes, work.tally)
        place = self.folder.path / "rows"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        source = (prompt_row(prompt) for prompt in self.prompts.prompts)
        with (
            (self.folder.path / "calls.keys").open("wb") as used,
            RowWriter(place) as writer,
        ):
            work.used = used
            if self.loaded.recipe.run.engine == "ray":
                from charter.run.cluster import walk_shards

                walk_shards(self.loaded, source, self._emit(writer), work)
            else:
                Runner(stages, self.folder.path).walk(source, self._emit(writer), work)
        tally = work.tally
        seconds = round(work.watch.seconds, 3)
        calls, cached = tally.calls.total(), tally.cached.total()
        facts = {"seconds": seconds, "calls": calls, "cached": cached, "rows": count}
        self.journal.event("walk", **facts, account=tally.as_json())
        return writer.stored(), tally, seconds

    def _emit(self, writer: RowWriter) -> Callable[[Row], None]:
        label = label_row(self.loaded)
        scrub = scrubber(self.loaded, self.sets)
        rate = RejectRate(self.budget.limits.max_reject_rate, len(self.prompts.prompts))
        slots = paired_slots(self.loaded)
        judged = bool(self.loaded.recipe.preference)
        add = row_maker(self.loaded, self.prompts, writer, self.retracted, self.carried)
        see = self.summary.see

        def emit(row: Row) -> None:
            # What is dropped on purpose is no call that failed.
            walked = prepared(row)
            row = label(scrub(walked))
            see(row, planned_pairs(row, slots) if judged else 0)
            add(row)
            rate.see(walked)

        return emit


def run_recipe(
    loaded: Loaded,
    out: Path,
    progress: Progress | None = None,
    version: str | None = None,
    *,
    limits: Limits | None = None,
    retry_rejects: bool = False,
    hub: HubOptions | None = None,
) -> RunResult:
    """Run a recipe and publish its version.

    The same command takes up an interrupted run: every answered call is in the cache.

    Args:
        loaded: the recipe.
        out: folder that gets `runs/` and `versions/`.
        progress: who is told.
        version: a tag instead of the recipe's `publish.version`.
        limits: what the run may use; by default what the recipe's `run` block says.
        retry_rejects: ask again for what failed when this run was made before.
        hub: how a version goes to a Hub, for `publish: {to: hub}`.

    Raises:
        InputError: no prompts, an unknown model, a tag that is taken.
        Failure: a server is down, too many rows fail, a gate fails.
        Interrupted: Ctrl-C, or a limit is reached; the same command goes on.
    """
    progress = progress or Silent()
    limits = limits or Limits(max_reject_rate=loaded.recipe.run.max_reject_rate)
    _check_limits(loaded, limits)
    budget = Budget(limits)
    if version is not None:
        check_wanted(version)  # not when all is paid for
    prompts = read_prompts(loaded)
    loaded = replace(loaded, most_given=prompts.most_given)
    sets = load_sets(loaded.recipe.publish.decontaminate, loaded.path.parent)
    retracted = retracted_of(loaded, out / "versions")
    check_ahead(loaded, prompts, sets, retracted)
    with ExitStack() as opened:
        cache = opened.enter_context(closing(CallCache(default_cache_path())))
        loaded, probes = settled(loaded, cache, progress.say, budget)
        folder = opened.enter_context(RunFolder(out / "runs", loaded, prompts))
        journal = opened.enter_context(closing(Journal(folder.path / "events.jsonl")))
        carried = carried_of(loaded, out / "versions")
        run = _Run(
            loaded, prompts, folder, journal, progress, budget, sets, probes, retracted, carried
        )
        journal.event("start", run=folder.id, prompts=len(prompts.prompts))
        folder.log(f"{len(prompts.prompts)} prompts, {len(prompts.rejects)} input rejects")
        try:
            with served_models(loaded, folder.path, progress):
                if cache.set_aside is not None:
                    progress.say(f"a call cache of an older charter is now {cache.set_aside}")
                stored, tally, seconds = run.walk(cache, retry_rejects)
                if cache.damaged:
                    progress.say(f"{cache.damaged} damaged entries of the call cache were not used")
            return _publish(run, stored, tally, seconds, out, version, hub)
        except KeyboardInterrupt:
            fix = "run the same command again to go on; every answered call is kept"
            interrupted = Interrupted(Fault(str(folder.path), "", "interrupted", fix))
            _note_end(journal, interrupted)
            raise interrupted from None
        except CharterError as error:
            _note_end(journal, error)
            raise


def _note_end(journal: Journal, error: CharterError) -> None:
    name = "stopped" if isinstance(error, Interrupted) else "failed"
    with suppress(Failure):  # a full disk as well is not what ended the run
        journal.event(name, what=str(error))


def _publish(
    run: _Run,
    stored: dict[str, Any],
    tally: Tally,
    seconds: float,
    out: Path,
    version: str | None,
    hub: HubOptions | None,
) -> RunResult:
    from charter.run.report import write_report

    loaded, folder, summary = run.loaded, run.folder, run.summary
    run.progress.say("checking and writing the version")
    store = out / "versions"
    draft = draft_of(
        loaded,
        run.prompts,
        stored,
        tally,
        summary,
        store,
        version,
        run.retracted,
        run.sets,
        run.carried,
    )
    if loaded.recipe.publish.to == "hub":
        options = hub or HubOptions()
        private = options.private or loaded.recipe.publish.private
        options = replace(options, private=private)
        published = publish_hub(draft, store, options, run.progress.say)
    else:
        published = publish_local(draft, store)
    counts = {config: len(stored.get(config, ())) for config in CONFIGS}
    cost = None if tally.unpriced else tally.cost
    result = RunResult(folder.id, folder.path, published, counts, tally, cost, seconds, summary)
    write_whole(folder.path / "recipe.yaml", loaded.recipe_yaml)
    named = f"{published.repo}@{published.tag}"
    run.journal.event("done", version=named, counts=counts, cost=cost)
    write_report(folder.path / "report.html", loaded, result)
    folder.log(f"{named}: {counts}")
    folder.set_state("done", version=named, account=result.as_json())
    shutil.rmtree(folder.path / "rows", ignore_errors=True)
    return result
