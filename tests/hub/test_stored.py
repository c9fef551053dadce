from __future__ import annotations

import copy
import enum
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.hub import Draft, publish_local, stored
from charter.hub.columns import _row_faults, _type_check, some
from charter.hub.gate import check_rows
from charter.hub.schema import CONFIGS, NULLABLE
from charter.hub.stored import RowWriter, StoredRows, stored_rows
from charter.rows import Verdict

Rows = dict[str, list[dict[str, Any]]]


class _Kind(str, enum.Enum):  # noqa: UP042  an enum whose str() is not its text
    A = "A"


class _List(list[Any]):
    pass


# What fits one column or another, nearly fits, or fits none.
ODD = st.sampled_from(
    [
        *(None, True, 0, 1, 1.0, 0.75, -0.5, math.nan, math.inf, 10**400, 2**53 + 1),
        *(2**31 - 1, 2**31, -(2**31), -(2**31) + 1, b"x", "", "é", "\ud800", "A", _Kind.A),
        *(Verdict.TIE, [], (), [None], [1], ["kind"], ("kind",), "kind", {}, [{}], {"a": 1}),
        [{"role": "user", "content": "x"}],
        ({"role": "user", "content": "x"},),
        _List([MappingProxyType({"role": "user", "content": "x"})]),
        [{"role": "user", "content": None}],
        [{"role": "user"}],
        [{"role": "user", "content": "x", "name": "y"}],
        [{"principle_id": "a", "critique": "b", "revision": "c", "model": "d"}],
    ]
)
PLACES = st.sampled_from(
    [(c, name) for c, schema in CONFIGS.items() if c != "reviews" for name in schema.names]
)
SPOILS = st.lists(st.tuples(PLACES, st.integers(0, 30), ODD, st.sampled_from("sssda")), max_size=5)


def _spoilt(rows: Rows, spoils: Sequence[tuple[tuple[str, str], int, Any, str]]) -> Rows:
    rows = copy.deepcopy(rows)
    for (config, name), at, value, how in spoils:
        row = rows[config][at % len(rows[config])]
        if how == "s":
            row[name] = value
        elif how == "d":
            row.pop(name, None)
        else:
            row[f"{name}_"] = value
    return rows


def _written(folder: Path, rows: Rows) -> dict[str, StoredRows]:
    with RowWriter(folder) as writer:
        for config, each in rows.items():
            writer.declare(config)
            for row in each:
                writer.add(config, [row])
    return writer.stored()


def _one_by_one(rows: Rows) -> list[str]:
    """The faults of the columns, found without looking at columns."""
    told = []
    for config, each in rows.items():
        fits = {field.name: _type_check(field.type) for field in CONFIGS[config]}
        wrong: dict[str, list[str]] = {}
        for at, row in enumerate(each):
            for what in _row_faults(row, fits, NULLABLE[config]):
                wrong.setdefault(what, []).append(str(at))
        told += [f"{config}: {what} in row {some(where)}" for what, where in wrong.items()]
    return told


@settings(max_examples=100, deadline=None)
@given(SPOILS, st.sampled_from([1, 3, 128]))
def test_rows_are_checked_and_kept_alike_from_a_list_and_from_disk(
    make_draft: Any, tmp_path_factory: Any, spoils: Any, first: int
) -> None:
    draft = make_draft()
    rows = _spoilt(draft.rows, spoils)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "_FIRST_ROWS", first)
        patch.setattr(stored, "_BATCH_ROWS", max(first, 2))
        written = _written(tmp_path_factory.mktemp("rows"), rows)
    results = check_rows(rows, draft.splits, draft.ledgers)
    assert check_rows(written, draft.splits, draft.ledgers) == results
    faults = _one_by_one(rows)
    assert [problem for each in written.values() for problem in each.problems] == faults
    assert results[0].passed is not bool(faults)
    assert [len(each) for each in written.values()] == [len(each) for each in rows.values()]
    for config, each in written.items():
        if not each.problems:
            assert _read(each) == pa.Table.from_pylist(
                [_as_plain(row) for row in rows[config]], CONFIGS[config]
            )
            assert stored_rows(rows)[config].first() == each.first()


