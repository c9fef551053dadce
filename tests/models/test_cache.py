"""The call cache: what it keeps, and what it survives."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.errors import Failure
from charter.models import cache as cache_module
from charter.models.cache import CallCache, Entry, connect, default_cache_path
from charter.models.call import Answer


def key(name) -> bytes:
    return str(name).encode().rjust(32, b"-")


def entry(name, answer, model="m") -> Entry:
    return Entry(key(name), model, answer)


@pytest.fixture
def cache(tmp_path):
    cache = CallCache(tmp_path / "deep" / "calls.sqlite")
    yield cache
    cache.close()


def changed(path, sql, *values):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql, values)


def test_what_is_put_is_got(cache):
    answers = {
        key("a"): Answer("text", {}, "stop", 3, 4, seconds=1.5),
        key("b"): Answer("", {"A": -0.5, "B": float("-inf")}, "length"),
        key("c"): Answer("ünï \u2028 \x00 日本"),
        key("d"): Answer("long \x00 ü" * 5000, finish_reason="ünï"),
        key("e"): Answer("x", {"\ud800": -1.0}),
    }
    assert cache.put(Entry(k, "m", answer) for k, answer in answers.items()) == {}
    found = cache.get([*answers, key("missing")])
    assert found == answers and found[key("a")].seconds == 1.5
    assert cache.get([]) == {}
    assert cache.damaged == 0


@settings(deadline=None, max_examples=30)
@given(
    st.text() | st.text(min_size=1).map(lambda text: text * 5000),
    st.floats(allow_nan=False),
    st.integers(0, 2**63 - 1),
)
def test_any_answer_comes_back_whole(tmp_path_factory, text, number, tokens):
    cache = CallCache(tmp_path_factory.mktemp("c") / "c.sqlite")
    answer = Answer(text, {"A": number}, "stop", tokens, tokens)
    cache.put([entry("k", answer)])
    assert cache.get([key("k")]) == {key("k"): answer}
    cache.close()


def test_failed_and_empty_calls_are_noted_never_kept(cache):
    cache.put([entry("a", Answer(error="down")), entry("b", Answer(error="x", overflow=True))])
    cache.put([entry("c", Answer("")), entry("d", Answer("x", error="half \ud800"))])
    cache.put([entry("e", Answer(" \n")), entry("f", Answer("good"))])
    assert cache.get([key(name) for name in "abcdef"]) == {key("f"): Answer("good")}
    with closing(sqlite3.connect(cache.path)) as db:
        noted = dict(db.execute("SELECT key, error FROM failures"))
    assert noted == {
        key("a"): "down",
        key("b"): "x",
        key("c"): "empty",
        key("d"): "half ?",
        key("e"): "empty",
    }


def test_the_first_answer_stays_and_is_told(cache):
    cache.put([entry("a", Answer("one")), entry("a", Answer("two"))])
    before = cache.put([entry("a", Answer("three")), entry("b", Answer("new"))])
    assert before[key("a")] == Answer("one")
    assert cache.get([key("a")]) == {key("a"): Answer("one")}
    cache.forget([key("a")])
    assert cache.get([key("a")]) == {}
    assert cache.put([entry("a", Answer("four"))]) == {}


def test_many_keys_at_once(cache):
    names = range(2500)
    cache.put(entry(name, Answer(f"{name}")) for name in names)
    found = cache.get([*map(key, names), key("none"), *map(key, range(10))])
    assert found == {key(name): Answer(f"{name}") for name in names}


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (Answer("x", {"A": object()}), TypeError),
        (Answer("x", prompt_tokens=2**63), Failure),
        (Answer("x", seconds=float("nan")), Failure),  # which SQLite takes for nothing
    ],
    ids=["no number", "too many tokens", "no time"],
)
def test_all_or_none_of_a_batch_is_kept(cache, bad, error):
    with pytest.raises(error):
        cache.put([entry("good", Answer("x")), entry("bad", bad)])
    with pytest.raises(Failure):
        cache.put([entry("good", Answer("x")), Entry(key("bad"), None, Answer("x"))])
    assert cache.get([key("good")]) == {}
    cache.put([entry("good", Answer("y"))])
    assert cache.get([key("good")]) == {key("good"): Answer("y")}


def test_a_second_opening_sees_what_the_first_has_kept(tmp_path):
    path = tmp_path / "c.sqlite"
    one, two = CallCache(path), CallCache(path)
    one.put([entry("a", Answer("x"))])
    assert two.get([key("a")]) == {key("a"): Answer("x")}
    two.put([entry("b", Answer("y"))])
    assert set(one.get([key("a"), key("b")])) == {key("a"), key("b")}
    one.close()
    two.close()
    with closing(sqlite3.connect(path)) as db:
        (text,) = db.execute("SELECT text FROM calls WHERE key = ?", (key("a"),)).fetchone()
    assert text == "x"  # readable with the sqlite3 tool


WRITER = """
import sys
from pathlib import Path
from charter.models.cache import CallCache, Entry
from charter.models.call import Answer

def key(name):
    return name.encode().rjust(32, b"-")

