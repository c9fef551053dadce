"""Where the CPU of a call goes: each part of the engine alone, over the same few thousand calls.

    python benchmarks/parts.py --recipe recipe.yaml      a recipe of `engine.py`'s, server running

The rows are walked once with answers made in this process; then each part does its share for all
of their calls, several rounds over, and the CPU of the whole process is read (system time and a
library's own threads count). Prints one JSON object: part -> microseconds a call, one a round.

All that is known of Charter's inside stands in `Inside` and in the functions of `PARTS`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness import IN_FLIGHT
from server import ANSWER_WORDS, WORDS

from charter.models.build import build_llm, identity, load_llm
from charter.models.cache import CallCache, Entry
from charter.models.call import Answer
from charter.models.keys import Keys
from charter.pipeline import asking_steps, prompt_row
from charter.recipes import load_recipe, read_prompts
from charter.run.draft import row_maker
from charter.run.execute import label_row

ROUNDS = 3
# Entries that come to the cache together when 256 calls of 50 ms are in flight; and look-ups of
# rows that are replayed.
TOGETHER, REPLAYED = 16, 64


@dataclass(slots=True)
class Visit:
    """A row at a step: as it came, what the step asked, and the answers."""

    step: Any
    row: Any
    calls: Sequence[Any]
    answers: Sequence[Answer]


class Inside:
    """The parts of Charter that are measured, and what they work on."""

    def __init__(self, recipe: Path) -> None:
        self.loaded = load_recipe(recipe)
        self.prompts = read_prompts(self.loaded)
        settings = self.loaded.recipe.models.role("generator")
        self.keys = Keys(identity(settings))
        self.llm = build_llm(settings, self.loaded.recipe.run)
        load_llm(self.llm, settings.llm)
        self.visits, self.walked = self._walk()
        self.calls = [call for visit in self.visits for call in visit.calls]
        self.entries = [
            Entry(self.keys.key(call), "bench", answer)
            for visit in self.visits
            for call, answer in zip(visit.calls, visit.answers, strict=True)
        ]

    def _walk(self) -> tuple[list[Visit], list[Any]]:
        rows = [prompt_row(prompt) for prompt in self.prompts.prompts]
        visits = []
        for step in asking_steps(self.loaded):
            for place, row in enumerate(rows):
                calls = step.calls(row)
                answers = [_answer(self.keys.key(call)) for call in calls]
                visits.append(Visit(step, row, calls, answers))
                rows[place] = step.fold(row, answers)
        return visits, rows


def _answer(key: bytes) -> Answer:
    """An answer of the server's length."""
    words = itertools.islice(itertools.cycle(key), ANSWER_WORDS)
    text = " ".join(WORDS[byte] for byte in words)
    return Answer(text, {}, "stop", 300, ANSWER_WORDS)


def _groups(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


# The parts. Each is given a fresh folder, and gives back what is to be timed.


def _messages(inside: Inside, _: Path) -> Callable[[], None]:
    def work() -> None:
        for visit in inside.visits:
            visit.step.calls(visit.row)

    return work


def _key(inside: Inside, _: Path) -> Callable[[], None]:
    def work() -> None:
        for call in inside.calls:
            inside.keys.key(call)

    return work


def _put(inside: Inside, folder: Path) -> Callable[[], None]:
    def work() -> None:
        cache = CallCache(folder / "calls.sqlite")
        for group in _groups(inside.entries, TOGETHER):
            cache.put(group)
        cache.close()

    return work


def _get(inside: Inside, folder: Path, known: bool) -> Callable[[], None]:
    cache = CallCache(folder / "calls.sqlite")
    if known:
        cache.put(inside.entries)
        keys = [entry.key for entry in inside.entries]
    else:
        # As many others, so that a look-up goes as deep as in a run.
        cache.put([entry._replace(key=entry.key[::-1]) for entry in inside.entries])
        keys = [entry.key for entry in inside.entries]
    size = REPLAYED if known else TOGETHER

    def work() -> None:
        found = sum(len(cache.get(group)) for group in _groups(keys, size))
        assert found == (len(keys) if known else 0)

    return work


def _http(inside: Inside, _: Path) -> Callable[[], None]:
    async def ask() -> None:
        calls = iter(inside.calls)

        async def worker() -> None:
            for call in calls:
                await inside.llm.attempt(call)

        try:
            await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
        finally:
            await inside.llm.aclose()

    return lambda: _run(ask())


def _run(work: Coroutine[Any, Any, None]) -> None:
    """On the loop that a run takes."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        new_event_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(work)


def _fold(inside: Inside, _: Path) -> Callable[[], None]:
    def work() -> None:
        for visit in inside.visits:
            visit.step.fold(visit.row, visit.answers)

    return work


def _store(inside: Inside, folder: Path) -> Callable[[], None]:
    from charter.hub.stored import RowWriter

    label = label_row(inside.loaded)

    def work() -> None:
        with RowWriter(folder) as writer:
            add = row_maker(inside.loaded, inside.prompts, writer)
            for row in inside.walked:
                add(label(row))
        writer.stored()

    return work


# What each call of a first run costs, in the order in which it happens ...
PARTS: dict[str, Callable[[Inside, Path], Callable[[], None]]] = {
    "messages and seed": _messages,
    "cache key": _key,
    "cache get, not there": partial(_get, known=False),
    "HTTP and JSON": _http,
    "cache put": _put,
    "fold": _fold,
    "shaping and storing rows": _store,
}
# ... and what takes the place of HTTP and of the put in a second one.
REPLAY = {"cache get, there": partial(_get, known=True)}


def measure(inside: Inside) -> dict[str, list[float]]:
    """Microseconds of CPU a call, by part; one figure a round."""
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, part in {**PARTS, **REPLAY}.items():
            folder = Path(tempfile.mkdtemp(prefix="bench-part-"))
            try:
                work = part(inside, folder)
                gc.collect()
                before = time.process_time()
                work()
                spent = time.process_time() - before
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            found.setdefault(name, []).append(1e6 * spent / len(inside.calls))
    return found


def main() -> None:
    """Read the options, measure, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path, required=True)
    options = parser.parse_args()
    found = measure(Inside(options.recipe))
    print(json.dumps({"parts": found, "first_run": list(PARTS)}))


if __name__ == "__main__":
    main()
