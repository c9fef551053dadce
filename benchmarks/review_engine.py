"""The search engine alone, in the server's own environment: adding documents, and searching them.

    PYTHON-OF-THE-SERVER benchmarks/review_engine.py '{"folder": ..., "marks": [10000, ...]}'

Not run by hand; see `review.py`. The documents are two chats and a text of 160 words in all, with
the frequencies of a language (Zipf), metadata and a suggestion; they stand in a database as Argilla
writes it. Prints one JSON object.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
WORDS: Final = 30_000
BATCH: Final = 500  # as the server adds them
REPEATS: Final = 7
LIMIT: Final = 50


def prepare() -> None:
    """Give the engine's modules their names, as `inside/boot.py` does; charter is not here."""
    inside = ROOT / "review" / "embedded" / "inside"
    names = ("charter", "charter.review", "charter.review.embedded")
    for name in (*names, "charter.review.embedded.inside"):
        package = ModuleType(name)
        package.__path__ = [] if name in names else [str(inside)]
        sys.modules[name] = package
    sys.path.insert(0, str(ROOT / "tests" / "support"))


def fill(folder: Path, documents: int, words: list[str]) -> tuple[Any, list[str]]:
    """Argilla's database with so many records; it, and their ids."""
    from written_argilla import Written

    draw = random.Random(1)
    weights = list(accumulate(1 / (rank + 1) for rank in range(WORDS)))

    def text(k: int) -> str:
        return " ".join(draw.choices(words, cum_weights=weights, k=k))

    def said(k: int) -> list[dict[str, str]]:
        return [{"role": "user", "content": text(k)}]

    fields = {"prompt": "chat", "response": "chat", "principle": "text"}
    argilla = Written(folder / "argilla.db", fields, {"better": "label_selection"})
    for name in ("category", "share"):
        argilla.property(name)
    argilla.db.execute("BEGIN")
    ids = []
    for number in range(documents):
        shown = {"prompt": said(40), "response": said(60), "principle": text(60)}
        about = {"category": draw.choice("abcdefgh"), "share": draw.random()}
        record = argilla.record(shown, about, f"row-{number}")
        argilla.suggest(record, "better", draw.choice("AB"), draw.random(), "judge", "model")
        ids.append(record)
    argilla.db.execute("COMMIT")
    return argilla, ids


def vocabulary() -> list[str]:
    """Words, the most frequent first; all different."""
    draw, found = random.Random(2), dict[str, None]()
    while len(found) < WORDS:
        found["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 10)))] = None
    return list(found)


def searches(words: list[str]) -> dict[str, dict[str, Any]]:
    """What is searched for: name -> arguments of `IndexReader.search`."""
    from charter.review.embedded.inside.filters import OneOf, Scope
    from charter.review.embedded.inside.search import Text
    from charter.review.embedded.inside.sorting import Order

    most, middle, rare = words[0], words[100], words[20_000]
    wanted = OneOf(Scope("metadata", "category"), ["a", "b"])
    return {
        "the most frequent word": {"text": Text(most)},
        "a middling word": {"text": Text(middle)},
        "a rare word": {"text": Text(rare)},
        "two words": {"text": Text(f"{most} {middle}")},
        "a phrase": {"text": Text(f'"{most} {words[1]}"')},
        "a beginning of two letters": {"text": Text("ab*")},
        "a word, roughly": {"text": Text(f"{middle}~1")},
        "one field": {"text": Text(most, "response")},
        "filtered and sorted": {
            "text": Text(most),
            "wanted": wanted,
            "sort": [Order(Scope("metadata", "share"), True)],
        },
    }


def measure(folder: Path, marks: list[int], say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds and CPU seconds until each mark was reached; seconds of each search over all."""
    from charter.review.embedded.inside.index import IndexWriter
    from charter.review.embedded.inside.schema import open_index
    from charter.review.embedded.inside.search import IndexReader
    from charter.review.embedded.inside.source import open_source

    words = vocabulary()
    say(f"writing {marks[-1]:,} documents")
    argilla, ids = fill(folder, marks[-1], words)
    index, source = open_index(folder / "index.db"), open_source(argilla.path)
    writer = IndexWriter(index, source)
    writer.create_dataset(argilla.dataset)
    adding: dict[str, tuple[float, float]] = {}
    started, busy = time.perf_counter(), time.process_time()
    for start in range(0, len(ids), BATCH):
        writer.refresh(ids[start : start + BATCH])
        if start + BATCH in marks:
            took = (time.perf_counter() - started, time.process_time() - busy)
            adding[str(start + BATCH)] = took
    say("searching")
    reader = IndexReader(open_index(folder / "index.db"))
    searching: dict[str, list[float]] = {}
    hits: dict[str, int] = {}
    for name, wanted in searches(words).items():
        times = searching.setdefault(name, [])
        for _ in range(REPEATS):
            started = time.perf_counter()
            found = reader.search(argilla.dataset, limit=LIMIT, **wanted)
            times.append(time.perf_counter() - started)
        hits[name] = found.total
    size = (folder / "index.db").stat().st_size
    return {"adding": adding, "searching": searching, "hits": hits, "bytes": size}


def main() -> None:
    """Measure what the argument says."""
    given = json.loads(sys.argv[1])
    prepare()

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    print(json.dumps(measure(Path(given["folder"]), given["marks"], say)))


if __name__ == "__main__":
    main()
