"""The cases of `engine.py`: what is run for each, and which figures come of it.

Not run by itself. Throughput is by the server's clock, from its first request to its last
response, for Charter, the bare client and distilabel alike: start-up and what follows the last
call are figures of their own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness import (
    HERE,
    IN_FLIGHT,
    BenchError,
    Case,
    Child,
    ServerProcess,
    run_child,
    window,
    write_recipe,
)

# Pinned, as the rest is by requirements.lock; what else it needs is installed already.
OPENAI = ("openai==3.57.0", "distro==1.9.0", "jiter==0.19.0", "sniffio==1.3.1")
IMPORTS = "import distilabel.pipeline, distilabel.models.llms.base, distilabel.steps.tasks"
FAULT_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is run: rows by case, and how often."""

    small: int = 1_000
    pair: int = 10_000
    pairs: int = 3
    large: int = 100_000
    plain_default: int = 300
    plain_best: int = 1_000
    starts: int = 3


SHORT = Sizes(pair=5_000, pairs=1, large=0, starts=1)


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of `charter run`.

    Attributes:
        folder: where recipe, output and cache lie.
        rows: prompts.
        child: the process.
        result: what it printed.
        stats: what the server counted.
        walk: the run's own account of its walking, where it wrote one.
    """

    folder: Path
    rows: int
    child: Child
    result: dict[str, Any]
    stats: dict[str, Any]
    walk: dict[str, Any]

    @property
    def rate(self) -> float:
        """Calls a second at the server."""
        return float(self.stats["requests"] / window(self.stats))


@dataclass
class Bench:
    """Runs what cases need; runs that several cases can share are made once.

    Attributes:
        server: the running server.
        folder: temporary, for all that is written.
        charter: the command.
        sizes: how much is run.
        say: is told what happens.
    """

    server: ServerProcess
    folder: Path
    charter: Sequence[str]
    sizes: Sizes
    say: Callable[[str], None]
    _shared: dict[int, Ran] = field(default_factory=dict)

    def room(self) -> Path:
        """A fresh folder."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def run_charter(
        self, rows: int, folder: Path | None = None, run: Any = None, **server: Any
    ) -> Ran:
        """Run the recipe with an empty cache, or with that of the folder of an earlier run."""
        again = folder is not None
        folder = folder or self.room()
        recipe = folder / "recipe.yaml"
        if not again:
            write_recipe(folder, self.server.url, rows, **(run or {}))
        self.server.reset(**server)
        command = [*self.charter, "run", recipe, "--no-train", "--json", "--out", folder / "out"]
        child = run_child(command, folder, 600, CHARTER_CACHE=str(folder / "cache"))
        result, stats = child.result(), self.server.stats()
        ran = Ran(folder, rows, child, result, stats, _walk_event(folder / "out", result["run"]))
        self.say(f"charter, {rows} rows: {_told(ran)}")
        return ran

    def shared_run(self, rows: int) -> Ran:
        """The run of so many rows at 50 ms; made when first asked for."""
        if rows not in self._shared:
            self._shared[rows] = self.run_charter(rows)
        return self._shared[rows]

    def run_ideal(self, rows: int, **server: Any) -> float:
        """The bare client on the same prompts: calls a second."""
        folder = self.room()
        write_recipe(folder, self.server.url, rows)
        self.server.reset(**server)
        found = self._script(folder, "ideal.py")
        stats = self.server.stats()
        rate = float(found["calls"] / window(stats))
        busy = stats["cpu_seconds"] / window(stats)
        self.say(f"aiohttp, {rows} rows: {rate:,.0f} calls/s (server {busy:.0%} busy)")
        return rate

    def run_plain(self, rows: int, setting: str, *more: str | Path) -> tuple[float, int]:
        """Plain distilabel on the same prompts: calls a second, and the most in flight."""
        folder = self.room()
        write_recipe(folder, self.server.url, rows)
        self.server.reset()
        found = self._script(folder, "plain.py", "--setting", setting, *more)
        stats = self.server.stats()
        if found["whole"] != rows:
            raise BenchError(f"distilabel made {found['whole']} whole rows of {rows}")
        rate = float(stats["requests"] / window(stats))
        most = int(stats["most_in_flight"])
        self.say(f"distilabel {setting}, {rows} rows: {rate:,.0f} calls/s, {most} in flight")
        return rate, most

    def _script(self, folder: Path, name: str, *more: str | Path) -> dict[str, Any]:
        prompts = folder / "prompts.jsonl"
        command = [sys.executable, HERE / name, "--url", self.server.url, "--prompts", prompts]
        return run_child([*command, *more], folder, 180).result()


