"""lm-eval in a child process: its settings, its noise and its memory stay out of this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from charter.errors import Failure, Fault, InputError
from charter.evals.tax_figures import Leaf, Score
from charter.evals.tax_plan import TaxPlan
from charter.evals.tax_tasks import needs_no_network

__all__ = ["LOG", "evaluate_plan", "task_faults"]

LOG = "lm-eval.log"

Tell = Callable[[str, str, int, int], None]


def evaluate_plan(
    plan: TaxPlan, tell: Tell, *, api_key: str | None = None
) -> dict[str, dict[str, Score]]:
    """The scores by model and benchmark (see `charter.evals.tax_harness.run_plan`).

    Killed at any time, the same plan goes on after the last pair of model and benchmark that was
    done. lm-eval's own log is in the folder of the results.

    Args:
        plan: what to do.
        tell: called as `tell(model, benchmark, done, total)`.
        api_key: for servers; given to the child in its environment and written nowhere.

    Raises:
        InputError: the child says that what was given is wrong.
        Failure: it fails, or the folder cannot be written.
    """
    folder = Path(plan.results)
    last, code = _last_word(plan, tell, api_key)
    if "scores" in last:
        return {
            model: {name: _score(each) for name, each in scores.items()}
            for model, scores in last["scores"].items()
        }
    if "faults" in last:
        faults = [Fault(**fault) for fault in last["faults"]]
        raise (InputError if last["code"] == InputError.exit_code else Failure)(faults)
    what = f"lm-eval ended with code {code}: {_tail(folder / LOG)}"
    raise Failure(Fault(str(folder / LOG), "", what, "the same command goes on where it stopped"))


def task_faults(tasks: Sequence[str]) -> tuple[Fault, ...]:
    """What is wrong with names of tasks: no such task, or one that executes code of a model.

    lm-eval's own index is read in a child process, which takes seconds; no data is loaded, no
    model is touched and nothing is left behind.

    Raises:
        Failure: lm-eval cannot say.
    """
    with tempfile.TemporaryDirectory() as folder:
        plan = TaxPlan(models=(), tasks=tuple(tasks), results=folder, check_only=True)
        last, code = _last_word(plan, lambda *_: None, None)
        said = _tail(Path(folder) / LOG)
    if "checked" in last:
        return ()
    if "faults" in last:
        return tuple(Fault(**fault) for fault in last["faults"])
    what = f"lm-eval ended with code {code} before it had looked at the tasks: {said}"
    raise Failure(Fault(", ".join(tasks), "", what, "try `lm-eval ls tasks`, which reads the same"))


def _last_word(plan: TaxPlan, tell: Tell, api_key: str | None) -> tuple[Mapping[str, Any], int]:
    """What the child said last, and its exit code."""
    folder = Path(plan.results)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log = (folder / LOG).open("w", encoding="utf-8")
    except OSError as error:
        fix = "name another folder with --out"
        what = f"cannot be written ({error.strerror})"
        raise InputError(Fault(str(folder), "", what, fix)) from None
    # Its end closes the pipes and waits; before that, nothing is left running.
    with log, _started(plan, log, api_key) as child:
        try:
            last = _follow(child, plan, tell)
        except BaseException:
            child.kill()
            raise
    return last, child.returncode


def _started(plan: TaxPlan, log: TextIO, api_key: str | None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "charter.evals.tax_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=_environment(plan, api_key),
        text=True,
        encoding="utf-8",
    )


def _follow(child: subprocess.Popen[str], plan: TaxPlan, tell: Tell) -> Mapping[str, Any]:
    """The child's last word."""
    assert child.stdin is not None and child.stdout is not None
    try:
        child.stdin.write(plan.model_dump_json())
        child.stdin.close()
    except BrokenPipeError:
        return {}  # it died at its start; the log says of what
    last: Mapping[str, Any] = {}
    for line in child.stdout:
        last = json.loads(line)
        if "at" in last:
            tell(*last["at"])
    return last


def _environment(plan: TaxPlan, api_key: str | None) -> dict[str, str]:
    environment = dict(os.environ)
    environment["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    environment["HF_HUB_DISABLE_TELEMETRY"] = "1"
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    if plan.check_only or needs_no_network(plan):
        # Else the clients look hosts up, and wait for them, for what lies here.
        environment["HF_HUB_OFFLINE"] = environment["HF_DATASETS_OFFLINE"] = "1"
    if plan.run_generated_code:
        environment["HF_ALLOW_CODE_EVAL"] = "1"
    else:
        environment.pop("HF_ALLOW_CODE_EVAL", None)
    if api_key is not None:
        environment["OPENAI_API_KEY"] = api_key
    return environment


def _score(value: dict[str, Any]) -> Score:
    leaves = value.pop("leaves")
    found = None if leaves is None else {name: Leaf(**each) for name, each in leaves.items()}
    return Score(**value, leaves=found)


def _tail(path: Path) -> str:
    """The last line of a log that says anything."""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
