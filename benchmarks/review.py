"""What the review costs: sending beside the SDK's own `records.log`, searching, paging.

    python benchmarks/review.py            10,000 records, 3 rounds, under 15 minutes
    python benchmarks/review.py --short    500 records, 2 minutes; writes no results

One embedded Argilla on loopback. In every round the same records of some 3 KB go to it by
`charter review send`'s own path and by the bare SDK at its best batch size, each into a dataset of
its own, in turn who begins. Each way runs in a process of its own and is timed in it: from the draw
to the last answer for ours, from the making of the dataset to the end of `records.log` for the
SDK's, whose records are made before. Then the search engine alone, in the server's environment.
Writes `benchmarks/results/review.json`. Figures move two- to threefold on a shared machine: read
ratios, and close other programs.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cases import of_many
from harness import HERE, BenchError, Case, Child, run_child
from told import Say, carry_out

from charter.review.embedded import ensure_environment

RESULTS = HERE / "results" / "review.json"
PACKAGES = ("charter-ai", "argilla", "orjson", "httpx")
PARTS: Final = ("send", "engine")
ROWS, SHORT = 10_000, 500
MARKS: Final = (10_000, 20_000, 40_000, 50_000)
BATCHES: Final = (100, 256, 500)  # 256 is the SDK's default, 500 the most that the server takes
LIMIT: Final = 1800.0
RATIO, SECONDS, SEARCH, GROWTH = 1.15, 90.0, 200.0, 1.15


@dataclass
class Bench:
    """One run of the benchmark.

    Attributes:
        folder: for everything; emptied by the caller.
        python: of the server's environment.
        say: told what is going on.
        server: variables that name the running server.
    """

    folder: Path
    python: Path
    say: Say
    server: dict[str, str] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)

    def add(self, case: str, figure: str, values: Sequence[float], unit: str,
            goal: float | None = None, *, higher: bool = False) -> float:  # fmt: skip
        """Take a figure; its median."""
        made = of_many(case, figure, values, unit, "higher" if higher else "lower", goal)
        self.cases.append(made)
        self.say(f"  {case}: {figure} {made.value:,.3g} {unit}")
        return statistics.median(values)

    def run(self, script: str, *arguments: str, python: str | Path = sys.executable) -> Child:
        """Run a script in a process of its own."""
        with tempfile.TemporaryDirectory(prefix="child-", dir=self.folder) as home:
            return run_child([python, HERE / script, *arguments], Path(home), LIMIT, **self.server)

    def way(self, name: str, **given: Any) -> tuple[dict[str, Any], Child]:
        """Run a way; what it printed, and the process."""
        child = self.run("review_ways.py", name, json.dumps({"folder": str(self.folder), **given}))
        return child.result(), child


@contextmanager
def served(bench: Bench) -> Iterator[None]:
    """The embedded Argilla, while the block runs."""
    data = bench.folder / "argilla"
    code = "from charter.cli import main; main()"
    command = [sys.executable, "-c", code, "review", "serve", "--port", "0", "--data", str(data)]
    started = time.monotonic()
    with (bench.folder / "serve.txt").open("wb") as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
    try:
        assert process.stdout is not None
        if not process.stdout.readline().startswith("ready "):
            raise BenchError(f"no server: {(bench.folder / 'serve.txt').read_text()[-2000:]}")
        bench.add("the server", "start", [time.monotonic() - started], "s")
        kept = json.loads((data / "credentials.json").read_bytes())
        bench.server = {"ARGILLA_API_URL": kept["url"], "ARGILLA_API_KEY": kept["api_key"]}
        yield
        bench.add("the server", "peak memory", [_peak(process.pid)], "MB")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


def _peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (each for each in status.splitlines() if each.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def sending(bench: Bench, rows: int, rounds: int) -> None:
    """Ours and the bare SDK's, in turn; then search and paging over what was sent."""
    bench.say(f"making {rows:,} rows")
    version = bench.way("make", rows=rows)[0]["path"]
    few = bench.way("make", rows=max(rows // 10, 50), folder=_folder(bench, "few"))[0]["path"]
    with served(bench):
        batch = _best_batch(bench, few, max(rows // 10, 50))
        took: dict[str, list[tuple[float, Child]]] = {"send": [], "log": []}
        for number in range(rounds):
            bench.say(f"round {number + 1} of {rounds}")
            ways = ("send", "log") if number % 2 else ("log", "send")
            for name in ways:
                given = {"workspace": f"{name}-{number}", "to": _folder(bench, f"to-{number}")}
                ran, child = bench.way(name, version=version, rows=rows, batch=batch, **given)
                took[name].append((ran["seconds"], child))
                bench.say(f"  {name}: {ran['seconds']:.1f} s")
        _told(bench, rows, batch, took)
        given = {"workspace": "send-0", "to": _folder(bench, "to-0")}
        _read(bench, rows, bench.way("read", version=version, rows=rows, **given)[0])


def _folder(bench: Bench, name: str) -> str:
    folder = bench.folder / name
    folder.mkdir(exist_ok=True)
    return str(folder)


def _best_batch(bench: Bench, version: str, rows: int) -> int:
    """The SDK's fastest batch size, by a tenth of the records."""
    rates = {}
    for batch in BATCHES:
        given = {"version": version, "rows": rows, "batch": batch, "workspace": f"batch-{batch}"}
        rates[batch] = rows / bench.way("log", **given)[0]["seconds"]
        case = f"the SDK's records.log, {rows:,} records"
        bench.add(case, f"in batches of {batch}", [rates[batch]], "records/s", higher=True)
    return max(rates, key=lambda batch: rates[batch])


def _told(bench: Bench, rows: int, batch: int, took: dict[str, list[tuple[float, Child]]]) -> None:
    ours = [seconds for seconds, _ in took["send"]]
    bare = [seconds for seconds, _ in took["log"]]
    case = f"charter review send, {rows:,} records"
    bench.add(case, "time", ours, "s", SECONDS * rows / ROWS)
    bench.add(case, "rate", [rows / each for each in ours], "records/s", higher=True)
    bench.add(case, "peak memory of the client", [c.peak for _, c in took["send"]], "MB")
    other = f"the SDK's records.log, {rows:,} records"
    bench.add(other, f"time, in batches of {batch}", bare, "s")
    bench.add(other, "peak memory of the client", [c.peak for _, c in took["log"]], "MB")
    ratios = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    bench.add(case, "over the SDK's", ratios, "ratio", RATIO)


def _read(bench: Bench, rows: int, took: dict[str, float]) -> None:
    case = f"text search over {rows:,} records, 50 of them read"
    bench.add(case, "by the SDK", [1e3 * took["sdk"]], "ms")
    bench.add(case, "by bare HTTP", [1e3 * took["http"]], "ms")
    case = f"paging through {rows:,} records"
    bench.add(case, "by the SDK", [took["sdk pages"]], "s")
    bench.add(case, "what a second send reads", [took["our pages"]], "s")
    bench.add(case, "charter review collect", [took["collect"]], "s")
    bench.add(case, "collect over the SDK's", [took["collect"] / took["sdk pages"]], "ratio")


def engine(bench: Bench, marks: Sequence[int]) -> None:
    """The search engine alone."""
    bench.say(f"the engine alone, {marks[-1]:,} documents")
    given = {"folder": _folder(bench, "engine"), "marks": list(marks)}
    child = bench.run("review_engine.py", json.dumps(given), python=bench.python)
    found = child.result()
    case = "the engine, adding documents"
    rates = {}
    for mark, (seconds, busy) in found["adding"].items():
        rates[int(mark)] = busy / int(mark)
        bench.add(case, f"{int(mark):,}", [seconds], "s")
    growth = rates[marks[-2]] / rates[marks[0]]
    figure = f"CPU time a document of {marks[-2]:,} over that of {marks[0]:,}"
    bench.add(case, figure, [growth], "ratio", GROWTH)
    bench.add(case, "size of the index", [found["bytes"] / 1e6], "MB")
    bench.add(case, "peak memory", [child.peak], "MB")
    case = f"the engine, text search over {marks[-1]:,} documents"
    for name, times in found["searching"].items():
        figure = f"{name} ({found['hits'][name]:,} hits)"
        bench.add(case, figure, [1e3 * each for each in times], "ms", SEARCH)


def measure(options: argparse.Namespace, say: Say) -> list[Case]:
    """All figures.

    Raises:
        BenchError: a process failed.
        CharterError: the server's environment can't be made.
    """
    python = ensure_environment(say)
    with tempfile.TemporaryDirectory(prefix="bench-review-", dir=options.folder) as folder:
        bench = Bench(Path(folder), python, say)
        if "send" in options.only:
            sending(bench, options.rows, options.rounds)
        if "engine" in options.only:
            engine(bench, [mark // 20 for mark in MARKS] if options.short else MARKS)
    return bench.cases


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help=f"records, instead of {ROWS:,}")
    parser.add_argument("--short", action="store_true", help="few; no results are written")
    parser.add_argument("--rounds", type=int, help="of sending, instead of 3")
    parser.add_argument("--only", action="append", choices=PARTS, help="this; may be repeated")
    parser.add_argument("--folder", type=Path, help="for temporary files, about 2 GB")
    parser.add_argument("--out", type=Path, help=f"write here, not {RESULTS.name}")
    options = parser.parse_args(arguments)
    options.other = options.rows not in (None, ROWS) or options.short
    options.partial = bool(options.only)
    options.only = options.only or PARTS
    options.rows = options.rows or (SHORT if options.short else ROWS)
    options.rounds = options.rounds or (1 if options.short else 3)
    return options


def main(arguments: Sequence[str]) -> int:
    """Measure; the exit status."""
    options = options_of(arguments)
    # Figures of other sizes must not take the place of the usual ones.
    path = options.out or (None if options.other else RESULTS)
    return carry_out(
        "review.py",
        arguments,
        lambda say: measure(options, say),
        PACKAGES,
        path,
        partial=options.partial,
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
