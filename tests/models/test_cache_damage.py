"""The call cache on files that are damaged, another program's, or not to be written."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest
from cache_entries import entry, key

from charter.errors import Failure
from charter.models import cache as cache_module
from charter.models.cache import CallCache, Entry
from charter.models.call import Answer


def changed(path, sql, *values):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql, values)


def test_a_newer_cache_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "c.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE other (x); PRAGMA user_version=3")
    before = path.read_bytes()
    with pytest.raises(Failure, match="upgrade charter"):
        CallCache(path)
    assert path.read_bytes() == before


def test_a_cache_of_the_first_scheme_makes_room(tmp_path):
    path = tmp_path / "c.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "PRAGMA journal_mode=WAL; "
            "CREATE TABLE calls (key TEXT PRIMARY KEY, answer TEXT); PRAGMA user_version=1; "
            "INSERT INTO calls VALUES ('a', 'b')"
        )
    cache = CallCache(path)
    assert cache.set_aside == tmp_path / "c.sqlite.scheme-1"
    cache.put([Entry(b"k" * 32, "m", Answer("x"))])
    cache.close()
    with closing(sqlite3.connect(cache.set_aside)) as db:
        assert db.execute("SELECT * FROM calls").fetchall() == [("a", "b")]
    again = CallCache(path)
    assert again.set_aside is None and again.get([b"k" * 32])
    again.close()


@pytest.mark.parametrize("table", ["calls (x)", "other (x)"])
def test_another_programs_database_is_refused_and_left_alone(tmp_path, table):
    path = tmp_path / "c.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"CREATE TABLE {table}")
    before = path.read_bytes()
    with pytest.raises(Failure, match="no call cache"):
        CallCache(path)
    assert path.read_bytes() == before


def test_what_cannot_be_a_cache_is_a_failure_with_a_way_out(tmp_path):
    (tmp_path / "text").write_text("no database at all, but long enough to be looked at" * 99)
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "text", tmp_path / "folder", tmp_path / "text" / "c.sqlite"):
        with pytest.raises(Failure) as caught:
            CallCache(path)
        (fault,) = caught.value.faults
        assert fault.place == str(path) and fault.fix
    assert (tmp_path / "text").read_text().startswith("no database")


def many(count=120):
    """Entries of every kind: short, of several pages, packed, with labels."""
    made = {}
    for i in range(count):
        text = ["short", "ü" * 300, "x" * 3900, "packed \x00" * 900][i % 4] + str(i)
        labels = {"A": -0.25 * i, "B": float("-inf")} if i % 3 == 0 else {}
        made[key(i)] = Answer(text, labels, "stop", i, i * 300, seconds=i / 7)
    return made


def test_a_flipped_byte_never_makes_a_wrong_answer(tmp_path):
    answers = many()
    whole = tmp_path / "whole.sqlite"
    cache = CallCache(whole)
    cache.put(Entry(k, "m", answer) for k, answer in answers.items())
    cache.close()
    data = whole.read_bytes()
    draw = random.Random(11)
    # Half of the places in the file's first pages, where the tables and the tree are told of.
    places = [draw.randrange(len(data)) for _ in range(120)]
    places += [draw.randrange(8192) for _ in range(80)]
    outcomes = {"right": 0, "absent": 0, "failure": 0}
    path = tmp_path / "c.sqlite"
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= draw.randrange(1, 256)
        path.write_bytes(flipped)
        try:
            cache = CallCache(path)
        except Failure as error:
            assert error.faults[0].fix
            outcomes["failure"] += 1
            continue
        for each in answers:
            try:
                found = cache.get([each])
            except Failure as error:
                assert error.faults[0].fix
                outcomes["failure"] += 1
                break
            # An index that points elsewhere may bring another's answer, under that one's key.
            assert all(found[k] == answers[k] for k in found), place
            assert all(isinstance(a.seconds, float) for a in found.values())
            outcomes["right" if each in found else "absent"] += 1
        cache.close()
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
    assert outcomes["right"] > 10_000 and outcomes["absent"] and outcomes["failure"]


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_a_damaged_entry_is_absent_and_its_neighbours_are_not(tmp_path, byte):
    path = tmp_path / "c.sqlite"
    cache = CallCache(path)
    cache.put(entry(i, Answer(f"the answer number {i:03}")) for i in range(50))
    cache.close()
    data = bytearray(path.read_bytes())
    place = data.index(b"number 017")
    data[place] = byte  # 0xFF: no UTF-8
    path.write_bytes(data)
    cache = CallCache(path)
    found = cache.get([key(i) for i in range(50)])
    assert set(found) == {key(i) for i in range(50) if i != 17}
    assert cache.damaged == 1
    assert cache.put([entry(17, Answer("anew"))]) == {}
    assert cache.get([key(17)]) == {key(17): Answer("anew")}
    cache.close()


@pytest.mark.parametrize(
    "change",
    [
        "text = CAST(text AS BLOB)",
        "text = 5",
        "text = 'other'",
        "finish = 'length'",
        "logprobs = '[]'",
        "logprobs = NULL",
        "prompt_tokens = 5",
        "completion_tokens = '4x'",
        "checksum = checksum + 1",
        "checksum = 'x'",
        "seconds = 'x'",
    ],
)
def test_a_changed_value_makes_an_entry_absent(tmp_path, change):
    path = tmp_path / "c.sqlite"
    cache = CallCache(path)
    cache.put([entry("k", Answer("text", {"A": -1.0}, "stop", 3, 4))])
    changed(path, f"UPDATE calls SET {change}")
    assert cache.get([key("k")]) == {}
    assert cache.damaged == 1
    cache.close()


def test_entries_exchanged_among_keys_are_absent(tmp_path):
    path = tmp_path / "c.sqlite"
    cache = CallCache(path)
    cache.put([entry("a", Answer("one"))])
    changed(path, "UPDATE calls SET key = ?", key("b"))
    assert cache.get([key("a"), key("b")]) == {}
    cache.close()


def test_a_file_damaged_all_over_is_a_failure(tmp_path):
    path = tmp_path / "c.sqlite"
    cache = CallCache(path)
    cache.put(entry(i, Answer("x" * 500)) for i in range(200))
    cache.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(Failure, match="charter cache repair"):
        CallCache(path).get([key(i) for i in range(200)])


def test_a_read_only_file_is_a_failure_that_says_so(tmp_path, monkeypatch):
    """Opened with `mode=ro`, as if permissions held for root, who may run the tests."""
    path = tmp_path / "c.sqlite"
    cache = CallCache(path)
    cache.put([entry("a", Answer("x"))])
    cache.close()
    real = sqlite3.connect

    def read_only(where, **options):
        return real(f"file:{where}?mode=ro", uri=True, **options)

    monkeypatch.setattr(cache_module.sqlite3, "connect", read_only)
    cache = CallCache(path)
    assert cache.get([key("a")]) == {key("a"): Answer("x")}
    with pytest.raises(Failure, match=r"readonly.*writable.*CHARTER_CACHE"):
        cache.put([entry("b", Answer("y"))])
    cache.close()
    with pytest.raises(Failure, match=r"unable to open.*writable"):
        CallCache(tmp_path / "new.sqlite")
