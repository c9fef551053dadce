"""The call cache: what it keeps, and what it never does."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from cache_entries import entry, key
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.errors import Failure
from charter.models import cache as cache_module
from charter.models.cache import CallCache, Entry, default_cache_path
from charter.models.call import Answer


@pytest.fixture
def cache(tmp_path):
    cache = CallCache(tmp_path / "deep" / "calls.sqlite")
    yield cache
    cache.close()


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
    monkeypatch.setenv("CHARTER_CACHE", "~no-such-user/x")
    assert default_cache_path() == Path("~no-such-user/x/calls.sqlite")
