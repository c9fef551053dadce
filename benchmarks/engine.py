"""What a run costs: Charter's runner beside a bare client and beside plain distilabel.

    python benchmarks/engine.py                  all of it, less than 20 minutes
    python benchmarks/engine.py --short          smaller, about 3 minutes; writes no results
    python benchmarks/engine.py --only cached    single cases, also several

Every model call goes to a loopback server (`server.py`) of fixed latency, so that what is measured
is the client. Writes `benchmarks/results/engine.json`. Figures move two- to threefold on a shared
machine: read ratios of runs that were made side by side, and close other programs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from cases import CASES, SHORT, Bench, Sizes
from harness import HERE, BenchError, Case, ServerProcess

RESULTS = HERE / "results" / "engine.json"
PACKAGES = ("charter-ai", "distilabel", "aiohttp", "pyreqwest", "orjson", "uvloop", "pyarrow")
# One case that breaks, or whose figures make no sense, must not cost the others theirs.
BROKEN = (BenchError, ArithmeticError, LookupError, OSError, TypeError, ValueError)


def measure(options: argparse.Namespace, names: Sequence[str], say: Any) -> list[Case]:
    """The figures of the named cases, in order.

    Raises:
        BenchError: a case failed; the others' figures have been printed.
    """
    sizes = SHORT if options.short else Sizes()
    found: list[Case] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ServerProcess() as server:
        bench = Bench(server, Path(folder), options.charter, sizes, say)
        for name in names:
            say(f"case {name}")
            try:
                for case in CASES[name](bench):
                    found.append(case)
                    say("  " + _line(case))
            except BROKEN as error:
                failed.append(name)
                say(f"case {name} failed: {error!r}")
    print(_table(found))
    if failed:
        raise BenchError(f"failed: {', '.join(failed)}")
    return found


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _line(case: Case) -> str:
    return f"{case.case}: {case.figure} {_number(case.value)} {case.unit}"


def _table(cases: Sequence[Case]) -> str:
    """All figures; the last column says which goals were reached."""
    head = ("case", "figure", "value", "low", "high", "n", "unit", "goal", "")
    rows = [head]
    for case in cases:
        sign = "" if case.goal is None else (">= " if case.better == "higher" else "<= ")
        said = "" if case.goal is None else ("MISSED" if case.missed else "reached")
        numbers = [_number(value) for value in (case.value, case.low, case.high)]
        goal = sign + _number(case.goal) if sign else ""
        rows.append((case.case, case.figure, *numbers, str(case.n), case.unit, goal, said))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = {2, 3, 4, 5}
    lines = [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def write(path: Path, command: str, cases: Sequence[Case]) -> None:
    """Write the results; a reader sees the old file or the new one."""
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
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="smaller, and no results are written")
    parser.add_argument("--only", action="append", choices=CASES, help="this case; may be repeated")
    parser.add_argument("--out", type=Path, help=f"write here, not {RESULTS.name}")
    parser.add_argument(
        "--charter",
        type=lambda text: text.split(),
        default=[str(Path(sys.executable).with_name("charter"))],
        help="the command to measure; default: the one beside this Python",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run the cases; the exit status."""
    options = options_of(arguments)
    names = [name for name in CASES if not options.only or name in options.only]
    started = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # children are ended on the way out

    def say(line: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {line}", file=sys.stderr, flush=True)

    try:
        found = measure(options, names, say)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    # A part of the figures must not take the place of all of them.
    path = options.out or (None if options.short or options.only else RESULTS)
    if path is not None:
        write(path, " ".join(["python benchmarks/engine.py", *arguments]), found)
        say(f"written to {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
