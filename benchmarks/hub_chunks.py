"""How many bytes of a second version are new to a store that has the first one.

Counted by hf_xet itself: the client's own chunker and deduplication, writing into a store in a
local folder in place of the Hub's. Not run by itself; see `hub.py`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hf_xet
import hub_rows
from hub_plan import Written

from charter.hub import data
from charter.hub.data import Layout, write_data
from charter.hub.part import parts

__all__ = ["Put", "measured", "put", "written"]


@contextmanager
def _layout(how: Written) -> Iterator[None]:
    """Charter's own settings, changed while the block runs."""
    before = (data._OPTIONS, data._GROUP_BYTES)
    options: dict[str, Any] = {**data._OPTIONS, **how.options}
    pages = "use_content_defined_chunking"
    if how.pages is None:
        options[pages] = False
    elif how.pages:
        least, most = how.pages
        options[pages] = {**options[pages], "min_chunk_size": least, "max_chunk_size": most}
    data._OPTIONS, data._GROUP_BYTES = options, int(before[1] * how.group)
    try:
        yield
    finally:
        data._OPTIONS, data._GROUP_BYTES = before


def written(rows: Path, folder: Path, how: Written) -> list[Path]:
    """The data files of a version of these rows, as Charter writes them."""
    there = hub_rows.stored(rows)
    splits = hub_rows.splits_of(there)
    layout = Layout()
    for config, each in there.items():
        for part in parts(config, each, splits):
            layout.see(part)
    with _layout(how):
        files = write_data(there, splits, layout, folder)
    return [file.path for config in files.values() for file in config.values()]


@dataclass(frozen=True, slots=True)
class Put:
    """What a store took.

    Attributes:
        total: bytes of the files.
        new: those in chunks that it did not have, or that hf_xet sent again all the same.
        again: of these, what it had and sent again, since runs of fewer than some eight chunks
            are not worth a reference.
        chunks: of all files.
    """

    total: int
    new: int
    again: int
    chunks: int


def put(store: Path, paths: Sequence[Path]) -> Put:
    """Give files to a store in a folder, which is made if need be."""
    store.mkdir(parents=True, exist_ok=True)
    config = hf_xet.XetConfig().with_config("telemetry.enabled", False)
    commit = hf_xet.XetSession(config).new_upload_commit(endpoint=f"local://{store}")
    for path in paths:
        commit.start_upload_file(str(path), sha256=hf_xet.SKIP_SHA256)
    found = commit.wait_to_finish().dedup_metrics
    again = found.defrag_prevented_dedup_bytes
    return Put(found.total_bytes, found.new_bytes, again, found.total_chunks)


def measured(first: Path, seconds: Mapping[str, Path], how: Written) -> dict[str, dict[str, int]]:
    """For each second version what is new to a store that has the first; in bytes."""
    found: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory(prefix="chunks-", dir=first.parent) as name:
        folder = Path(name)
        old = written(first, folder / "first", how)
        full = folder / "full"
        one = put(full, old)
        for change, rows in seconds.items():
            store = shutil.copytree(full, folder / "store")
            two = put(store, written(rows, folder / "second", how))
            shutil.rmtree(store)
            shutil.rmtree(folder / "second")
            found[change] = {
                "first": one.total,
                "chunks": one.chunks,
                "total": two.total,
                "new": two.new,
                "again": two.again,
            }
    return found
