from __future__ import annotations

import errno
import hashlib
import os
import random
import signal
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.hub import data
from charter.hub.data import Layout, Measured, SplitFile, _row_bytes, write_data
from charter.hub.part import Part
from charter.hub.same_rows import same_rows
from charter.hub.schema import CONFIGS
from charter.hub.stored import StoredRows

SCHEMA = CONFIGS["judgments"]
GROUPS = [28, 81, 114, 136, 159, 197, 264, 289, 311, 350, 397, 399]


def _table(n: int, seed: int = 1) -> pa.Table:
    """Votes with texts of very different lengths, and nulls."""
    draw = random.Random(seed)
    row = dict.fromkeys(SCHEMA.names, "é") | {"prompt_tokens": 1, "completion_tokens": 2}
    row |= {"sample": 0, "score_a": 0.5, "score_b": -0.5}
    return pa.Table.from_pylist(
        [
            row
            | {
                "comparison_id": f"p{i}",
                "prompt_id": f"p{i}",
                "raw": "x" * int(3 ** draw.uniform(0, 6)),
            }
            | {"p_a": draw.choice([None, 0.5]), "rationale": draw.choice([None, "why"])}
            for i in range(n)
        ],
        SCHEMA,
    )


def _write(table: pa.Table, path: Path, cuts: list[int], bitmaps: int = 2) -> data.DataFile:
    with SplitFile(path, table.schema, table.num_rows, bitmaps) as file:
        edges = [0, *sorted(cut for cut in cuts if 0 < cut < table.num_rows), table.num_rows]
        for start, end in pairwise(edges):
            for batch in table.slice(start, end - start).to_batches():
                file.add(Measured.of(Part("judgments", batch, {})), np.ones(len(batch), bool))
    return file.done()