def _read(rows: StoredRows) -> pa.Table:
    return pa.Table.from_batches(rows.batches(), CONFIGS[rows.config]).combine_chunks()


def _as_plain(value: Any) -> Any:
    if isinstance(value, (dict, MappingProxyType)):
        return {name: _as_plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_plain(each) for each in value]
    return value.value if isinstance(value, enum.Enum) else value


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("README.md", "charter.json")
    }


def test_a_version_is_the_same_bytes_however_its_rows_arrive(
    make_draft: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = make_draft(test=("p3", "p4"))
    listed = publish_local(draft, tmp_path / "listed")
    for size in (1, 2, 5):
        monkeypatch.setattr(stored, "_FIRST_ROWS", size)
        monkeypatch.setattr(stored, "_BATCH_ROWS", size)
        rows = _written(tmp_path / f"rows{size}", draft.rows)
        other = publish_local(Draft(**{**vars(draft), "rows": rows}), tmp_path / f"stored{size}")
        assert _files(other.path) == _files(listed.path)
        assert other.manifest.figures == listed.manifest.figures
        assert not publish_local(Draft(**{**vars(draft), "rows": rows}), tmp_path / "listed").new


def test_a_writer_says_what_was_asked_for_and_given(make_draft: Any, tmp_path: Path) -> None:
    rows = make_draft().rows
    writer = RowWriter(tmp_path / "rows")
    writer.declare("rejects")
    writer.add("sft", rows["sft"])
    writer.add("prefrence", [{}, {}])
    writer.add("preference", [])
    with pytest.raises(ValueError, match="when their writer is closed"):
        writer.stored()
    writer.close()
    writer.close()
    found = writer.stored()
    assert {config: len(each) for config, each in found.items()} == {
        "rejects": 0,
        "sft": 7,
        "prefrence": 2,
        "preference": 0,
    }
    assert found["prefrence"].problems == ('no config prefrence: did you mean "preference"?',)
    assert found["sft"].first() == rows["sft"][0]
    assert found["rejects"].first() is None
    assert list(found["rejects"].batches("ledger")) == []
    assert found["sft"].distinct("source") == ["made up"]
    assert found["sft"].distinct("prompt_id") == [row["prompt_id"] for row in rows["sft"]]
    assert [batch.schema.names for batch in found["sft"].batches("source", "id")] == [
        ["source", "id"]
    ]
    with pytest.raises(ValueError, match="closed"):
        writer.add("sft", rows["sft"])


def test_a_writer_that_is_left_by_an_error_stores_nothing(make_draft: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), RowWriter(tmp_path) as writer:
        writer.add("sft", make_draft().rows["sft"])
        raise RuntimeError("stop")
    with pytest.raises(ValueError, match="closed"):
        writer.stored()


def test_long_rows_make_small_batches(make_draft: Any, tmp_path: Path) -> None:
    row = {**make_draft().rows["sft"][0], "initial_response": "x" * (1 << 20)}
    rows = _written(tmp_path, {"sft": list(itertools.repeat(row, 160))})["sft"]
    sizes = [batch.num_rows for batch in rows.batches()]
    assert sum(sizes) == len(rows) == 160
    assert sizes[:2] == [128, 3]
    assert max(sizes[1:]) <= 4


def test_of_many_faults_the_first_are_named(make_draft: Any, tmp_path: Path) -> None:
    row = {**make_draft().rows["sft"][0], "source": None}
    rows = _written(tmp_path, {"sft": [row] * 3000})["sft"]
    assert rows.problems == ("sft: null in source in row 0, 1, 2, 3, 4 and 2995 more",)
    assert list(rows.batches()) == []
