"""How a benchmark is carried out and tells its figures: as a table, and in a file of results.

Not run by itself.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import BenchError, Case

from charter.errors import CharterError

__all__ = ["Say", "carry_out", "number", "table"]

Say = Callable[[str], None]


def carry_out(
    script: str,
    arguments: Sequence[str],
    measure: Callable[[Say], Sequence[Case]],
    packages: Sequence[str],
    path: Path | None,
    *,
    partial: bool = False,
) -> int:
    """Measure, print the figures and write them; the exit status.

    Args:
        script: the benchmark, as its results name it.
        arguments: what it was started with.
        measure: gives the figures, and is given what says how far it is; `BenchError` ends it.
        packages: whose versions stand in the results.
        path: of the results; None writes none.
        partial: the figures take their own places among those of the file.
    """
    started = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # children are ended on the way out

    def say(line: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {line}", file=sys.stderr, flush=True)

    try:
        cases = measure(say)
    except (BenchError, CharterError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    print(table(cases))
    if path is not None:
        made = [case.as_json() for case in cases]
        command = " ".join([f"python benchmarks/{script}", *arguments])
        if partial and path.is_file():
            command = f"python benchmarks/{script}, a part at a time with --only"
            made = _replaced(json.loads(path.read_text(encoding="utf-8"))["cases"], made)
        _write(path, command, packages, made)
        say(f"written to {path}")
    return 0


def table(cases: Sequence[Case]) -> str:
    """All figures; the last column says which goals were reached."""
    lines = [("case", "figure", "value", "low", "high", "n", "unit", "goal", "")]
    for case in cases:
        said = "" if case.goal is None else ("MISSED" if case.missed else "reached")
        sign = ">=" if case.better == "higher" else "<="
        goal = "" if case.goal is None else f"{sign} {number(case.goal)}"
        numbers = (number(case.value), number(case.low), number(case.high), str(case.n))
        lines.append((case.case, case.figure, *numbers, case.unit, goal, said))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 2 <= place <= 5 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def number(value: float | None) -> str:
    """A figure as the table shows it."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _write(
    path: Path, command: str, packages: Sequence[str], cases: Sequence[dict[str, Any]]
) -> None:
    """Write the results; a reader sees the old file or the new one."""
    results = {
        "command": command,
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
        },
        "versions": {name: metadata.version(name) for name in packages},
        "cases": list(cases),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def _replaced(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The old cases with the new ones in their places, and behind them what is new."""
    found = {(case["case"], case["figure"]): case for case in new}
    kept = [found.pop((case["case"], case["figure"]), case) for case in old]
    return [*kept, *found.values()]
