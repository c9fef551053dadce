from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.hub import growing, pages, split_index, tally
from charter.hub import names as names_of
from charter.hub.split_index import Splits, known, moved, split_of

names = st.text(max_size=6)
tables = st.dictionaries(names, st.booleans(), max_size=30)


def _in_files(patch: pytest.MonkeyPatch) -> None:
    """Everything lies in files, and little is looked at before it is given back."""
    patch.setattr(growing, "SMALL", 8)
    patch.setattr(pages, "SMALL", 8)
    patch.setattr(names_of, "LOOKED_UP", 2)
    patch.setattr(names_of, "_BATCH", 3)
    patch.setattr(tally, "_HELD", 4)
    patch.setattr(split_index, "_BATCH", 3)


def _splits(table: dict[str, bool]) -> Splits:
    return Splits(table, list(table.values()))


@settings(max_examples=100, deadline=None)
@given(tables, st.lists(st.one_of(names, st.none()), max_size=20), st.booleans())
def test_it_is_as_a_dictionary(
    table: dict[str, bool], asked: list[str | None], in_files: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if in_files:
            _in_files(patch)
        _is_as_a_dictionary(table, asked)


def _is_as_a_dictionary(table: dict[str, bool], asked: list[str | None]) -> None:
    splits = _splits(table)
    plain = {name: "test" if test else "train" for name, test in table.items()}
    assert splits == plain and plain == splits and dict(splits) == plain
    assert list(splits) == list(plain) and len(splits) == len(plain)
    assert list(splits.items()) == list(plain.items())
    assert list(splits.values()) == list(plain.values())
    assert {**splits} == plain and splits.keys() == plain.keys()
    for name in [*asked, *table]:
        assert (name in splits) == (name in plain)
        assert splits.get(name, "no") == plain.get(name, "no")  # type: ignore[call-overload]
    every = [*asked, *table]
    assert known(splits, every).tolist() == [name in plain for name in every]
    assert known(plain, every).tolist() == [name in plain for name in every]
    assert split_of(splits, every) == [plain.get(str(name), "train") if name is not None else
                                       "train" for name in every]  # fmt: skip
    assert splits.cluster_of == {name: name for name in table}


@settings(max_examples=100, deadline=None)
@given(tables, st.lists(names, max_size=20))
def test_ids_with_one_hash_are_told_apart(table: dict[str, bool], asked: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Builtins are looked up in the module first.
        patch.setattr(names_of, "hash", lambda name: (len(name or "") % 2) << 32, raising=False)
        splits = _splits(table)
        plain = {name: "test" if test else "train" for name, test in table.items()}
        assert dict(splits) == plain
        every = [*asked, *table]
        assert known(splits, every).tolist() == [name in plain for name in every]
        assert split_of(splits, every) == [plain.get(name, "train") for name in every]
        if table:
            with pytest.raises(ValueError, match="twice"):
                Splits([*table, next(iter(table))], [*table.values(), False])


def test_what_is_no_mapping_of_ids_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        Splits(["a", "b", "a"], [True, False, True])
    with pytest.raises(ValueError, match="lengths"):
        Splits(["a", "b"], [True])
    with pytest.raises(KeyError, match="c"):
        Splits(["a"], [True])["c"]
    with pytest.raises(KeyError, match="c"):
        Splits(["a"], [True]).cluster_of["c"]


def test_changed_splits_leave_the_first_as_they_were() -> None:
    splits = Splits(["a", "b", "c"], [True, True, False], np.array([0, 0, 2]))
    moved = splits.in_train(np.array([0, 1]))
    assert dict(moved) == {"a": "train", "b": "train", "c": "train"}
    assert dict(splits) == {"a": "test", "b": "test", "c": "train"}
    assert splits.cluster_of == moved.cluster_of == {"a": "a", "b": "a", "c": "c"}
    splits.tests[:] = False
    splits.firsts[:] = 2
    assert splits["a"] == "test" and splits.cluster_of["b"] == "a"
    assert "3 prompts" in repr(splits)


def test_they_arrive_in_another_process_whose_hashes_are_others() -> None:
    splits = Splits([f"p{at}" for at in range(50)], [at % 3 == 0 for at in range(50)])
    script = (
        "import pickle, sys; splits = pickle.load(sys.stdin.buffer);"
        "assert all((splits[f'p{at}'] == 'test') == (at % 3 == 0) for at in range(50))"
    )
    done = subprocess.run([sys.executable, "-c", script], input=pickle.dumps(splits), check=False)
    assert done.returncode == 0


def test_a_prompt_takes_some_thirty_bytes() -> None:
    count = 50_000
    ids = [f"q{at:08d}" for at in range(count)]
    tests = [at % 20 == 0 for at in range(count)]
    gc.collect()
    arrow = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        splits = Splits(ids, tests)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    held += pa.total_allocated_bytes() - arrow
    assert 20 * count < held < 50 * count
    assert splits["q00000020"] == "test"


@settings(max_examples=100, deadline=None)
@given(tables, st.lists(names, max_size=20), st.booleans(), st.booleans())
def test_more_prompts_join_those_that_are_there(
    table: dict[str, bool], more: list[str], clustered: bool, in_files: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if in_files:
            _in_files(patch)
        firsts = np.zeros(len(table), np.int64) if clustered else None
        splits = Splits(table, list(table.values()), firsts)
        fresh = [name for name in dict.fromkeys(more) if name not in table]
        grown = splits.with_more(more, "test")
        assert dict(splits) == {name: "test" if test else "train" for name, test in table.items()}
        assert list(grown.items()) == [*splits.items(), *((name, "test") for name in fresh)]
        first = next(iter(table), "")
        there = {name: first if clustered else name for name in table}
        assert grown.cluster_of == {**there, **{name: name for name in fresh}}


@settings(max_examples=100, deadline=None)
@given(tables, tables, st.booleans(), st.booleans())
def test_a_prompt_has_moved_where_another_split_was_kept(
    now: dict[str, bool], before: dict[str, bool], one: bool, other: bool
) -> None:
    names = ["test" if test else "train" for test in now.values()]
    plain = dict(zip(now, names, strict=True))
    kept = {name: "test" if test else "train" for name, test in before.items()}
    wanted = [name for name in plain if name in kept and kept[name] != plain[name]]
    splits = _splits(now) if one else plain
    assert list(moved(splits, _splits(before) if other else kept)) == wanted


@settings(max_examples=100, deadline=None)
@given(tables, st.lists(st.lists(st.integers(-3, 30), max_size=12), max_size=6), st.booleans())
def test_whatever_was_asked_before_the_places_are_right(
    table: dict[str, bool], asked: list[list[int]], in_files: bool
) -> None:
    """In the order of the prompts, out of it, again, and with ids of none between."""
    with pytest.MonkeyPatch.context() as patch:
        if in_files:
            _in_files(patch)
        _places_are_right(_splits(table), table, asked)


def _places_are_right(splits: Splits, table: dict[str, bool], asked: list[list[int]]) -> None:
    every = list(table)
    for batch in asked:
        names = [every[at] if 0 <= at < len(every) else "no" if at % 2 else None for at in batch]
        there = [every.index(name) if name in table else -1 for name in names]
        assert splits.places(names).tolist() == there
        tests = [at >= 0 and table[every[at]] for at in there]
        assert splits.in_test(names).tolist() == tests