def _told(ran: Ran) -> str:
    requests, child = ran.stats["requests"], ran.child
    told = f"{requests} requests, {child.wall:.1f} s in all, {child.peak:.0f} MB"
    if requests:
        busy = ran.stats["cpu_seconds"] / window(ran.stats)
        most = ran.stats["most_in_flight"]
        told += f", {ran.rate:,.0f} calls/s, {most} in flight (server {busy:.0%} busy)"
    return told


def _walk_event(out: Path, run: str) -> dict[str, Any]:
    """The last `walk` line of the run's events; nothing where there is none."""
    try:
        lines = (out / "runs" / run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        event: dict[str, Any] = json.loads(line)
        if event.get("event") == "walk":
            return event
    return {}


def of_many(
    case: str,
    figure: str,
    values: Sequence[float],
    unit: str,
    better: Literal["higher", "lower"],
    goal: float | None = None,
) -> Case:
    """The case of some measurements: their median and range."""
    low, high = (min(values), max(values)) if len(values) > 1 else (None, None)
    return Case(case, figure, statistics.median(values), low, high, len(values), unit, better, goal)


# The cases


def throughput(bench: Bench) -> Iterator[Case]:
    """Charter against the bare client at 50 ms, by rows; and how both grow."""
    sizes = bench.sizes
    plan = [(sizes.small, 1, None), (sizes.pair, sizes.pairs, 0.90)]
    for rows, pairs, goal in plan:
        case = f"{rows} rows, 50 ms, {IN_FLIGHT} in flight"
        found = [_pair(bench, rows, first=number % 2 == 1) for number in range(pairs)]
        ideals = [ideal for ideal, _ in found]
        runs = [ran for _, ran in found]
        ratios = [ran.rate / ideal for ideal, ran in found]
        yield of_many(case, "throughput over aiohttp's", ratios, "ratio", "higher", goal)
        yield of_many(case, "aiohttp's throughput", ideals, "calls/s", "higher")
        yield from _account(case, runs)
    if sizes.large:
        large = bench.run_charter(sizes.large)
        yield from _account(f"{sizes.large} rows, 50 ms, {IN_FLIGHT} in flight", [large])
        yield from _growth(bench.shared_run(sizes.small), large)


def _pair(bench: Bench, rows: int, *, first: bool, **server: Any) -> tuple[float, Ran]:
    """The bare client and Charter after one another, `first` saying whether Charter begins."""

    def charter() -> Ran:
        fresh = rows in bench._shared or server
        return bench.run_charter(rows, **server) if fresh else bench.shared_run(rows)

    if first:
        ran = charter()
        return bench.run_ideal(rows, **server), ran
    ideal = bench.run_ideal(rows, **server)
    return ideal, charter()


def _account(case: str, runs: Sequence[Ran]) -> Iterator[Case]:
    yield of_many(case, "throughput", [ran.rate for ran in runs], "calls/s", "higher")
    most = [ran.stats["most_in_flight"] for ran in runs]
    yield of_many(case, "most in flight", most, "calls", "lower")
    yield of_many(case, "peak memory", [ran.child.peak for ran in runs], "MB", "lower")
    yield of_many(case, "whole command", [ran.child.wall for ran in runs], "s", "lower")
    after = [ran.child.started + ran.child.wall - ran.stats["last_response"] for ran in runs]
    yield of_many(case, "after the last response", after, "s", "lower")
    cpu = [1e6 * ran.child.cpu / ran.stats["requests"] for ran in runs]
    yield of_many(case, "CPU a call, start and publishing included", cpu, "us", "lower")
    busy = [ran.stats["cpu_seconds"] / window(ran.stats) for ran in runs]
    yield of_many(case, "server's own share of a core", busy, "ratio", "lower")


def _growth(small: Ran, large: Ran) -> Iterator[Case]:
    case = f"from {small.rows} to {large.rows} rows"
    walks = [window(ran.stats) / ran.rows for ran in (small, large)]
    yield of_many(
        case, "growth of walking time a row", [walks[1] / walks[0]], "ratio", "lower", 1.10
    )
    whole = [
        (ran.child.started + ran.child.wall - ran.stats["first_request"]) / ran.rows
        for ran in (small, large)
    ]
    yield of_many(
        case, "growth of time a row, publishing included", [whole[1] / whole[0]], "ratio", "lower"
    )
    extra = (large.child.peak - small.child.peak) * 1e3 / (large.rows - small.rows)
    yield of_many(case, "growth of peak memory a row", [extra], "kB", "lower")


def latency(bench: Bench) -> Iterator[Case]:
    """Charter against the bare client where an answer takes a second."""
    rows = bench.sizes.small
    ideal, ran = _pair(bench, rows, first=False, latency=1.0)
    case = f"{rows} rows, 1 s, {IN_FLIGHT} in flight"
    yield of_many(case, "throughput over aiohttp's", [ran.rate / ideal], "ratio", "higher", 0.97)
    yield of_many(case, "throughput", [ran.rate], "calls/s", "higher")


def plain(bench: Bench) -> Iterator[Case]:
    """Charter against distilabel's own runner."""
    sizes = bench.sizes
    runs: list[tuple[str, int, float, list[str | Path]]] = []
    packages = _openai(bench)
    if packages is not None:
        runs.append(("default", sizes.plain_default, 20.0, ["--packages", packages]))
    runs.append(("best", sizes.plain_best, 2.5, []))
    for setting, rows, goal, more in runs:
        theirs, most = bench.run_plain(rows, setting, *more)
        # Its steps have a batch in flight each: where these are more calls, we have as many.
        ran = bench.shared_run(sizes.small)
        if most > ran.stats["most_in_flight"]:
            ran = bench.run_charter(sizes.small, run={"in_flight": most})
        ours = ran.rate
        case = f"plain distilabel, {setting} setting, {rows} rows, 50 ms"
        figure = f"Charter's throughput ({sizes.small} rows) over it"
        yield of_many(case, figure, [ours / theirs], "ratio", "higher", goal)
        yield of_many(case, "its throughput", [theirs], "calls/s", "higher")
        yield of_many(case, "most in flight", [most], "calls", "lower")


def _openai(bench: Bench) -> Path | None:
    """A folder with the client of distilabel's default; None where it cannot be had."""
    folder = Path(sys.prefix) / "bench-openai"
    if (folder / "openai").is_dir():
        return folder
    bench.say(f"installing {OPENAI[0]} into {folder}")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--no-deps", "--target", folder, *OPENAI],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return folder
    bench.say(f"left out distilabel's default setting: {done.stderr.strip()[-200:]}")
    return None


def start(bench: Bench) -> Iterator[Case]:
    """How long the first call takes to go out, beyond importing distilabel."""
    own, imports = [], []
    for _ in range(bench.sizes.starts):
        # The import first: in a cold first round it is the one that waits for the disk.
        python = [
            run_child([sys.executable, "-c", code], bench.room(), 120).wall
            for code in ("pass", IMPORTS)
        ]
        imports.append(python[1] - python[0])
        ran = bench.run_charter(100)
        own.append(ran.stats["first_request"] - ran.child.started)
        bench.say(f"first request after {own[-1]:.2f} s; importing takes {imports[-1]:.2f} s")
    case = "100 rows, start"
    beyond = [mine - theirs for mine, theirs in zip(own, imports, strict=True)]
    figure = "process start to first request, less distilabel's import"
    yield of_many(case, figure, beyond, "s", "lower", 1.5)
    yield of_many(case, "process start to first request", own, "s", "lower")
    yield of_many(case, "distilabel's import", imports, "s", "lower")


def memory(bench: Bench) -> Iterator[Case]:
    """The most memory of a run."""
    ran = bench.shared_run(bench.sizes.small)
    case = f"{ran.rows} rows, memory"
    yield of_many(case, "peak memory", [ran.child.peak], "MB", "lower", 300)


def cached(bench: Bench) -> Iterator[Case]:
    """The same recipe again: every answer is in the cache."""
    first = bench.shared_run(bench.sizes.pair)
    again = bench.run_charter(first.rows, first.folder)
    case = f"{first.rows} rows, second run"
    calls = again.result["calls"]
    yield of_many(case, "requests at the server", [again.stats["requests"]], "calls", "lower", 0)
    missed = calls - again.result["cached_calls"]
    yield of_many(case, "calls not from the cache", [missed], "calls", "lower")
    whole = calls / again.child.wall
    if again.walk:
        walking = again.walk["calls"] / again.walk["seconds"]
        yield of_many(case, "cached calls, walking", [walking], "calls/s", "higher", 10_000)
        yield of_many(case, "cached calls, whole command", [whole], "calls/s", "higher")
    else:
        yield of_many(case, "cached calls, whole command", [whole], "calls/s", "higher", 10_000)


def faults(bench: Bench) -> Iterator[Case]:
    """A fifth of the calls fail on their first try, in five ways."""
    rows = bench.sizes.small
    ran = bench.run_charter(rows, run={"timeout": 2}, fault_share=FAULT_SHARE, seed=1)
    stats, counts = ran.stats, ran.result["counts"]
    injected = sum(stats["injected"].values())
    bench.say(f"injected {stats['injected']}, abandoned {stats['abandoned']}; counts {counts}")
    case = f"{rows} rows, {FAULT_SHARE:.0%} of calls failing, timeout 2 s"
    accounted = (counts["sft"] + counts["rejects"]) / rows
    yield of_many(case, "rows accounted for", [accounted], "ratio", "higher", 1.0)
    yield of_many(case, "rows published", [counts["sft"] / rows], "ratio", "higher")
    extra = (stats["requests"] - stats["distinct"]) / injected
    yield of_many(case, "further calls an injected failure", [extra], "calls", "lower", 1.3)
    yield of_many(case, "injected failures", [injected], "calls", "higher")
    yield of_many(case, "whole command", [ran.child.wall], "s", "lower")


def parts(bench: Bench) -> Iterator[Case]:
    """Where the time of a call goes, part by part, each alone in one process."""
    folder = bench.room()
    write_recipe(folder, bench.server.url, 2_000)
    bench.server.reset(latency=0.0)
    command = [sys.executable, HERE / "parts.py", "--recipe", folder / "recipe.yaml"]
    found = run_child(command, folder, 300, CHARTER_CACHE=str(folder / "cache")).result()
    for part, values in found["parts"].items():
        yield of_many("CPU by part", part, values, "us a call", "lower")
    total = sum(statistics.median(found["parts"][part]) for part in found["first_run"])
    yield of_many("CPU by part", "a call of a first run", [total], "us a call", "lower")


CASES: dict[str, Callable[[Bench], Iterator[Case]]] = {
    "start": start,
    "throughput": throughput,
    "latency": latency,
    "plain": plain,
    "memory": memory,
    "cached": cached,
    "faults": faults,
    "parts": parts,
}
