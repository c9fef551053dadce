"""What publishing costs: Charter beside bare `push_to_hub`, and what a second version sends.

    python benchmarks/hub.py                   100,000 rows, 3 rounds, about 15 minutes
    python benchmarks/hub.py --rows 1000000    3 GB; one round, without the other parquet layouts
    python benchmarks/hub.py --short           2,000 rows, under a minute; writes no results

Preference rows of some 3 KB, with two votes each and a few rejects, go to the embedded Hub on
loopback: a fresh one each time, for a store that has the bytes takes no upload. Each way runs in a
process of its own, one after another in every round. What a second version adds to the store is
counted by hf_xet's own chunker. Writes `benchmarks/results/hub.json`. Figures move two- to
threefold on a shared machine: read ratios, and close other programs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cases import of_many
from harness import HERE, Case, Child, run_child
from hub_plan import CHANGES, LAYOUTS
from told import Say, carry_out

from charter.hub.embedded import User
from charter.hub.embedded.child import launch

RESULTS = HERE / "results" / "hub.json"
PACKAGES = ("charter-ai", "datasets", "huggingface_hub", "hf-xet", "pyarrow", "polars")
ROWS, LARGE, SHORT = 100_000, 500_000, 2_000
LIMIT: Final = 3600.0
TOKEN: Final = "hf_bench_0123456789"
PARTS: Final = ("publish", "diff", "chunks")
CONFIGS: Final = ("preference", "judgments", "rejects")
RATIO, MEMORY, GATE, DIFF = 1.15, 600.0, 30.0, 60.0
# Of the changes: what `charter diff` compares is the version in which labels changed.
COMPARED: Final = 1
PUBLISHED: Final = "Charter, the same rows"
STAGES: Final = {
    "written": "writing parquet",
    "sent": "uploading, commit, tag",
    "card": "card and manifest",
    "total": "time in all",
}


class Bench:
    """One run of the benchmark.

    Args:
        folder: for everything; emptied by the caller.
        rows: preference rows.
        say: told what is going on.
    """

    def __init__(self, folder: Path, rows: int, say: Say, *, xet: bool = False) -> None:
        self.folder, self.rows, self.say = folder, rows, say
        self._xet = xet
        self.cases: list[Case] = []

    def add(self, case: str, figure: str, values: Sequence[float], unit: str,
            goal: float | None = None) -> float:  # fmt: skip
        """Take a figure; its median. Of all of them less is better."""
        self.cases.append(of_many(case, figure, values, unit, "lower", goal))
        value = statistics.median(values)
        self.say(f"  {case}: {figure} {value:,.3g} {unit}")
        return value

    def run(self, way: str, endpoint: str = "", **given: Any) -> tuple[dict[str, Any], Child]:
        """Run a way in a process of its own; what it printed, and the process."""
        command = [sys.executable, HERE / "hub_ways.py", way]
        given = {"folder": str(self.folder), **given}
        with tempfile.TemporaryDirectory(prefix="child-", dir=self.folder) as home:
            child = run_child(
                [*command, json.dumps(given)],
                Path(home),
                LIMIT,
                HF_ENDPOINT=endpoint or "http://127.0.0.1:9",
                HF_TOKEN=TOKEN,
                HF_HOME=home,
                HF_HUB_OFFLINE="0" if endpoint else "1",
                HF_HUB_DISABLE_XET="0" if self._xet else "1",
                HF_HUB_DISABLE_PROGRESS_BARS="1",
                HF_DATASETS_DISABLE_PROGRESS_BARS="1",
                HF_UPDATE_DOWNLOAD_COUNTS="0",
            )
            return child.result(), child

    @contextmanager
    def hub(self) -> Iterator[str]:
        """A fresh Hub; its address."""
        place = self.folder / "hub"
        running = launch(place, users=[User("bench", TOKEN, "write")])
        try:
            yield running.address
        finally:
            running.stop()
            shutil.rmtree(place, ignore_errors=True)


# Publishing


def publishing(bench: Bench, rounds: int) -> None:
    """Bare writing, bare pushing and ours, interleaved."""
    taken: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        bench.say(f"round {number + 1} of {rounds}")
        place = bench.folder / "bare"
        found = [("bare pyarrow, the same rows", *bench.run("write", to=str(place)))]
        shutil.rmtree(place)
        for name, configs in (("preference alone", CONFIGS[:1]), ("the same rows", CONFIGS)):
            with bench.hub() as url:
                figures = bench.run("push", url, configs=configs)
                found.append((f"push_to_hub, {name}", *figures))
        store = bench.folder / "store"
        shutil.rmtree(store, ignore_errors=True)
        with bench.hub() as url:
            first = str(bench.folder / "first")
            figures = bench.run("publish", url, rows=first, store=str(store))
            found.append((PUBLISHED, *figures))
        for name, took, child in found:
            taken.setdefault(name, []).append({**took, "memory": child.peak})
    _told(bench, taken)


def _told(bench: Bench, taken: dict[str, list[dict[str, float]]]) -> None:
    for name, each in taken.items():
        ours = name == PUBLISHED
        what = "time without the gate" if ours else "time"
        bench.add(name, what, [one["seconds"] for one in each], "s")
        if ours:
            for stage, told in STAGES.items():
                bench.add(name, told, [one[stage] for one in each], "s")
        goal = MEMORY if ours else None
        bench.add(name, "peak memory", [one["memory"] for one in each], "MB", goal)
        if "bytes" in each[0]:
            bench.add(name, "parquet", [one["bytes"] / 1e6 for one in each], "MB")
    bare = [one["seconds"] for one in taken["push_to_hub, the same rows"]]
    mine = taken[PUBLISHED]
    sent = [(one["written"] + one["sent"]) / each for one, each in zip(mine, bare, strict=True)]
    every = [one["seconds"] / each for one, each in zip(mine, bare, strict=True)]
    bench.add("over push_to_hub, the same rows", "writing and uploading", sent, "ratio", RATIO)
    bench.add("over push_to_hub, the same rows", "all but the gate", every, "ratio")
    gate = [one["gate"] for one in taken[PUBLISHED]]
    near = [bench.run("splits")[0]["seconds"] for _ in gate[:1]]
    bench.add("the gate", "checks, secrets, contamination", gate, "s")
    bench.add("the gate", "near-duplicates among prompts", near, "s")
    scaled = GATE * bench.rows / ROWS
    bench.add("the gate", "in all", [statistics.median(gate) + near[0]], "s", scaled)


# The second version


def second(bench: Bench, number: int) -> str:
    """The folder with the rows of a second version, made if need be."""
    place = bench.folder / f"second-{number}"
    if not place.exists():
        bench.run("change", change=CHANGES[number].name, to=str(place))
    return str(place)


def deduplicated(bench: Bench, layouts: Sequence[str]) -> None:
    """What is new to a store that has the first version, by ways of writing parquet."""
    seconds = {change.name: second(bench, number) for number, change in enumerate(CHANGES)}
    for layout in layouts:
        shipped = layout == layouts[0]
        changes = [change for change in CHANGES if shipped or not change.once]
        some = {change.name: seconds[change.name] for change in changes}
        found, _ = bench.run("chunks", layout=layout, seconds=some)
        case = f"second version, {layout}"
        one = next(iter(found.values()))
        bench.add(case, "first version", [one["first"] / 1e6], "MB")
        bench.add(case, "bytes a chunk", [one["first"] / one["chunks"]], "bytes")
        for change in changes:
            figures = found[change.name]
            share = 100 * figures["new"] / figures["first"]
            goal = change.goal if shipped else None
            bench.add(case, f"new: {change.name}", [share], "%", goal and 100 * goal)


def compared(bench: Bench, repeats: int) -> None:
    """`charter diff` of the first version and one with other labels, and its publication."""
    store = str(bench.folder / "store-2")
    with bench.hub() as url:
        rows = [str(bench.folder / "first"), second(bench, COMPARED)]
        one, _ = bench.run("publish", url, rows=rows[0], store=store)
        two, child = bench.run("publish", url, rows=rows[1], store=store)
    case = "Charter, the second version"
    bench.add(case, "the gate's time", [two["gate"]], "s")
    bench.add(case, "time without the gate", [two["seconds"]], "s")
    bench.add(case, "peak memory", [child.peak], "MB", MEMORY)
    times, peaks = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="child-", dir=bench.folder) as home:
            program = Path(sys.executable).with_name("charter")
            names = [one["version"], two["version"]]
            child = run_child([program, "diff", *names, "--json"], Path(home), LIMIT)
        child.result()
        times.append(child.wall)
        peaks.append(child.peak)
    bench.add("charter diff", "time", times, "s", DIFF if bench.rows >= LARGE else None)
    bench.add("charter diff", "peak memory", peaks, "MB")


def measure(options: argparse.Namespace, say: Say) -> list[Case]:
    """All figures.

    Raises:
        BenchError: a process failed.
    """
    large = options.rows >= LARGE
    rounds = options.rounds or (1 if large or options.short else 3)
    with tempfile.TemporaryDirectory(prefix="bench-hub-", dir=options.folder) as folder:
        bench = Bench(Path(folder), options.rows, say, xet=options.xet)
        say(f"making {options.rows:,} rows")
        made, _ = bench.run("make", rows=options.rows)
        bench.add("the rows", "preference in Arrow", [made["pairs"] / 1e6], "MB")
        bench.add("the rows", "all in Arrow", [made["bytes"] / 1e6], "MB")
        if "publish" in options.only:
            publishing(bench, rounds)
        if "diff" in options.only:
            compared(bench, rounds)
        if "chunks" in options.only:
            layouts = [layout.name for layout in LAYOUTS]
            deduplicated(bench, layouts[:1] if large or options.short else layouts)
    return bench.cases


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help=f"preference rows, instead of {ROWS:,}")
    parser.add_argument("--short", action="store_true", help="few rows; no results are written")
    parser.add_argument("--rounds", type=int, help="of publishing and comparing")
    parser.add_argument("--xet", action="store_true", help="upload by Xet, and not by LFS")
    parser.add_argument("--only", action="append", choices=PARTS, help="this; may be repeated")
    parser.add_argument("--folder", type=Path, help="for temporary files: 15 times the rows' size")
    parser.add_argument("--out", type=Path, help=f"write here, not {RESULTS.name}")
    options = parser.parse_args(arguments)
    options.other = options.rows not in (None, ROWS) or options.short or options.xet
    options.partial = bool(options.only)
    options.only = options.only or PARTS
    options.rows = options.rows or (SHORT if options.short else ROWS)
    return options


def main(arguments: Sequence[str]) -> int:
    """Measure; the exit status."""
    options = options_of(arguments)
    # Figures of other sizes must not take the place of the usual ones.
    path = options.out or (None if options.other else RESULTS)
    return carry_out(
        "hub.py",
        arguments,
        lambda say: measure(options, say),
        PACKAGES,
        path,
        partial=options.partial,
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
