"""What a run costs: Charter's runner beside a bare client and beside plain distilabel.

    python benchmarks/engine.py                  all of it, about 4 minutes
    python benchmarks/engine.py --short          smaller, about 3 minutes; writes no results
    python benchmarks/engine.py --only cached    single cases, also several

Every model call goes to a loopback server (`server.py`) of fixed latency, so that what is measured
is the client. Writes `benchmarks/results/engine.json`. Figures move two- to threefold on a shared
machine: read ratios of runs that were made side by side, and close other programs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cases import CASES, SHORT, Bench, Sizes
from harness import HERE, BenchError, Case, ServerProcess
from told import Say, carry_out, number, table

RESULTS = HERE / "results" / "engine.json"
PACKAGES = ("charter-ai", "distilabel", "aiohttp", "pyreqwest", "orjson", "uvloop", "pyarrow")
# One case that breaks, or whose figures make no sense, must not cost the others theirs.
BROKEN = (BenchError, ArithmeticError, LookupError, OSError, TypeError, ValueError)


def measure(options: argparse.Namespace, names: Sequence[str], say: Say) -> list[Case]:
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
                    say(f"  {case.case}: {case.figure} {number(case.value)} {case.unit}")
            except BROKEN as error:
                failed.append(name)
                say(f"case {name} failed: {error!r}")
    if failed:
        print(table(found))
        raise BenchError(f"failed: {', '.join(failed)}")
    return found


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
    # A part of the figures must not take the place of all of them.
    path = options.out or (None if options.short or options.only else RESULTS)
    return carry_out(
        "engine.py", arguments, lambda say: measure(options, names, say), PACKAGES, path
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
