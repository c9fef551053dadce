"""Entries dropped for good: which, and when the file is held."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pytest
from caches import change, filled, held_by, key, silent, some

from charter.errors import InputError
from charter.models import cache_prune
from charter.models.cache_prune import Which, age, prune
from charter.models.call import Answer


def aged(tmp_path):
    """Ten entries of each of two models, made at 0, 1, 2, ... days ago."""
    path = filled(tmp_path / "c.sqlite", some(10), "a")
    filled(path, some(10, 100), "b")
    filled(path, {key("bad"): Answer(error="down")}, "a")
    for i in range(10):
        for k in (key(i), key(100 + i)):
            change(path, "UPDATE calls SET made = ? WHERE key = ?", time.time() - i * 86400 - 60, k)
    return path


def run_folder(folder, keys, tail=b""):
    folder.mkdir(parents=True)
    (folder / "state.json").write_text("{}")
    (folder / "calls.keys").write_bytes(b"".join(keys) + tail)


def test_criteria_combine_by_and(tmp_path):
    path = aged(tmp_path)
    which = Which(before=age("5d"), model="a")
    would = prune(path, which, True, silent)
    assert (would.pruned, would.kept) == (5, 15)
    assert len(held_by(path, [*some(10), *some(10, 100)])) == 20
    did = prune(path, which, False, silent)
    assert (did.pruned, did.kept, did.held) == (5, 15, False)
    assert set(held_by(path, some(10))) == {key(i) for i in range(5)}
    assert len(held_by(path, some(10, 100))) == 10
    assert prune(path, which, False, silent).pruned == 0


def test_what_runs_refer_to_is_kept(tmp_path):
    path = aged(tmp_path)
    runs = tmp_path / "out" / "runs"
    run_folder(runs / "one", [key(0), key(1), key(1), key("unknown")])
    run_folder(runs / "two", [key(105)], key(7)[:31])  # killed while it wrote
    (runs / "notes").mkdir()
    did = prune(path, Which(runs=(runs,)), False, silent)
    assert did.pruned == 16
    assert set(held_by(path, [*some(10), *some(10, 100)])) == {
        key(0),
        key(1),
        key(105),
        key(7),
    }
    assert prune(path, Which(runs=(runs / "one",)), True, silent).pruned == 2


def test_runs_of_which_nothing_is_known_are_a_fault(tmp_path):
    path = aged(tmp_path)
    runs = tmp_path / "runs"
    run_folder(runs / "one", [key(0)])
    run_folder(runs / "old", [])
    (runs / "old" / "calls.keys").unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        prune(path, Which(runs=(runs, tmp_path / "none", tmp_path / "empty")), False, silent)
    assert [(fault.place, fault.what) for fault in caught.value.faults] == [
        (str(runs / "old"), "the run has no calls.keys: which answers it needs is not known"),
        (str(tmp_path / "none"), "no such folder"),
        (str(tmp_path / "empty"), "no run in this folder"),
    ]
    assert len(held_by(path, some(10))) == 10


def test_failures_are_pruned_by_themselves(tmp_path):
    path = aged(tmp_path)
    assert prune(path, Which(failures=True, model="b"), False, silent).pruned == 0
    assert prune(path, Which(failures=True, before=age("1d")), False, silent).pruned == 0
    assert prune(path, Which(failures=True), False, silent).pruned == 1
    assert len(held_by(path, some(10))) == 10


def test_space_is_given_back_unless_another_process_holds_the_file(tmp_path, monkeypatch):
    path = filled(tmp_path / "c.sqlite", some(2000))
    monkeypatch.setattr(cache_prune, "_VACUUM_WAIT", 0.05)
    monkeypatch.setattr(cache_prune, "_STEP", 300)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM calls").fetchone()
        did = prune(path, Which(before=time.time() + 5), False, silent)
        assert did.held and (did.pruned, did.kept) == (2000, 0)
    filled(path, some(3))
    did = prune(path, Which(model="m"), False, silent)
    assert not did.held and did.pruned == 3
    assert path.stat().st_size < 50_000


def test_space_is_given_back_another_time_while_another_process_writes(tmp_path, monkeypatch):
    path = filled(tmp_path / "c.sqlite", some(3))
    monkeypatch.setattr(cache_prune, "_VACUUM_WAIT", 0.05)
    with closing(sqlite3.connect(path)) as other, closing(sqlite3.connect(path)) as db:
        other.execute("BEGIN IMMEDIATE")
        assert not cache_prune._vacuum(db)
        other.rollback()
        assert cache_prune._vacuum(db)


def test_ages():
    assert age("30d", 1e9) == 1e9 - 30 * 86400
    assert age("12h", 1e9) == 1e9 - 12 * 3600
    for text in ("", "d", "30", "-3d", "3 d", "3y", "²d", "1.5d"):
        with pytest.raises(ValueError):
            age(text)
