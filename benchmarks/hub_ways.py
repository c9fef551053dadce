"""What the Hub's benchmark runs in processes of their own, each of which prints its figures.

    python benchmarks/hub_ways.py NAME '{"folder": ..., ...}'

Not run by hand; see `hub.py`. The clients read `HF_ENDPOINT` when they are imported, so the parent
sets it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

__all__ = ["WAYS"]

REPO: Final = "bench/rows"
Given = dict[str, Any]


def make(given: Given) -> dict[str, float]:
    """The rows of the first version, as Charter stores them and as `datasets` maps them."""
    import hub_rows

    folder, started = Path(given["folder"]), time.monotonic()
    hub_rows.made(folder / "first", given["rows"])
    splits = hub_rows.splits_of(hub_rows.stored(folder / "first"))
    hub_rows.plain(folder / "plain", folder / "first", splits)
    pairs = sum(path.stat().st_size for path in folder.glob("plain/preference-*"))
    every = sum(path.stat().st_size for path in folder.glob("plain/*"))
    return {"seconds": time.monotonic() - started, "pairs": pairs, "bytes": every}


def change(given: Given) -> dict[str, float]:
    """The rows of a second version."""
    import hub_rows
    from hub_plan import CHANGES

    (wanted,) = (each for each in CHANGES if each.name == given["change"])
    hub_rows.change(wanted, Path(given["folder"]) / "first", Path(given["to"]))
    return {}


def write(given: Given) -> dict[str, float]:
    """Bare pyarrow: each split of each config to a parquet file, pages cut by content."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = Path(given["to"])
    target.mkdir(parents=True)
    started = time.monotonic()
    for path in sorted(Path(given["folder"]).glob("plain/*.arrow")):
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as read:
            table = read.read_all()
        pq.write_table(
            table,
            target / f"{path.stem}.parquet",
            compression="zstd",
            row_group_size=8192,
            use_content_defined_chunking=True,
        )
    seconds = time.monotonic() - started
    return {"seconds": seconds, "bytes": sum(path.stat().st_size for path in target.iterdir())}


def push(given: Given) -> dict[str, float]:
    """Bare `push_to_hub` of each of some configs, with their splits."""
    from datasets import Dataset, DatasetDict

    found: dict[str, Any] = {config: DatasetDict() for config in given["configs"]}
    for path in sorted(Path(given["folder"]).glob("plain/*.arrow"), reverse=True):
        config, split = path.stem.split("-")
        if config in found:
            found[config][split] = Dataset.from_file(str(path))
    started = time.monotonic()
    for config, splits in found.items():
        splits.push_to_hub(REPO, config_name=config)
    return {"seconds": time.monotonic() - started}


def publish(given: Given) -> dict[str, float]:
    """Ours; where the time goes is told apart by timing the functions of its stages."""
    # As `charter` does when it starts; Arrow reads them when it is imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "narenas:1")
    import hub_rows
    from huggingface_hub import HfApi  # noqa: F401  imported before the clock, as with `datasets`

    from charter.hub import content, push
    from charter.hub.push import publish_hub

    rows = hub_rows.stored(Path(given["rows"]))
    draft = hub_rows.draft(REPO, rows, hub_rows.splits_of(rows))
    took: dict[str, float] = {}
    timed(took, push, "content_of", "checked")
    timed(took, content, "write_data", "written")
    timed(took, push, "built", "card")
    timed(took, push._Push, "_commit", "sent")
    timed(took, push, "make_tag", "tagged")
    started = time.monotonic()
    published = publish_hub(draft, Path(given["store"]))
    total = time.monotonic() - started
    checked = took["checked"] - took["written"]
    size = sum(path.stat().st_size for path in published.path.rglob("*.parquet"))
    return {
        "total": total,
        "gate": checked,
        "seconds": total - checked,
        "written": took["written"],
        "card": took["card"],
        "sent": took["sent"] + took["tagged"],
        "bytes": size,
        "version": str(published.path),  # type: ignore[dict-item]
    }


def timed(took: dict[str, float], where: Any, name: str, called: str) -> None:
    """Sum up the seconds that a function takes, from now on."""
    inner: Callable[..., Any] = getattr(where, name)

    def outer(*args: Any, **kw: Any) -> Any:
        with clock(took, called):
            return inner(*args, **kw)

    setattr(where, name, outer)


@contextmanager
def clock(took: dict[str, float], called: str) -> Iterator[None]:
    """Add the seconds of the block."""
    started = time.monotonic()
    try:
        yield
    finally:
        took[called] = took.get(called, 0.0) + time.monotonic() - started


def splits(given: Given) -> dict[str, float]:
    """Near-duplicates among the prompts: what the splits, and so the gate, rest on."""
    import hub_rows

    from charter.hub.splits import assign_splits

    rows = hub_rows.stored(Path(given["folder"]) / "first")["preference"]
    prompts: list[tuple[str, str]] = []
    for batch in rows.batches("prompt_id", "prompt"):
        texts = batch.column("prompt").flatten().field("content").to_pylist()
        prompts += zip(batch.column("prompt_id").to_pylist(), texts, strict=True)
    started = time.monotonic()
    assign_splits(prompts, test_fraction=0.05)
    return {"seconds": time.monotonic() - started}


def chunks(given: Given) -> dict[str, Any]:
    """What is new to a store in each of the second versions, by one way of writing parquet."""
    import hub_chunks
    from hub_plan import LAYOUTS

    (how,) = (each for each in LAYOUTS if each.name == given["layout"])
    folder = Path(given["folder"])
    seconds = {name: Path(path) for name, path in given["seconds"].items()}
    return hub_chunks.measured(folder / "first", seconds, how)


WAYS: Final[dict[str, Callable[[Given], dict[str, Any]]]] = {
    way.__name__: way for way in (make, change, write, push, publish, splits, chunks)
}


if __name__ == "__main__":
    print(json.dumps(WAYS[sys.argv[1]](json.loads(sys.argv[2]))))
