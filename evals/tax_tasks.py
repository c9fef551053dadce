"""Benchmarks as lm-eval's task objects: found by name, loaded, described for a digest."""

from __future__ import annotations

import contextlib
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from charter.errors import Failure, Fault, InputError, nearest
from charter.evals.tax_names import (
    BENCHMARKS,
    SHIPPED,
    SHIPPED_FOLDER,
    Benchmark,
    benchmark_of,
    plain_name,
)
from charter.evals.tax_plan import TaxPlan
from charter.rows import digest

__all__ = ["RUNS_CODE", "Unit", "checked_tasks", "load_units", "needs_no_network"]

RUNS_CODE: Final = "executes code that a model wrote"
"""What is wrong with a task that may not run."""

_ALLOW: Final = "give --run-generated-code, in a place where that may do no harm"
_LOCAL_DATA: Final = {"json", "csv", "parquet", "text", "arrow", "pandas"}


@dataclass(frozen=True, slots=True)
class Unit:
    """One benchmark of the report.

    Attributes:
        name: in the report.
        key: in lm-eval's results: the group or the task.
        metric: the headline, `metric,filter`; None for the first that the task has.
        loaded: what `lm_eval.evaluator.evaluate` takes.
        about: configuration and items by task, for the result's key.
    """

    name: str
    key: str
    metric: str | None
    loaded: Mapping[str, Any]
    about: Mapping[str, Any]

    @property
    def leaves(self) -> list[str]:
        """The tasks with items of their own."""
        return list(self.loaded["tasks"])


def needs_no_network(plan: TaxPlan) -> bool:
    """Whether all models and tasks are on this machine, as far as their YAML says."""
    if not all(model.is_local for model in plan.models):
        return False
    own: set[str] = set()
    for folder in plan.folders:
        for path in Path(folder).rglob("*.y*ml"):
            text = path.read_text(encoding="utf-8", errors="replace")
            own |= set(re.findall(r"^(?:task|group|tag):\s*[\"']?([\w.-]+)", text, re.MULTILINE))
            data = re.findall(r"^\s*dataset_path:\s*[\"']?([^\s\"'#]+)", text, re.MULTILINE)
            if not set(data) <= _LOCAL_DATA:
                return False
    return all(task in own or task in SHIPPED for task in plan.tasks)


def load_units(plan: TaxPlan) -> list[Unit]:
    """All benchmarks of a plan, with their data; no model is touched.

    Raises:
        InputError: no such task, a task that may not run, a metric of no task.
        Failure: data of a task is neither in the cache nor reached.
    """
    manager = checked_tasks(plan)
    units, failed = [], []
    for name in plan.tasks:
        try:
            units += _units(name, manager, plan)
        except Exception as error:  # noqa: BLE001 - tasks are other people's code
            failed.append(_unread(name, error))
    if failed:
        raise Failure(failed)
    unsafe = [
        Fault("--tasks", unit.name, RUNS_CODE, _ALLOW)
        for unit in units
        if not plan.run_generated_code
        and any(getattr(task, "UNSAFE_CODE", False) for task in unit.loaded["tasks"].values())
    ]
    if unsafe:
        raise InputError(unsafe)
    names = [unit.name for unit in units]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(Fault("--tasks", twice[0], "is asked for twice", "name it once"))
    return units


def checked_tasks(plan: TaxPlan) -> Any:
    """lm-eval's manager of tasks, once each name is one and may run; no data is loaded.

    Raises:
        InputError: no such task, a task that may not run, a metric of no task.
    """
    manager = _manager(plan)
    faults = [
        fault
        for name in plan.tasks
        for fault in _faults(name, manager.task_index, plan.run_generated_code)
    ]
    unmeant = [name for name in plan.metrics if name not in map(plain_name, plan.tasks)]
    faults += [
        Fault("--metric", name, "no such task is asked", nearest(name, plan.tasks))
        for name in unmeant
    ]
    if faults:
        raise InputError(faults)
    return manager


def _manager(plan: TaxPlan) -> Any:
    """lm-eval's index of tasks: of its own 15,000 files only what is needed (20 s for all)."""
    import lm_eval.tasks

    root = Path(lm_eval.tasks.__file__).parent
    known = [benchmark_of(name) for name in plan.tasks]
    paths = [root / each.folder for each in known if each is not None]
    paths += [SHIPPED_FOLDER, *(Path(folder) for folder in plan.folders)]
    made = lm_eval.tasks.TaskManager(
        include_path=[str(path) for path in dict.fromkeys(paths)], include_defaults=False
    )
    unknown = [name for name in plan.tasks if _lookup(name) not in made.task_index]
    if not unknown:
        return made
    folders = [str(SHIPPED_FOLDER), *plan.folders]
    return lm_eval.tasks.TaskManager(include_path=folders, include_defaults=True)


def _lookup(name: str) -> str:
    known = benchmark_of(name)
    return known.task if known is not None else name