def _bytes_of(table: pa.Table) -> Any:
    return sum(_row_bytes(table.column(name).combine_chunks()) for name in table.column_names)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 300),
    st.lists(st.integers(1, 299), max_size=8),
    st.integers(0, 9),
    st.sampled_from([400, 3000, 20_000]),
)
def test_row_groups_are_those_of_one_table_however_the_rows_arrive(
    tmp_path_factory: Any, n: int, cuts: list[int], seed: int, limit: int
) -> None:
    folder = tmp_path_factory.mktemp("groups")
    table = _table(n, seed)
    bitmaps = sum(table.column(name).null_count > 0 for name in ("p_a", "rationale"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "_GROUP_BYTES", limit)
        written = _write(table, folder / "cut", cuts, bitmaps)
        whole = _write(table, folder / "whole", [], bitmaps)
    assert (folder / "cut").read_bytes() == (folder / "whole").read_bytes()
    assert (written.sha256, written.size, written.memory) == (
        whole.sha256,
        (folder / "cut").stat().st_size,
        table.nbytes,
    )
    groups = pq.ParquetFile(folder / "cut").metadata
    sizes = [groups.row_group(i).num_rows for i in range(groups.num_row_groups)]
    edges = np.concatenate([[0], np.cumsum(sizes)])
    held = [int(rows.sum()) for rows in np.split(_bytes_of(table), edges[1:-1])]
    assert all(each >= limit for each in held[:-1])
    rows = _bytes_of(table)
    assert all(each - rows[end - 1] < 4 * limit for each, end in zip(held, edges[1:], strict=True))
    assert pq.read_table(folder / "cut").equals(table)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=12),
    st.integers(1, 90),
    st.integers(0, 9),
)
def test_rows_that_a_mask_names_are_written_as_if_there_were_no_others(
    tmp_path_factory: Any, runs: list[tuple[int, bool]], size: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("masks")
    mask = np.repeat([wanted for _, wanted in runs], [rows for rows, _ in runs])
    table = _table(len(mask), seed)
    alone = table.filter(pa.array(mask))
    bitmaps = sum(alone.column(name).null_count > 0 for name in ("p_a", "rationale"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "_GROUP_BYTES", 2000)
        whole = _write(alone, folder / "alone", [], bitmaps)
        with SplitFile(folder / "masked", SCHEMA, len(alone), bitmaps) as file:
            for at, batch in enumerate(table.to_batches(size)):
                rows = Measured.of(Part("judgments", batch, {}))
                file.add(rows, mask[at * size : (at + 1) * size])
    assert (file.done().sha256, file.done().memory) == (whole.sha256, whole.memory)


def test_the_layout_of_the_same_rows_is_what_it_always_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has versions of an older Charter gets the same bytes for the same rows from this."""
    monkeypatch.setattr(data, "_GROUP_BYTES", 4000)
    table = _table(400)
    path = _write(table, tmp_path / "file", []).path
    places = {name: row for row, name in enumerate(table["prompt_id"].to_pylist())}
    assert [places[end] for end in _ends(path)] == GROUPS
    with pq.ParquetFile(path) as file:
        group = file.metadata.row_group(0)
    for each in map(group.column, range(group.num_columns)):
        assert (each.compression, each.has_dictionary_page) == ("ZSTD", False)
        assert each.is_stats_set and each.has_offset_index and each.has_column_index


def test_within_a_group_pages_away_from_a_change_are_the_same_bytes(tmp_path: Path) -> None:
    draw = random.Random(1)
    texts = pa.array(["".join(draw.choices("abcdefgh", k=3000)) for _ in range(1500)])
    table = _table(1500).set_column(SCHEMA.get_field_index("raw"), SCHEMA.field("raw"), texts)
    first = _write(table, tmp_path / "first", []).path.read_bytes()
    dropped = pa.concat_tables([table.slice(0, 3), table.slice(4)])
    second = _write(dropped, tmp_path / "second", []).path.read_bytes()
    assert len(_ends(tmp_path / "first")) == 1
    middle = len(first) // 2
    assert first[middle : middle + 50_000] in second


def test_groups_away_from_a_change_stay_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_GROUP_BYTES", 20_000)
    table = _table(3000)
    first = _ends(_write(table, tmp_path / "first", []).path)
    assert len(first) > 10
    for name, changed in {
        "dropped": pa.concat_tables([table.slice(0, 3), table.slice(4)]),
        "appended": pa.concat_tables([table, _table(1, 5)]),
        "block": pa.concat_tables([table.slice(0, 1000), table.slice(1200)]),
    }.items():
        second = _ends(_write(changed, tmp_path / name, []).path)
        gone = {end for end in first if 1000 <= int(end[1:]) < 1200} if name == "block" else set()
        assert len(set(first) - set(second) - gone) <= 3, name


def _ends(path: Path) -> list[str]:
    """The prompt at the end of each row group."""
    with pq.ParquetFile(path) as file:
        return [
            file.read_row_group(i, ["prompt_id"]).column(0)[-1].as_py()
            for i in range(file.num_row_groups)
        ]


def test_bytes_of_rows_are_those_of_arrow(make_draft: Any) -> None:
    for config, rows in make_draft().rows.items():
        for field in CONFIGS[config]:
            array = pa.array([row[field.name] for row in rows], field.type)
            bitmap = (len(array) + 7) // 8
            bits = bitmap * (pa.types.is_boolean(field.type) + (array.null_count > 0))
            assert _row_bytes(array).sum() + bits == array.nbytes, field
            assert _row_bytes(array.slice(1, 2)).tolist() == _row_bytes(array)[1:3].tolist()


def test_rows_are_compared_across_the_groups_of_two_files(tmp_path: Path) -> None:
    table = _table(5000)
    pq.write_table(table, tmp_path / "one", row_group_size=700)
    pq.write_table(table, tmp_path / "same", row_group_size=5000, compression="gzip")
    assert same_rows(tmp_path / "one", tmp_path / "same")
    for name, other in {
        "shorter": table.slice(0, 4999),
        "last": pa.concat_tables([table.slice(0, 4999), _table(1, 7)]),
        "order": pa.concat_tables([table.slice(1), table.slice(0, 1)]),
        "columns": table.rename_columns(["id", *SCHEMA.names[1:]]),
    }.items():
        pq.write_table(other, tmp_path / name)
        assert not same_rows(tmp_path / "one", tmp_path / name), name


def test_a_file_is_hashed_as_it_is_written_and_never_written_over(tmp_path: Path) -> None:
    table = _table(10)
    written = _write(table, tmp_path / "some" / "file", [])
    assert written.sha256 == hashlib.sha256(written.path.read_bytes()).hexdigest()
    with pytest.raises(FileExistsError):
        _write(table, tmp_path / "some" / "file", [])


def test_rows_that_do_not_come_are_a_fault(tmp_path: Path) -> None:
    (batch,) = _table(10).to_batches()
    rows = Measured.of(Part("judgments", batch, {}))
    with (
        pytest.raises(AssertionError, match="not the rows of the layout"),
        SplitFile(tmp_path / "file", SCHEMA, 11, 0) as file,
    ):
        file.add(rows, np.ones(10, bool))


def test_a_write_that_failed_is_told_though_later_ones_did_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_GROUP_BYTES", 2000)
    inner, failing = data._HashedFile.write, [OSError(errno.ENOSPC, "No space left on device")]

    def write(self: Any, given: Any) -> int:
        if failing and self.size > 1000:
            raise failing.pop()
        return inner(self, given)

    monkeypatch.setattr(data._HashedFile, "write", write)
    with pytest.raises(OSError, match="No space left"):
        _write(_table(300), tmp_path / "file", [])


def test_each_split_has_its_rows_and_none_where_it_has_none(tmp_path: Path) -> None:
    table = _table(40)
    ids, lacking = table["prompt_id"].to_pylist(), table["p_a"].is_null().to_pylist()
    # A split without a null has one bitmap less, whatever the other one has.
    test = {name for name, lacks in zip(ids, lacking, strict=True) if lacks}
    for folder, splits in {
        "both": {name: "test" if name in test else "train" for name in ids},
        "test alone": dict.fromkeys(ids, "test"),
    }.items():
        (batch,) = table.to_batches()
        layout = Layout()
        layout.see(Part("judgments", batch, splits))
        rows = {"judgments": StoredRows("judgments", 40, (), (batch,))}
        files = write_data(rows, splits, layout, tmp_path / folder)["judgments"]
        assert set(files) == set(splits.values())
        for split, file in files.items():
            wanted = table.filter(pa.array([splits[name] == split for name in ids]))
            wanted = pa.Table.from_pylist(wanted.to_pylist(), SCHEMA)
            assert pq.read_table(file.path).equals(wanted)
            assert (file.rows, file.memory) == (len(wanted), wanted.nbytes), (folder, split)


def _many(batch: pa.RecordBatch, read: list[int], interrupted_at: int = -1) -> Any:
    """A batch 5,000 times; `read` gets the number of each that was taken."""
    for number in range(5_000):
        read.append(number)
        if number == interrupted_at:
            os.kill(os.getpid(), signal.SIGINT)
        yield batch


def test_where_one_config_cannot_be_written_the_others_end(tmp_path: Path) -> None:
    (batch,) = _table(100).to_batches()
    read: list[int] = []
    reject = dict.fromkeys(CONFIGS["rejects"].names, "x")
    rejects = pa.RecordBatch.from_pylist([reject], CONFIGS["rejects"])
    layout = Layout()
    layout.see(Part("judgments", batch, {}))
    layout.see(Part("rejects", rejects, {}))
    (tmp_path / "rejects").write_text("in the way")
    rows = {
        "judgments": StoredRows("judgments", 100, (), _many(batch, read)),
        "rejects": StoredRows("rejects", 1, (), (rejects,)),
    }
    with pytest.raises(FileExistsError):
        write_data(rows, {}, layout, tmp_path)
    assert len(read) < 5_000


def test_an_interrupt_ends_them_all(tmp_path: Path) -> None:
    (batch,) = _table(100).to_batches()
    read: list[int] = []
    layout = Layout()
    layout.see(Part("judgments", batch, {}))
    rows = {"judgments": StoredRows("judgments", 100, (), _many(batch, read, 10))}
    signal.siginterrupt(signal.SIGINT, True)  # as under `charter`: see charter.cli.interrupts
    with pytest.raises(KeyboardInterrupt):
        write_data(rows, {}, layout, tmp_path)
    assert 10 < len(read) < 5_000
    assert not [each.name for each in threading.enumerate() if "ThreadPool" in each.name]
