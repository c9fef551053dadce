"""What the benchmarks share: the server's process, children that are measured, recipes, cases.

Not run by itself; see `engine.py`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from server import WORDS

HERE = Path(__file__).parent
MODEL = "bench"
MAX_TOKENS = 64
IN_FLIGHT = 256
# Nothing may wait for a network or a telemetry host, and no key of the user's is used.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OPENAI_API_KEY": "none",
}


class BenchError(Exception):
    """A measured process failed; says what it printed last."""


@dataclass(frozen=True, slots=True)
class Case:
    """One figure, in the form of the results' file.

    Attributes:
        case: what was run.
        figure: what was measured.
        value: the median; None where it could not be measured.
        low: the lowest of several; None of a single one.
        high: the highest.
        n: measurements.
        unit: of the value.
        better: which way is better.
        goal: the figure to reach, or None.
    """

    case: str
    figure: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    better: Literal["higher", "lower"]
    goal: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Its line in the results."""
        return asdict(self)

    @property
    def missed(self) -> bool:
        """Whether there is a goal that the value does not reach."""
        if self.goal is None or self.value is None:
            return False
        return self.value < self.goal if self.better == "higher" else self.value > self.goal


@dataclass(frozen=True, slots=True)
class Child:
    """A process that has ended.

    Attributes:
        code: exit status.
        started: monotonic time just before it was started.
        wall: seconds.
        cpu: seconds of CPU, user and system, its own children's included.
        peak: most memory of it or one of its own children, in MB.
        out: what it printed on stdout.
        err: what it printed on stderr.
    """

    code: int
    started: float
    wall: float
    cpu: float
    peak: float
    out: str
    err: str

    def result(self) -> dict[str, Any]:
        """The JSON object that it printed last."""
        if self.code != 0:
            raise BenchError(f"exit {self.code}: {self.err[-2000:] or self.out[-2000:]}")
        # What logs from a thread may come after it.
        lines = [line for line in self.out.splitlines() if line.startswith("{")]
        if not lines:
            raise BenchError(f"no result: {self.out[-2000:]}")
        found: dict[str, Any] = json.loads(lines[-1])
        return found


def run_child(
    command: Sequence[str | Path], folder: Path, limit: float, **environment: str
) -> Child:
    """Run a process to its end and measure it.

    It gets a session of its own, so that whoever it starts can be ended with it.

    Args:
        command: the program and its arguments.
        folder: where its output is kept while it runs.
        limit: seconds after which it is ended.
        environment: further variables.
    """
    out, err = folder / "stdout", folder / "stderr"
    with out.open("wb") as to_out, err.open("wb") as to_err:
        started = time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=to_out,
            stderr=to_err,
            env={**os.environ, **ENVIRONMENT, **environment},
            start_new_session=True,
        )
        try:
            code, usage = _wait(process, started + limit)
        except BaseException:
            _end_session(process)
            raise
    return Child(
        code=code,
        started=started,
        wall=time.monotonic() - started,
        cpu=usage.ru_utime + usage.ru_stime,
        peak=usage.ru_maxrss / 1024,
        out=out.read_text(errors="replace"),
        err=err.read_text(errors="replace"),
    )


def _wait(process: subprocess.Popen[bytes], until: float) -> tuple[int, Any]:
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage
        if time.monotonic() > until:
            raise BenchError(f"{process.args[0]} had not ended in time")  # type: ignore[index]
        time.sleep(0.01)


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """End a process and whoever it started: they are the session that was made for it."""
    for name in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, name)
        except ProcessLookupError:
            return
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            continue


class ServerProcess:
    """`server.py` in a process of its own; a context manager."""

    def __enter__(self) -> ServerProcess:
        self._process = subprocess.Popen(
            [sys.executable, HERE / "server.py"],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("ready "):
            raise BenchError("the server did not start")
        self.url = line.split()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def reset(self, **settings: Any) -> None:
        """Clear the counts; settings that are not given are the server's defaults."""
        fresh = {"latency": 0.05, "limit": 0, "over": "queue", "fault_share": 0.0, **settings}
        self._ask("/reset", json.dumps(fresh).encode())

    def stats(self) -> dict[str, Any]:
        """What it has counted since."""
        found: dict[str, Any] = json.loads(self._ask("/stats"))
        return found

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(self.url + path, body, timeout=30) as answer:
            read: bytes = answer.read()
            return read


def window(stats: dict[str, Any]) -> float:
    """Seconds from the server's first request to its last response."""
    return float(stats["last_response"] - stats["first_request"])


def write_prompts(path: Path, rows: int) -> None:
    """Distinct prompts of about 200 characters, the same ones each time."""
    with path.open("w", encoding="utf-8") as file:
        for index in range(rows):
            # A generator a row: the first N of more rows are those of N rows.
            words = random.Random(index).choices(WORDS, k=34)
            text = f"{index}: " + " ".join(words) + "?"
            file.write(json.dumps({"id": f"p{index:06d}", "prompt": text}) + "\n")


def write_recipe(folder: Path, url: str, rows: int, **run: Any) -> Path:
    """The benchmark's recipe, and its prompts beside it; JSON is YAML."""
    write_prompts(folder / "prompts.jsonl", rows)
    model = {"llm": "openai", "model": MODEL, "base_url": f"{url}/v1", "max_tokens": MAX_TOKENS}
    recipe = {
        "schema_version": 1,
        "name": "bench",
        "seed": 7,
        "constitution": "hhh",
        "prompts": {"path": str(folder / "prompts.jsonl"), "test_fraction": 0.1},
        "models": {"generator": model},
        "sft": {"rounds": 1, "principles": "round-robin"},
        "preference": False,
        "publish": {"repo": "bench/engine"},
        "run": {"in_flight": IN_FLIGHT, **run},
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe, indent=2), encoding="utf-8")
    return path


def read_prompts(path: Path) -> list[str]:
    """The texts of `write_prompts`."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line)["prompt"] for line in file]


def requests_of_principles() -> list[tuple[str, str]]:
    """Each principle's critique and revision request, from the constitution of the recipe."""
    from charter.constitutions import find_constitution, load_constitution

    constitution = load_constitution(find_constitution("hhh"))
    return [(principle.critique, principle.revision) for principle in constitution.principles]