cache = CallCache(Path(sys.argv[1]))
me = sys.argv[2]
for i in range(40):
    cache.put([Entry(key(f"{me}-{i}-{k}"), me, Answer("x" * 100)) for k in range(5)])
    before = cache.put([Entry(key("shared"), me, Answer(me))])
    assert i == 0 or len(before) == 1
assert len(cache.get([key(f"{me}-{i}-0") for i in range(40)])) == 40
"""


def test_several_processes_write_at_once(tmp_path):
    path = tmp_path / "c.sqlite"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, str(i)], stderr=subprocess.PIPE)
        for i in range(4)
    ]
    for writer in writers:
        _, said = writer.communicate(timeout=120)
        assert writer.returncode == 0, said.decode()
    cache = CallCache(path)
    keys = [key(f"{i}-{j}-{k}") for i in range(4) for j in range(40) for k in range(5)]
    assert len(cache.get(keys)) == len(keys)
    assert cache.get([key("shared")])[key("shared")].text in "0123"
    cache.close()


def test_several_processes_make_the_file_at_once(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom charter.models.cache import CallCache\n"
        "print('here', flush=True)\nsys.stdin.readline()\n"
        "for i in range(40):\n    CallCache(Path(sys.argv[1], str(i))).close()\n"
    )
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "made"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for maker in makers:
        assert maker.stdout.readline() == b"here\n"
    for maker in makers:
        maker.stdin.write(b"\n")
        maker.stdin.flush()
    for maker in makers:
        _, said = maker.communicate(timeout=120)
        assert maker.returncode == 0, said.decode()


@pytest.mark.parametrize("patience", [0.0, 0.05, 0.2])
def test_a_process_that_is_killed_while_it_writes_leaves_a_cache_that_opens(tmp_path, patience):
    path = tmp_path / "c.sqlite"
    code = WRITER.replace("range(40)", "range(10**9)").replace("assert", "print('x')\nassert", 0)
    writer = subprocess.Popen([sys.executable, "-c", code, path, "w"])
    try:
        while not (path.exists() and path.stat().st_size) and writer.poll() is None:
            pass
        time.sleep(patience)
    finally:
        writer.kill()
        writer.wait()
    cache = CallCache(path)
    cache.put([entry("a", Answer("x"))])
    found = cache.get([key(f"w-{i}-{k}") for i in range(500) for k in range(5)])
    assert len(found) % 5 == 0  # whole batches
    assert cache.get([key("a")]) == {key("a"): Answer("x")}
    cache.close()


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


def test_a_full_disk_is_a_failure_and_keeps_what_was_there(cache):
    """SQLite is told that the file may not grow, which is the same to it as a full disk."""
    cache.put(entry(i, Answer("x" * 500)) for i in range(20))
    pages = cache._db.execute("PRAGMA page_count").fetchone()[0]
    cache._db.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(Failure, match=r"full.*free space"):
        cache.put(entry(f"new-{i}", Answer("y" * 500)) for i in range(100))
    assert len(cache.get([key(i) for i in range(20)])) == 20
    assert cache.get([key(f"new-{i}") for i in range(100)]) == {}
    cache._db.execute(f"PRAGMA max_page_count={pages + 100}")
    cache.put(entry(f"new-{i}", Answer("y" * 500)) for i in range(100))
    assert len(cache.get([key(f"new-{i}") for i in range(100)])) == 100


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


def test_a_lock_that_stays_is_a_failure(tmp_path, monkeypatch):
    path = tmp_path / "c.sqlite"
    cache = CallCache(path)
    cache._db.execute("PRAGMA busy_timeout=10")
    with closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Failure, match="another process"):
            cache.put([entry("a", Answer("x"))])
    cache.put([entry("a", Answer("x"))])
    cache.close()


def test_a_clock_that_goes_back_changes_nothing(cache, monkeypatch):
    times = iter([2e9, 1e9, 0.0, -5.0])
    monkeypatch.setattr(cache_module.time, "time", lambda: next(times))
    for name in "abcd":
        cache.put([entry(name, Answer(name)), entry("a", Answer("later"))])
    found = cache.get([key(name) for name in "abcd"])
    assert found == {key(name): Answer(name) for name in "abcd"}


def test_nothing_but_entries_is_in_the_file(cache, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    cache.put([entry("a", Answer("said")), entry("b", Answer(error="down"))])
    cache.close()
    assert b"sk-very-secret" not in cache.path.read_bytes()
    with closing(sqlite3.connect(cache.path)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        (row,) = db.execute("SELECT * FROM calls").fetchall()
        (failure,) = db.execute("SELECT * FROM failures").fetchall()
    assert tables == {"calls", "failures", "sqlite_autoindex_calls_1"}
    now = time.time()
    assert row[1:8] == (key("a"), "m", "said", "", None, 0, 0) and abs(row[9] - now) < 60
    assert failure[:3] == (key("b"), "m", "down") and abs(failure[3] - now) < 60


def test_the_cache_moves_with_its_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARTER_CACHE", str(tmp_path / "x"))
    assert default_cache_path() == tmp_path / "x" / "calls.sqlite"