def _faults(name: str, index: Mapping[str, Any], run_code: bool) -> Iterator[Fault]:
    known, entry = benchmark_of(name), index.get(_lookup(name))
    if entry is None:
        near = nearest(name, (*BENCHMARKS, *SHIPPED, *index)) if len(index) < 99 else _near(name)
        yield Fault("--tasks", name, "no such benchmark or task", near)
        return
    # Asked before loading: HumanEval's task runs code when it is imported.
    unsafe = (known is not None and known.runs_code) or _unsafe(_lookup(name), index, set())
    if unsafe and not run_code:
        yield Fault("--tasks", plain_name(name), RUNS_CODE, _ALLOW)


def _unsafe(name: str, index: Mapping[str, Any], seen: set[str]) -> bool:
    """Whether a task, or one in a group or under a tag of that name, says that it runs code."""
    entry = index.get(name)
    if entry is None or name in seen:
        return False
    seen.add(name)
    settings = entry.cfg or {}
    if settings.get("unsafe_code"):
        return True
    # Of a group the list of what it has; a tag has no settings, and its tasks are its `tags`.
    parts = settings.get("task") if entry.cfg else entry.tags
    return any(_unsafe(part, index, seen) for part in _names(parts))


def _names(parts: Any) -> Iterator[str]:
    """The names in a group's list: an entry is a name, or settings with one or with a list."""
    if isinstance(parts, str) or not isinstance(parts, Iterable):
        return
    for part in parts:
        inner = part.get("task", part.get("group")) if isinstance(part, Mapping) else part
        if isinstance(inner, str):
            yield inner
        else:
            yield from _names(inner)


def _near(name: str) -> str:
    said = nearest(name, (*BENCHMARKS, *SHIPPED))
    return f"{said}; `lm-eval ls tasks` lists lm-eval's own; --task-folder adds yours"


def _units(name: str, manager: Any, plan: TaxPlan) -> list[Unit]:
    known = benchmark_of(name)
    key = _lookup(name)
    loaded = _loaded(manager, key, plan)
    usual = known.shots if known is not None else None
    for task in loaded["tasks"].values():
        _set_shots(task, usual if plan.shots is None else plan.shots)
    metric = plan.metrics.get(plain_name(name)) or (known.metric if known else None)
    group = loaded.get("groups", {}).get(key)
    if group is not None and group.aggregate_metric_list:
        return [Unit(plain_name(name), key, metric, loaded, _about(loaded, known))]
    if list(loaded["tasks"]) == [key]:
        part = {"tasks": loaded["tasks"]}
        return [Unit(plain_name(name), key, metric, part, _about(part, known))]
    # A tag, or a group without a score of its own: each task is a benchmark.
    parts = [{"tasks": {leaf: task}} for leaf, task in loaded["tasks"].items()]
    return [
        Unit(plain_name(leaf), leaf, metric, part, _about(part, known))
        for part in parts
        for leaf in part["tasks"]
    ]


def _loaded(manager: Any, key: str, plan: TaxPlan) -> Mapping[str, Any]:
    """Load one name; data files named relatively are looked for in the task's own folder."""
    entry = manager.task_index[key]
    home = next(
        (
            folder
            for folder in (*plan.folders, str(SHIPPED_FOLDER))
            if entry.yaml_path is not None
            and entry.yaml_path.resolve().is_relative_to(Path(folder).resolve())
        ),
        None,
    )
    if home is None:
        found: Mapping[str, Any] = manager.load([key])
        return found
    try:
        with contextlib.chdir(home):
            found = manager.load([key])
    except FileNotFoundError:
        found = manager.load([key])  # or from where the command was typed
    return found


def _set_shots(task: Any, shots: int | None) -> None:
    """As lm-eval's `simple_evaluate` does: a task that says 0 keeps it; none said means 0."""
    said = task.get_config("num_fewshot")
    if shots is not None and said != 0:
        task.set_config(key="num_fewshot", value=shots)
    elif said is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=1234)


def _about(loaded: Mapping[str, Any], known: Benchmark | None) -> Mapping[str, Any]:
    """What of the tasks decides answers and scores."""
    about: dict[str, Any] = {"headline": known.metric if known else None}
    for name, task in loaded["tasks"].items():
        config = json.loads(json.dumps(task.dump_config(), default=_source))
        docs = digest(json.loads(json.dumps(list(task.eval_docs), default=str)))
        about[name] = {"config": config, "items": docs}
    return about


def _source(value: Any) -> str:
    """A function of a task by its source, the same in every process."""
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        return re.sub(" at 0x[0-9a-f]+", "", str(value))


def _unread(name: str, error: Exception) -> Fault:
    first = str(error).strip().partition("\n")[0][:200]
    said = f"{type(error).__name__}: {first}"
    if not isinstance(error, OSError | ValueError):
        fix = "mend the task, or install what it needs"
        return Fault("--tasks", plain_name(name), f"cannot be loaded: {said}", fix)
    what = f"its data is neither in the cache nor reached: {said}"
    if benchmark_of(name) is None:
        what = f"cannot be loaded: {said}"
    fix = "run it once with a network, or put numbers in with --scores; the shipped tasks need none"
    return Fault("--tasks", plain_name(name), what, fix)
