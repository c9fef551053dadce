"""How a benchmark tells its figures: as a table, and in the form of the results' files.

Not run by itself.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import Case

__all__ = ["replaced", "table", "write"]


def table(cases: Sequence[Case]) -> str:
    """All figures; the last column says which goals were reached."""
    lines = [("case", "figure", "value", "low", "high", "n", "unit", "goal", "")]
    for case in cases:
        said = "" if case.goal is None else ("MISSED" if case.missed else "reached")
        sign = ">=" if case.better == "higher" else "<="
        goal = "" if case.goal is None else f"{sign} {_number(case.goal)}"
        numbers = (_number(case.value), _number(case.low), _number(case.high), str(case.n))
        lines.append((case.case, case.figure, *numbers, case.unit, goal, said))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 2 <= place <= 5 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write(
    path: Path, command: str, versions: Mapping[str, str], cases: Sequence[dict[str, Any]]
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
        "versions": dict(versions),
        "cases": list(cases),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def replaced(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The old cases with the new ones in their places, and behind them what is new."""
    found = {(case["case"], case["figure"]): case for case in new}
    kept = [found.pop((case["case"], case["figure"]), case) for case in old]
    return [*kept, *found.values()]
